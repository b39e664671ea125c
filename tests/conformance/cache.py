"""What the cases of HTTP caching are run against: the middleware with the profile of the RFC."""

from wsgistack import PageCache
from wsgistack.wsgi import WSGIApplication

__all__ = ["make", "make_anonymous"]


def make(app: WSGIApplication) -> WSGIApplication:
    """Return *app* behind a cache that follows RFC 9111 and nothing else."""
    return PageCache(app, profile="rfc9111")


def make_anonymous(app: WSGIApplication) -> WSGIApplication:
    """Return *app* behind the cache as it is by default."""
    return PageCache(app)
