"""What the Python-based backends share: configuration, batching, datatypes and the adapter to Triton's Python API."""
