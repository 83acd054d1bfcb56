"""The subcommands of `triton-gateway`, one file for each group of them."""
