"""Any framework to ONNX: one conversion a file, each a callable named `OnnxFrom<Source>`."""
