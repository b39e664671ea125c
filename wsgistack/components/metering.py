"""`metering`: who asked how often, by hour: what is billed, or looked at before a limit is set.

    from wsgistack import wrap

    application = wrap(application, metering={"folder": "usage", "by": "HTTP_X_API_KEY"})

A row has an hour, a name, a key, and counts by class of status, with what a rate limit inside of
it refused or, in dry run, would have refused.  Rows are exact; with a folder all processes and
restarts share them.  A page shows them to who is allowed, by default this machine:
`/usage?format=json|csv|prometheus&hours=24`; for everybody else the path is the application's.

In a stack it stands outside of the page cache, and counts what comes out of that too.  To count what
reaches the application alone, put it around the application, below the stack:

    from wsgistack.components.metering import Metering

    application = wrap(Metering(application, folder="usage"), page_cache=True)

The setting `meter` of `rate_limit` counts by the rules and keys of the limits instead.

- In the response: nothing changes.
- It costs 2 to 11 µs a request.
- It does not refuse anybody.  Names and API keys are kept as hashes, addresses are not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from wsgistack.accounts import Bills, Door
from wsgistack.complaints import gather
from wsgistack.errors import SettingError
from wsgistack.http.forwarded import LONGEST_HOP, parse_hop
from wsgistack.memos import Memo
from wsgistack.ratelimit.clients import Asker, Key, Trust, client_ip, environ_key, header_key
from wsgistack.ratelimit.meter import Meter
from wsgistack.ratelimit.middleware import ENVIRON_KEY
from wsgistack.ratelimit.networks import Networks, parse_networks
from wsgistack.ratelimit.usage_page import UsagePage
from wsgistack.settings import DURATION, INT, NETWORKS, TEXT, Setting, Table
from wsgistack.steps import Instead, Passage, Steps
from wsgistack.wsgi import Environ, EnvironRequest, StartResponse, WSGIApplication

__all__ = ["HELP", "MAIN", "NAME", "OBJECTS", "PLACE", "SETTINGS", "Metering", "make"]

LOCAL = ("127.0.0.0/8", "::1/128")
FIELD = "HTTP_"
HOUR_S = 3600
DAY_S = 86_400.0
REMEMBERED = 8192  # clients

log = logging.getLogger(__name__)

NAME = "metering"
PLACE = 35
HELP = "requests by hour, client or API key, and class of status, exact, with a page"
MAIN = "folder"
OBJECTS = ("key",)
SETTINGS = Table(
    "metering",
    [
        Setting(
            "folder",
            TEXT,
            "",
            "where the rows are, for all processes; without one each keeps its own in memory",
        ),
        Setting("path", TEXT, "/usage", "the path of the page; empty: there is none"),
        Setting("allow", NETWORKS, LOCAL, "who may read it"),
        Setting(
            "by",
            TEXT,
            "",
            "what is counted by: an environ variable such as `REMOTE_USER`, or a field such as"
            " `HTTP_X_API_KEY`, kept as a hash; the address where it is missing",
        ),
        Setting("name", TEXT, "requests", "what the rows are called; sites that share a folder differ here"),
        Setting("keep", DURATION, 35 * DAY_S, "how long rows are kept"),
        Setting(
            "max_keys",
            INT,
            100_000,
            "rows of an hour and process; what goes beyond is counted together",
            least=1,
        ),
    ],
)


class Metering:
    """A WSGI application that counts who asks *app* how often.  Settings: see SETTINGS.

    *key*: a key function of wsgistack.ratelimit, instead of *by*.  `meter` has the rows.  The key is
    looked up at the end of a response, when the application has told who it is.
    Safe for threads, greenlets and forks.
    """

    is_step = True
    meter: Meter
    _allow: Networks

    def __init__(
        self,
        app: WSGIApplication,
        *,
        folder: str = "",
        path: str = "/usage",
        allow: Iterable[str] = LOCAL,
        by: str = "",
        name: str = "requests",
        keep: float = 35 * DAY_S,
        max_keys: int = 100_000,
        key: Key | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        steps: tuple[Callable[[], Any], ...] = (
            partial(_make_meter, folder, max_keys, keep),
            partial(_check_path, path),
            partial(_check_name, name),
            partial(_check_keep, keep),
            partial(_check_key, key, by),
            partial(parse_networks, allow, setting="allow"),
        )
        self.meter, *_, self._allow = gather(steps)
        self.app = app
        self.usage_page = UsagePage(self.meter, now_s=now)
        self._path = path
        self._key = key or _key_of(by)
        self._name = name
        self._trust = Trust()
        self._now = now
        self._is_shared = bool(folder)
        self._find = Memo(self._about, REMEMBERED, longest=LONGEST_HOP)
        self.enter = Door(path, self._enter).enter
        bills = Bills(self.meter, self._find, self._count, now)
        self.at_end: Callable[[Passage], object] = bills.at_end if self._key is client_ip else self._count
        self._steps = Steps((self,))

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer with the page, or pass the request on and count it at its end."""
        return self._steps.run(self.app, environ, start_response)

    def _enter(self, environ: Environ, passage: Passage, /) -> Instead | None:
        """Return the page for who asks for it and may have it."""
        if not self._is_shared and environ.get("wsgi.multiprocess"):
            self._is_shared = True
            log.warning("usage_of_one_process: metering needs a folder to count for all of them")
        if self._path and environ.get("PATH_INFO") == self._path and self._may_read(environ):
            return partial(self.usage_page, environ)
        return None

    def _may_read(self, environ: Environ) -> bool:
        return parse_hop(environ.get("REMOTE_ADDR") or "") in self._allow

    def _count(self, passage: Passage) -> None:
        """Count the request."""
        environ = passage.environ
        now_us, status = int(self._now() * 1_000_000), int(passage.status)
        if self._key is client_ip:
            about = self._find(environ.get("REMOTE_ADDR") or "")
        else:
            keys = self._key(Asker(EnvironRequest(environ), self._trust))
            about = tuple([(self._name, key) for key in keys])
        decision = environ.get(ENVIRON_KEY)
        if decision is None or not (decision.refused is not None or decision.would_refuse):
            self.meter.count(now_us, about, status)
            return
        refused = status == 429
        self.meter.count(
            now_us,
            about,
            status,
            refused=about if refused else (),
            would_refuse=() if refused else about,
        )

    def _about(self, peer: object) -> tuple[tuple[str, bytes], ...]:
        # An application may have left anything there.
        return ((self._name, self._trust.key_of_peer(peer if isinstance(peer, str) else "")),)


def _make_meter(folder: str, max_keys: int, keep: float) -> Meter:
    try:
        return Meter(folder or None, max_keys=max_keys, keep_hours=int(keep // HOUR_S))
    except SettingError as error:
        raise SettingError(str(error).replace("meter: ", "folder: ", 1)) from None


def _check_path(path: str) -> None:
    if path and not path.startswith("/"):
        raise SettingError(f"path: {path!r} does not begin with /")


def _check_name(name: str) -> None:
    if not name:
        raise SettingError("name: '' is what rows can not be called")


def _check_keep(keep: float) -> None:
    if keep < HOUR_S:
        raise SettingError(f"keep: {keep:g} seconds; the shortest is an hour")


def _check_key(key: Key | None, by: str) -> None:
    if key is not None and by:
        raise SettingError("by and key: both say what is counted by")


def _key_of(by: str) -> Key:
    if by.startswith(FIELD):
        return header_key(by.removeprefix(FIELD).replace("_", "-").lower(), known=lambda credential: True)
    return environ_key(by) if by else client_ip


make = Metering
