"""Model conversions: any framework to ONNX, ONNX to typed precisions, typed ONNX to TensorRT engines.

An import package of its own with its own command line. It imports nothing of `gateway`, so that CI can build
engines without starting anything of it.
"""

VERSION = "1"
"""Raised when a step would give another result from the same input, so that nothing older is taken from a cache."""
