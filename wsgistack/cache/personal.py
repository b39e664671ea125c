"""Who is anonymous, decided from the request alone, before anything is looked up or run.

A page is shared only between requests that cannot be told apart: what could tell them apart is either
personal (the request goes past the cache), part of the key, or withheld from the application while
the page is made.  What is in doubt is personal.  Only fields that nobody listed, as User-Agent, are
shown as they came: an application that answers by one of them says so by Vary.

Cookies are read by one strict parser, and the application gets what that parser made of them, not
what came: nobody can say one thing to the cache and another to the application (CVE-2016-7401).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from wsgistack.cache.keys import Names
from wsgistack.cache.signs import (
    IDENTITY_COOKIES,
    IDENTITY_FIELDS,
    IDENTITY_VARIABLES,
    IGNORED_COOKIES,
    KEYED_FIELDS,
    NO_CERTIFICATE,
    WITHHELD_FIELDS,
)
from wsgistack.complaints import gather
from wsgistack.errors import ConfigurationError, SettingError
from wsgistack.http.request import RequestView
from wsgistack.memos import LONGEST, remember

__all__ = [
    "Anonymous",
    "Personal",
    "Visitors",
    "parse_cookies",
]

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Several Cookie lines that a server joined by commas: RFC 9110 §5.3 does not allow it, some do it.
JOINED = re.compile(r",[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+=")
COOKIE_OCTETS = re.compile(r"[!#-+\x2d-:<-\[\]-~]*")  # RFC 6265 §4.1.1
LONGEST_DETAIL = 64
MOST_KINDS = 1024
MOST_KNOWN, LONGEST_KNOWN = 1024, 256
KEY, IGNORED = "key", "ignored"
FRAMES = ("content-length", "transfer-encoding", "upgrade")  # fields by which a request is more than its head

log = logging.getLogger("wsgistack.cache")


class Anonymous(NamedTuple):
    """The request can be answered by a shared page.

    *dimensions*: what tells such pages apart beside the URL.  *cookie*: the Cookie field as the
    application is to see it while the page is made, None for none.
    """

    dimensions: tuple[tuple[str, str | None], ...]
    cookie: str | None


class Personal(NamedTuple):
    """The request goes past the cache.  *why*: a token for Cache-Status, such as `cookie:sessionid`."""

    why: str


def parse_cookies(value: str) -> list[tuple[str, str]] | None:
    """Return the (name, value) pairs of a Cookie field, None where readers could disagree about it.

    Only `;` separates and each part is `name=value`; a quote protects nothing.

    >>> parse_cookies("a=1; _ga=GA1.2.3"), parse_cookies("a=1; nameless")
    ([('a', '1'), ('_ga', 'GA1.2.3')], None)
    """
    pairs = []
    for pair in _read_cookies(value):
        if pair is None:
            return None
        pairs.append(pair)
    return pairs


def _read_cookies(value: str) -> Iterator[tuple[str, str] | None]:
    """Yield the cookies in order; None where readers could disagree about what follows."""
    if "," in value and JOINED.search(value):
        yield None
        return
    for part in value.split(";"):
        part = part.strip(" \t")
        if part:
            name, equals, text = part.partition("=")
            if not equals or not _is_token(name):
                yield None
                return
            yield name, text


@remember(1024)
def _is_token(name: str) -> bool:
    return TOKEN.fullmatch(name) is not None


class Visitors:
    """The rules by which a request is anonymous or personal.  Pure; safe everywhere.

    *strict*: a cookie that is neither ignored nor a key cookie is personal (the default); False: only
    *identity_cookies* are, and the application sees no others while a page is made.
    *key_cookies*, *keyed_fields*: {name: the values that count}; any other value is as none.
    *is_personal(request)*: True or a reason for what only the application knows; what it raises is
    logged, and the request is personal.

    Raises ConfigurationError with everything that cannot be meant.
    """

    _identity: Names
    _ignored: Names
    _key_cookies: dict[str, frozenset[str]]

    def __init__(
        self,
        *,
        strict: bool = True,
        identity_cookies: Iterable[str] = IDENTITY_COOKIES,
        ignored_cookies: Iterable[str] = IGNORED_COOKIES,
        key_cookies: Mapping[str, Iterable[str]] | None = None,
        identity_fields: Iterable[str] = IDENTITY_FIELDS,
        keyed_fields: Mapping[str, Iterable[str]] = KEYED_FIELDS,
        withheld_fields: Iterable[str] = WITHHELD_FIELDS,
        is_personal: Callable[[RequestView], object] | None = None,
    ) -> None:
        steps: tuple[Callable[[], Any], ...] = (
            partial(Names, identity_cookies, setting="identity_cookies", caseless=True),
            partial(Names, ignored_cookies, setting="ignored_cookies"),
            partial(_read_values, key_cookies or {}, setting="key_cookies"),
            partial(_read_values, keyed_fields, setting="keyed_fields"),
            partial(Names, identity_fields, setting="identity_fields", caseless=True),
            partial(Names, withheld_fields, setting="withheld_fields", caseless=True),
            partial(_check_callable, is_personal),
        )
        self._identity, self._ignored, self._key_cookies, keyed, fields, withheld, _ = gather(steps)
        gather(partial(_check_key_cookie, name, self._identity) for name in self._key_cookies)
        self._strict = strict
        self._keyed_fields = {name.lower(): values for name, values in keyed.items()}
        self.owners = {
            name: Personal(_detail("field", name)) for name in fields.patterns
        }  # what each field says
        self._withheld = Names(
            [one for one in withheld.patterns if one not in self._keyed_fields], setting="withheld_fields"
        )
        self._is_personal = is_personal
        self._nobody = tuple([("cookie:" + name, None) for name in self._key_cookies])
        self._unkeyed = tuple([(name, None) for name in self._keyed_fields])
        self.kind_fields = (*self._keyed_fields, "cookie")  # see decide
        self.nobody = Anonymous((*self._unkeyed, *self._nobody), None)
        self.kinds: dict[str, str | Personal] = {}  # of cookies, by name
        self._known: dict[tuple[str, tuple[tuple[str, str | None], ...]], Anonymous] = {}  # see _judge

    @property
    def telling(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The fields and the variables of which any one is personal or must be looked at.

        A request that has none of them is anonymous, so that an edge can ask for all at once.
        """
        return (*self.owners, *self._keyed_fields, "cookie", *FRAMES), IDENTITY_VARIABLES

    def all_dimensions(self) -> Iterator[tuple[tuple[str, str | None], ...]]:
        """Yield the dimensions of every kind of anonymous visitor there can be."""
        keyed = [(name, values) for name, values in self._keyed_fields.items()]
        keyed += [("cookie:" + name, values) for name, values in self._key_cookies.items()]
        for chosen in product(*[(None, *sorted(values)) for _, values in keyed]):
            yield tuple([(name, value) for (name, _), value in zip(keyed, chosen, strict=True)])

    def decide(
        self, request: RequestView, *, tells_nothing: bool = False, tells_kind: bool = False
    ) -> Anonymous | Personal:
        """Return whether *request* is anybody's.

        *tells_nothing*: the edge knows that it has none of what `telling` lists; *tells_kind*: none but `kind_fields`.
        """
        found: Anonymous | Personal = self.nobody
        if not tells_nothing:
            found = self._find_kind(request) if tells_kind else self._look(request)
        if self._is_personal is not None and isinstance(found, Anonymous):
            return self._ask(request) or found
        return found

    def judge_cookies(self, value: str) -> Anonymous | Personal:
        """Return whether a request that has these cookies, and nothing else that tells, is anybody's."""
        get, left = self.kinds.get, value
        while "," not in value:
            name, equals, left = left.partition("=")
            kind = get(name)
            if type(kind) is Personal and equals:
                return kind
            text, semicolon, left = left.partition("; ")  # as browsers write
            if kind is not IGNORED or not equals or ";" in text:
                break  # what is not usual is the strict parser's
            if not semicolon:
                return self.nobody
        return self._judge(value, self._unkeyed)

    def withholds(self, name: str) -> bool:
        """Tell whether the application must not see the field of that lower-case name."""
        return name in self._withheld

    def is_looked_at(self, name: str) -> bool:
        """Tell whether not every value of the field of that lower-case name is shown."""
        return name in self._keyed_fields or name in self._withheld

    def shown(self, name: str, value: str) -> str | None:
        """Return what the application may see of a field while a page is made, None for nothing."""
        values = self._keyed_fields.get(name)
        if values is not None:
            return value if value in values else None
        return None if name in self._withheld else value

    def _find_kind(self, request: RequestView) -> Anonymous | Personal:
        dimensions = [
            (name, value if (value := request.field(name)) in values else None)
            for name, values in self._keyed_fields.items()
        ]
        return self._judge(request.field("cookie") or "", tuple(dimensions))

    def _look(self, request: RequestView) -> Anonymous | Personal:
        found = self._find_kind(request)
        if isinstance(found, Personal):
            return found
        for name, owner in self.owners.items():
            if request.field(name) is not None:
                return owner
        for name in IDENTITY_VARIABLES:
            if request.variable(name) not in (None, *NO_CERTIFICATE):
                return Personal(_detail("variable", name))
        if request.field("content-length") not in (None, "", "0") or request.field("transfer-encoding"):
            return Personal("body")
        if request.field("upgrade") is not None:  # what comes may be a tunnel, which nobody waits for
            return Personal("upgrade")
        return found

    def _judge(self, value: str, dimensions: tuple[tuple[str, str | None], ...]) -> Anonymous | Personal:
        asked = value, dimensions
        known = self._known.get(asked)
        if known is not None:
            return known
        found = self._read(value, dimensions)
        # Not Personal ones, by which `kinds` are learned, nor long ones: they come from clients.
        if isinstance(found, Anonymous) and len(value) <= LONGEST_KNOWN:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[asked] = found
        return found

    def _read(self, value: str, dimensions: tuple[tuple[str, str | None], ...]) -> Anonymous | Personal:
        chosen: dict[str, str] = {}
        for pair in _read_cookies(value):
            if pair is None:
                return Personal("cookie:malformed")
            name, text = pair
            kind = self.kinds.get(name) or self._kind(name)
            if isinstance(kind, Personal):
                return kind
            if kind == KEY:
                if name in chosen:  # which of them counts depends on who reads
                    return Personal(_detail("cookie", name))
                chosen[name] = text
        if not chosen:
            return Anonymous((*dimensions, *self._nobody), None)
        shown = {name: text for name, text in chosen.items() if text in self._key_cookies[name]}
        keyed = [("cookie:" + name, shown.get(name)) for name in self._key_cookies]
        cookie = "; ".join([f"{name}={shown[name]}" for name in self._key_cookies if name in shown])
        return Anonymous((*dimensions, *keyed), cookie or None)

    def _kind(self, name: str) -> str | Personal:
        """Return what the cookie of that name means, and remember it."""
        kind: str | Personal = Personal(_detail("cookie", name))
        if name.lower() not in self._identity:
            if name in self._key_cookies:
                kind = KEY
            elif not self._strict or name in self._ignored:
                kind = IGNORED
        if len(name) <= LONGEST:  # names come from clients
            if len(self.kinds) >= MOST_KINDS:
                self.kinds.clear()
            self.kinds[name] = kind
        return kind

    def _ask(self, request: RequestView) -> Personal | None:
        assert self._is_personal is not None
        try:
            answer = self._is_personal(request)
        except Exception:
            log.exception("is-personal-failed")
            return Personal("callable-failed")
        if isinstance(answer, str) and TOKEN.fullmatch(answer):
            return Personal(_detail("callable", answer))
        return Personal("callable") if answer else None


