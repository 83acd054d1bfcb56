"""What a request is, how it can fail and how policies wrap it. Does no I/O and imports no other room."""
