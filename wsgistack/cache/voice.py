"""What the application may say about the page that it makes: `environ["wsgistack.cache"]`.

    voice = environ["wsgistack.cache"]
    voice.tag("news", f"author:{author.id}")    # purge(tag="news") finds the page
    voice.ttl(60, grace=300)                    # whatever its fields say of freshness
    voice.private()                             # never stored, whatever its fields say

It is there for every request that comes through the cache, also where nothing will be stored, so
that nobody needs to ask.  All of it counts until the last byte of the body is made, and `private` is
never taken back.  One thing comes too late once the application has returned, or given its first
block: a lifetime for a response that had none, and so is not held; the log tells of it then.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from wsgistack.cache.telling import tell
from wsgistack.errors import ArgumentError

__all__ = ["ENVIRON_KEY", "LONGEST_TAG", "MOST_TAGS", "Voice"]

ENVIRON_KEY = "wsgistack.cache"
LONGEST_S = 31_536_000.0  # a year
LONGEST_TAG = 256
MOST_TAGS = 128

WORD = re.compile(r"[A-Za-z][A-Za-z0-9:/._-]{0,63}")


class Voice:
    """What was said about one response.  *why*: a token, "" while nothing made it private.

    *has_made_tag*: its ETag is a component's, made of the body after the application was asked in full.
    *too_late_for*: a response of which it is decided that it will not be stored: its URL, as text.
    """

    # Of the class until something is said: one is made for each request, and most say nothing.
    why: str = ""
    tags: tuple[str, ...] = ()
    ttl_s: float | None = None
    grace_s: float | None = None
    has_made_tag: bool = False
    too_late_for: object = ""
    _witness: Callable[[], str] | None = None

    @property
    def is_private(self) -> bool:
        """True if the response is for this visitor alone, as far as anything of it was made."""
        if not self.why and self._witness is not None:
            try:
                why = self._witness()
            except Exception:  # noqa: BLE001 - of a framework; fails closed
                tell("witness_failed", exc_info=True)
                why = "witness-failed"
            if why:
                self.private(why)
        return bool(self.why)

    def ask(self, witness: Callable[[], str]) -> None:
        """Let *witness* be asked whenever it matters whether the response is private, up to its last byte.

        It gives the reason, "" while there is none; for adapters, where a body is made while it is sent.
        """
        self._witness = witness

    def private(self, why: str = "application") -> None:
        """Say that the response is for this visitor alone; *why* (a token) is told in Cache-Status."""
        if not self.why:  # fails closed: a reason that cannot be told is still a reason
            self.why = why if isinstance(why, str) and WORD.fullmatch(why) else "application"

    def tag(self, *names: str) -> None:
        """Add *names* by which the page can be purged.  ArgumentError for what is no name."""
        for name in names:
            if not isinstance(name, str) or not 0 < len(name) <= LONGEST_TAG or "\0" in name:
                raise ArgumentError(f"tag: {name!r:.80} is not text of 1 to {LONGEST_TAG} characters")
        tags = tuple(dict.fromkeys((*self.tags, *names)))
        if len(tags) > MOST_TAGS:
            raise ArgumentError(f"tag: {len(tags)} tags; a page has at most {MOST_TAGS}")
        self.tags = tags

    def ttl(self, seconds: float, *, grace: float | None = None) -> None:
        """Say for how long the page is fresh, and for how long it may be used past that."""
        for name, value in (("ttl", seconds), ("grace", grace)):
            if value is None and name == "grace":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_S:
                raise ArgumentError(f"{name}: {value!r} is not a number of seconds from 0 to a year")
        if self.too_late_for:
            tell("ttl_too_late", url=str(self.too_late_for))
        self.ttl_s = float(seconds)
        self.grace_s = None if grace is None else float(grace)
