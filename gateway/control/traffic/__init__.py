"""Traffic as operators steer it: what was decided beside the configuration, and what is counted of it."""
