"""Rate limits: exact, cheap and fair, around any WSGI application."""
