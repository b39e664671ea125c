"""`PageCacheMiddleware`: Django tells the page cache what it knows about a response.

    MIDDLEWARE = ["wsgistack.contrib.django_pages.PageCacheMiddleware", ...]    # the first of all

    application = wsgistack.PageCache(get_wsgi_application())

A response is for its visitor alone when it sets a cookie, the session was changed, a CSRF token was
taken, messages were shown, counted or added, or the user was looked up: Django's own, the one that Django
REST framework or a middleware of yours put on the request.  The last is so also for a template that only asks
whether somebody is signed in; with `WSGISTACK_SHARE_ANONYMOUS_USER = True` a look-up that found
nobody does not count: a request with a session never gets here while a shared page is made, so all
whom the page is for are nobody.

LocaleMiddleware chooses the language by a cookie too, and says no more than `Vary: Accept-Language`: such
a response gets `Vary: Cookie`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.utils.cache import has_vary_header, patch_vary_headers
from django.utils.functional import LazyObject, empty

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
            why = self._why_private(request) or ("set-cookie" if response.cookies else "")
            if why:
                voice.private(why)
            elif getattr(response, "streaming", False):  # what it is made of is used later
                voice.ask(lambda: self._why_private(request))
            if response.has_header("Content-Language") and has_vary_header(response, "Accept-Language"):
                patch_vary_headers(response, ("Cookie",))
        return response

    def _why_private(self, request: Any) -> str:
        session = getattr(request, "session", None)
        if session is not None and (session.modified or not session.is_empty()):
            return "session"
        if "CSRF_COOKIE_NEEDS_UPDATE" in request.META:  # False again once the cookie is set
            return "csrf-token"
        messages = getattr(request, "_messages", None)
        if messages is not None and (
            messages.used or messages.added_new or getattr(messages, "_loaded_data", None)  # as by len()
        ):
            return "messages"
        # What AuthenticationMiddleware found, if anybody asked it; by either way to ask.
        for name in ("_cached_user", "_acached_user"):
            user = getattr(request, name, None)
            if user is not None and not (self._shares_nobody and not user.is_authenticated):
                return "user"
        return "user" if self._has_other_user(request) else ""

    def _has_other_user(self, request: Any) -> bool:
        """Tell whether somebody else than AuthenticationMiddleware put a user there, and who it is matters."""
        user = vars(request).get("user")
        if isinstance(user, LazyObject):
            user = vars(user).get("_wrapped", empty)
            if user is empty:  # nobody has asked who it is
                return False
            return user is not None and not (self._shares_nobody and not _is_signed_in(user))
        return user is not None and _is_signed_in(user)


def _is_signed_in(user: Any) -> bool:
    return bool(getattr(user, "is_authenticated", True))
