"""ONNX graphs as the other rooms need them: their signature, their node names, their files."""
