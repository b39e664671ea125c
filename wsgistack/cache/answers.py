"""What the engine answers: small closed sets, matched by whoever carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from wsgistack.cache.freshness import NOTHING_TOLD, Told
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.page import Page, Reply
from wsgistack.cache.status import Forwarded
from wsgistack.http.request import RequestView

__all__ = [
    "ANSWERED",
    "GOING_ON",
    "NO_CONDITIONS",
    "PASSED_ON",
    "WHOLE",
    "AfterRequest",
    "AfterResponse",
    "Changes",
    "Drop",
    "Fetch",
    "Invalidation",
    "Keep",
    "Pass",
    "Refetch",
    "Refresh",
    "Serve",
    "Trip",
    "Validate",
]

# What is sent in a field instead of what the client said; None: nothing.
Changes = Mapping[str, str | None]
# If-Range stays with Range: whoever resumes a download must not be sent the rest of another version.
NO_CONDITIONS: Changes = dict.fromkeys(("if-none-match", "if-modified-since"))
WHOLE: Changes = {**NO_CONDITIONS, "range": None, "if-range": None}


class Serve(NamedTuple):
    """Answer by *reply*.  *refresh*: what to send to the origin afterwards, whose answer goes to nobody."""

    reply: Reply
    refresh: Fetch | Validate | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """The request is none of the cache's: send it on as it is."""

    why: Forwarded
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Nothing that is stored answers the request: send it on, with *changes* made to its fields.

    *page*: what there is all the same (stale, or a part).  *may_stand_in*: it may be used when the
    origin fails.
    """

    why: Forwarded
    changes: Changes
    page: Page | None = None
    may_stand_in: bool = False


@dataclass(frozen=True, slots=True)
class Validate:
    """Ask the origin whether *page* still holds, by *changes* made to the request's fields."""

    why: Forwarded
    changes: Changes
    page: Page
    may_stand_in: bool


class Trip(NamedTuple):
    """A request on its way to the origin: everything that its response is judged by.

    *target*: the absolute URL.  *asked_at*: when it was sent.  *told*, *tags*, *is_private*: what the
    operator or the application says beside the fields.  *private_why*: a token for Cache-Status.
    *has_made_tag*: the ETag was made of the body in this process, see voice.Voice.
    """

    request: RequestView
    sent: Fetch | Validate | Pass
    target: str
    asked_at: float
    told: Told = NOTHING_TOLD
    tags: tuple[str, ...] = ()
    is_private: bool = False
    private_why: str = ""
    has_made_tag: bool = False


@dataclass(frozen=True, slots=True)
class Invalidation:
    """What is worthless now: the pages of *urls* (absolute), and those of *groups* on the same origin."""

    urls: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Keep:
    """Send the response on as *head*, and store *page* once its body is complete.

    *before*: bytes that go before those of the origin, to the client and into the page (the origin
    sent the rest of what is stored).  *invalidates*: what is worthless by it, first of all.
    """

    page: Page
    head: ResponseHead
    before: bytes = b""
    invalidates: Invalidation | None = None


@dataclass(frozen=True, slots=True)
class Refresh:
    """Store *page* in the place of what was asked about (None: forget that), and send *reply*.

    *reply* is a whole answer, or the head under which the origin's own response goes on (HEAD).
    """

    page: Page | None
    reply: Reply | ResponseHead


@dataclass(frozen=True, slots=True)
class Refetch:
    """The response is of no use: send the request once more, with *fetch*'s changes."""

    fetch: Fetch


@dataclass(frozen=True, slots=True)
class Drop:
    """Send the response on as *head*, and store nothing.

    *why*: a word of storing.REASONS.  *invalidates*: what is worthless by it.
    """

    why: str
    head: ResponseHead
    invalidates: Invalidation | None = None


AfterRequest = Serve | Fetch | Validate | Pass
AfterResponse = Keep | Refresh | Refetch | Drop | Serve

# For isinstance, once: a union is made anew wherever it is written in a function.
PASSED_ON = (Keep, Drop)  # the response goes to the client
GOING_ON = (Keep, Drop, Refresh)  # so it may: Refresh, of HEAD
ANSWERED = (Serve, Refresh)  # by a reply
