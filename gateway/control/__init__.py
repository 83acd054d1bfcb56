"""The control process: what an operator asks, on its own port."""