def _detail(kind: str, name: str) -> str:
    return f"{kind}:{name[:LONGEST_DETAIL]}"


def _check_callable(is_personal: object) -> None:
    if is_personal is not None and not callable(is_personal):
        raise ConfigurationError(f"is_personal: {is_personal!r:.80} can not be called")


def _check_key_cookie(name: str, identity: Names) -> None:
    if name.lower() in identity:
        raise ConfigurationError(f"key_cookies: {name!r} is one of identity_cookies")


def _read_values(given: Mapping[str, Iterable[str]], *, setting: str) -> dict[str, frozenset[str]]:
    """Return the values that count, by name; ConfigurationError for all that no request could say."""
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{setting}: {given!r:.80} is not {{name: the values that count}}")
    read = gather(partial(_read_of, name, values, setting) for name, values in given.items())
    return dict(zip(given, read, strict=True))


def _read_of(name: str, values: Iterable[str], setting: str) -> frozenset[str]:
    if not isinstance(name, str) or TOKEN.fullmatch(name) is None:
        raise ConfigurationError(f"{setting}: {name!r:.80} is not a name")
    if isinstance(values, str):
        raise ConfigurationError(f"{setting}: the values of {name!r} are one text, expected a list")
    if not isinstance(values, Iterable):
        raise ConfigurationError(f"{setting}: the values of {name!r} are {values!r:.80}, expected a list")
    listed = list(values)
    wrong = [
        f"{setting}: {name!r} can not have the value {value!r:.80}"
        for value in listed
        if not isinstance(value, str) or not value or COOKIE_OCTETS.fullmatch(value) is None
    ]
    if wrong:
        raise SettingError(*wrong)
    return frozenset(listed)
