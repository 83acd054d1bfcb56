"""Recorded requests: redacted, as tensors, in files that a replay and `triton-convert` read."""
