"""Three ways to write the same WSGI application; each answers who it is."""
