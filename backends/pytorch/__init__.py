"""PyTorch: serves TorchScript (`model.pt`) and exported programs (`model.pt2`)."""
