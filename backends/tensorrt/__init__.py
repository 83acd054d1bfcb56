"""The backend `tensorrt`: engines of TensorRT, and of TensorRT for RTX, on NVIDIA GPUs."""
