"""The kinds of models that can be dropped, one file each."""
