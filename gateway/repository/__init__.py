"""The model repository: what is in it, and how Triton is brought to serve it."""
