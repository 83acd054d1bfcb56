"""Where a request goes, decided without I/O: routes, weights, and what control has changed of them."""
