"""One file a policy; the order is the list in `gateway/app.py`."""
