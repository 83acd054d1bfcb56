"""Sans-I/O: bytes of a protocol to a request head and back."""
