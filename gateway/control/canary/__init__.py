"""Whether a candidate goes on or is taken back: pure decisions about what the data workers have counted."""
