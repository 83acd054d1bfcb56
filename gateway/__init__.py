"""triton-gateway: a thin inference gateway in front of NVIDIA Triton Inference Server."""
