"""Builds as `configs/engines.yaml` declares them: what has to be done, in which order, and what can be skipped."""
