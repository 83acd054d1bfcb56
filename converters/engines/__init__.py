"""Typed ONNX to TensorRT engines, with one builder for data-centre GPUs and one for RTX."""
