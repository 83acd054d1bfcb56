"""Variants of a model, measured side by side."""
