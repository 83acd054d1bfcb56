"""Python-based Triton backends, one folder each, named like Triton's native backends.

Triton starts `<name>/model.py` through its `python` backend. `model.py` only adapts Triton's API; the logic beside it
takes numpy arrays and gives numpy arrays, and `common` holds what the backends share.
"""
