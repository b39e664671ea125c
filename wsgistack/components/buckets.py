"""`buckets`: which part of the visitors gets what (bucket tests, selective beta).

    from wsgistack import wrap

    button = {"split": "button: green 30%, red 30%; beta 5%", "secret": "put sixteen of your own here"}
    application = wrap(application, buckets=button)

Inside the application `environ["wsgistack.bucket"]` is the bucket of the first split, "" for the
visitors that no bucket took, and `environ["wsgistack.buckets"]` maps each split to its bucket.

A visitor stays in his bucket: it is a pure function of the secret, the split's name and his token,
which lies in a signed cookie, or of a key that a middleware outside of this one knows (*by*).  When a
share grows, nobody who is in leaves; the buckets of one split lie end to end, so that those after one that
grows move on: let the last one grow, give each a split of its own, or say how far each will grow,
`green 10% up to 30%, red 10% up to 30%`: while it does, nobody moves but those it takes from nobody's.

The application sees no signed cookie but one that tells the buckets, `wsgistack_bucket=green~beta`
(`-` for none): it is a key cookie of the page cache, which keeps a page for each.

- In the response: `Vary` names `Cookie` always, so that no other cache on its way gives the page of one bucket to
  another, and a visitor's first one has a `Set-Cookie`.
- It costs 2 to 5 µs a request, 2 to 12 µs who comes first.
- It does not know a visitor again who throws his cookies away, or has another browser, unless `by` names him.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import product
from typing import Any

from wsgistack.chores import Shares
from wsgistack.complaints import gather
from wsgistack.errors import SettingError
from wsgistack.lot import label_of
from wsgistack.lots import Lots
from wsgistack.settings import DURATION, TEXT, Setting, Table
from wsgistack.splits import LEAST_SECRET, Split, make_key, parse_splits
from wsgistack.steps import Steps
from wsgistack.wsgi import Environ, StartResponse, WSGIApplication

__all__ = [
    "HELP",
    "MAIN",
    "NAME",
    "PLACE",
    "SETTINGS",
    "Buckets",
    "for_others",
    "make",
]

COOKIE = "wsgistack_bucket"
COOKIE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MOST_LABELS = 64  # pages of one URL

NAME = "buckets"
PLACE = 50
HELP = "percentages of the visitors, each staying in its bucket; the page cache keeps them apart"
MAIN = "split"
SETTINGS = Table(
    "buckets",
    [
        Setting("split", TEXT, "", "`beta 5%`, or `name: a 30%, b 10% up to 30%; …`"),
        Setting("secret", TEXT, "", "what signs the cookie: the same on every machine, and nobody else's"),
        Setting("cookie", TEXT, COOKIE, "the name of the cookie"),
        Setting(
            "by", TEXT, "", "an environ variable that names the visitor, such as REMOTE_USER; else the cookie"
        ),
        Setting("max_age", DURATION, 1_000_000.0, "how long a browser keeps the cookie"),
    ],
)


def _labels_of(splits: Iterable[Split]) -> tuple[str, ...]:
    """Return every value of the cookie that the application sees."""
    return tuple(map(label_of, product(*[[*split.names, ""] for split in splits])))


def _check_secret(secret: str) -> None:
    if not secret:
        raise SettingError("secret: none is given; it takes 16 characters that nobody can guess")
    if len(secret) < LEAST_SECRET:
        raise SettingError(f"secret: {len(secret)} characters; it takes 16 that nobody can guess")


def _check_cookie(cookie: str) -> None:
    if not COOKIE_NAME.fullmatch(cookie):
        raise SettingError(f"cookie: {cookie!r} is not a name of letters, digits, '_', '.' and '-'")


def _check_by(by: str) -> None:
    if by.startswith("HTTP_"):
        raise SettingError(f"by: {by} is written by the client")


def for_others(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what other components of a stack have to know: the page cache, that the buckets are keys.

    Raises SettingError for more combinations of buckets than a page is worth to be kept in.
    """
    labels = _labels_of(parse_splits(settings.get("split", "")))
    if len(labels) > MOST_LABELS:
        raise SettingError(
            f"split: {len(labels)} combinations of buckets; the page cache keeps at most {MOST_LABELS}"
        )
    return {"page_cache": {"key_cookies": {settings.get("cookie", COOKIE): labels}}}


class Buckets:
    """A WSGI application that tells *app* in which buckets the visitor is.  Settings: see SETTINGS.

    `counts` maps (split, bucket) to the requests of this process.  A cookie that is missing, forged
    or cut is replaced.  Safe for threads and greenlets.
    """

    is_step = True
    at_end = None

    def __init__(
        self,
        app: WSGIApplication,
        *,
        split: str = "",
        secret: str = "",
        cookie: str = COOKIE,
        by: str = "",
        max_age: float = 1_000_000.0,
    ) -> None:
        checks: tuple[Callable[[], object], ...] = (
            partial(parse_splits, split),
            partial(_check_secret, secret),
            partial(_check_cookie, cookie),
            partial(_check_by, by),
        )
        gather(checks)
        self.app = app
        self.splits = parse_splits(split)
        self.labels = _labels_of(self.splits)
        rest = f"; Path=/; Max-Age={int(max_age)}; HttpOnly; SameSite=Lax"
        self._lots = lots = Lots(make_key(secret), self.splits, cookie, rest)
        self._cookie = cookie
        self._read = re.compile(rf"(?:^|;)\s*{re.escape(cookie)}=([A-Za-z0-9_-]+)\.([0-9a-f]+)\s*(?:;|$)")
        self._own = re.compile(rf"(?:^|;)\s*{re.escape(cookie)}\s*(?:=[^;]*)?(?=;|$)")
        self._shares = Shares(self._read_cookies, lots.find, by, lots.greet)
        self.enter = self._shares.enter
        self._steps = Steps((self,))

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Find the visitor's buckets and pass the request on."""
        return self._steps.run(self.app, environ, start_response)

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        """The requests of this process by (split, bucket)."""
        return self._shares.counts

    def _read_cookies(self, cookies: str) -> tuple[str, str]:
        """Return the visitor whom the cookies name, "" for nobody, and what is shown before the label."""
        if not cookies:
            return "", ""
        others = self._own.sub("", cookies).strip("; ")
        return self._visitor(cookies), others and f"{others}; "

    def _visitor(self, cookies: str) -> str:
        found = self._read.search(cookies) if self._cookie in cookies else None
        if found is None or not hmac.compare_digest(found[2], self._lots.mark_of(found[1])):
            return ""
        return found[1]


make = Buckets
