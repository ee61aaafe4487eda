"""Cost of a request, measured on this machine next to other ways of building the same service."""
