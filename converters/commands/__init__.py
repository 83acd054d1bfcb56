"""The commands of `triton-convert`, one file each."""
