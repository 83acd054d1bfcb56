"""Results into the model repository, as model folders that Triton serves."""
