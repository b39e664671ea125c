"""The demo: three WSGI backends, the balancer in front of them, and a story told by commands."""
