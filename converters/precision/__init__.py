"""ONNX to ONNX in another precision: FP16, BF16, INT8 and FP8, each a callable named `<Precision>FromOnnx`."""
