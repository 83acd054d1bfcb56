"""Turn what a client sends into a `Call`, and a `Reply` into what the client gets."""
