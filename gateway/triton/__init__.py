"""The embedded Triton: fetched, launched, supervised and healed."""
