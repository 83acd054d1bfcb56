"""HTTP/2 as gRPC needs it, sans I/O: bytes in, events and bytes out, for the server's and the client's role."""
