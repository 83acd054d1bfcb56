"""Operators that TensorRT does not know, written out as tensor operators that it does: one file a family."""
