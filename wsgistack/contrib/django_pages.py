"""`PageCacheMiddleware`: Django tells the page cache what it knows about a response.

    MIDDLEWARE = ["wsgistack.contrib.django_pages.PageCacheMiddleware", ...]    # the first of all

    application = wsgistack.PageCache(get_wsgi_application())

A response is for its visitor alone when the session was changed, a CSRF token was taken, messages
were shown or added, or the user was looked up.  The last is so also for a template that only asks
whether somebody is signed in; with `WSGISTACK_SHARE_ANONYMOUS_USER = True` a look-up that found
nobody does not count: a request with a session never gets here while a shared page is made, so all
whom the page is for are nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings

from wsgistack.cache.voice import ENVIRON_KEY, Voice

__all__ = ["PageCacheMiddleware"]


class PageCacheMiddleware:
    """Says `private` of responses that are for one visitor.  Does nothing where there is no PageCache."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response
        self._shares_nobody = bool(getattr(settings, "WSGISTACK_SHARE_ANONYMOUS_USER", False))

    def __call__(self, request: Any) -> Any:
        """Let Django answer, and look at what it used for that."""
        response = self._get_response(request)
        voice = request.META.get(ENVIRON_KEY)
        if isinstance(voice, Voice):
            why = self._why_private(request)
            if why:
                voice.private(why)
            elif getattr(response, "streaming", False):  # what it is made of is used later
                voice.ask(lambda: self._why_private(request))
        return response

    def _why_private(self, request: Any) -> str:
        session = getattr(request, "session", None)
        if session is not None and (session.modified or not session.is_empty()):
            return "session"
        if "CSRF_COOKIE_NEEDS_UPDATE" in request.META:  # False again once the cookie is set
            return "csrf-token"
        messages = getattr(request, "_messages", None)
        if messages is not None and (messages.used or messages.added_new):
            return "messages"
        # What AuthenticationMiddleware found, if anybody asked it; by either way to ask.
        for name in ("_cached_user", "_acached_user"):
            user = getattr(request, name, None)
            if user is not None and not (self._shares_nobody and not user.is_authenticated):
                return "user"
        return ""
