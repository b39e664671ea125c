"""Rules: which requests a limit is about, who shares it, and what a request costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from wsgistack.errors import RateError, SettingError
from wsgistack.http.paths import compile_globs, host_name, normal_path
from wsgistack.http.request import RequestView
from wsgistack.ratelimit.bans import parse_ban
from wsgistack.ratelimit.clients import Key, client_ip
from wsgistack.ratelimit.rates import UNLIMITED, Rate, parse_rates

__all__ = ["Rule", "policy_names"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # it stands in fields, logs and stores
METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110 §5.6.2
STATUSES = re.compile(r"[1-5](?:[0-9]{2}|xx)")

Cost = int | Callable[[RequestView], int]


@dataclass(frozen=True, eq=False)
class Rule:
    """One rule: *rate* limits each key that *key* gives, for the requests that the rule is about.

    *rate*: the language of rates.py; several limits are granted together or not at all.
    `unlimited` lets what it is about pass the rules that stand behind it.
    *path*: globs of the decoded path, `*` for anything; *methods*: words; *host*: globs.  All must fit.
    *cost*: units that a request takes, or a function of the request.  *charge*: {status: units} used
    or (negative) given back when the response is known; statuses such as "404" or "5xx".
    *tier(request)* names one of *tiers*, {name: rate}, that stands in the place of *rate*.
    *exempt(request)*: whom the rule is not about.  *status*: of a refusal.
    *count_refused*: a refused request is counted too, so that who does not wait is never served.
    *ban*: shut out whom the rule refuses too often, in the language of bans.py; while the ban lasts
    nothing of the rule's other limits is looked at.
    *dry_run*: refuses nobody, but counts what it would have refused.
    *tell*: clients read in the response's fields what is left for them.
    """

    name: str
    rate: str
    path: str | Iterable[str] = ()
    methods: str | Iterable[str] = ()
    host: str | Iterable[str] = ()
    key: Key = client_ip
    cost: Cost = 1
    charge: Mapping[str, int] | None = None
    tier: Callable[[RequestView], str | None] | None = None
    tiers: Mapping[str, str] | None = None
    exempt: Callable[[RequestView], bool] | None = None
    status: int = 0  # 429, or 503 where all its limits are concurrent
    count_refused: bool = False
    ban: str = ""
    dry_run: bool = False
    tell: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise SettingError(f"rule {self.name!r}: a name has up to 64 letters, digits, '.', '_' and '-'")
        for text in (self.rate, *(self.tiers or {}).values()):
            self._parse(text)
        if self.ban:
            parse_ban(self.ban)
        for method in _words(self.methods):
            if not METHOD.fullmatch(method):
                raise SettingError(f"rule {self.name}: methods: {method!r} is no method")
        for path in _words(self.path):
            if not path.startswith(("/", "*")):
                raise SettingError(f"rule {self.name}: path: {path!r} does not begin with '/' or '*'")
        if isinstance(self.cost, int) and not 0 <= self.cost <= 10**9:
            raise SettingError(f"rule {self.name}: cost: {self.cost} is not from 0 to 10**9")
        for status, units in (self.charge or {}).items():
            if not STATUSES.fullmatch(status) or not isinstance(units, int):
                text = f"charge: {status!r}: {units!r} is not a status such as '404' or '5xx' and a number"
                raise SettingError(f"rule {self.name}: {text}")
        if self.tiers and self.tier is None:
            raise SettingError(f"rule {self.name}: tiers without tier, which names one of them for a request")
        if self.tier is not None and not self.tiers:
            raise SettingError(f"rule {self.name}: tier without tiers, which say the rate of each")
        if self.status and not 400 <= self.status <= 599:
            raise SettingError(f"rule {self.name}: status: {self.status} is no error (400 to 599)")

    @property
    def rates(self) -> tuple[Rate, ...]:
        """The limits of *rate*."""
        return self._parse(self.rate)

    @property
    def tier_rates(self) -> dict[str, tuple[Rate, ...]]:
        """The limits of each tier."""
        return {name: self._parse(text) for name, text in (self.tiers or {}).items()}

    @property
    def is_about(self) -> Callable[[RequestView], bool] | None:
        """What tells whether the rule is about a request, None if it is about all."""
        tests = [*_path_test(_words(self.path)), *_host_test(_words(self.host))]
        methods = frozenset(method.upper() for method in _words(self.methods))
        if methods:
            # HEAD is GET without a body (RFC 9110 §9.3.2): it must not be a way around.  Nor must `post`,
            # which some servers let pass and applications take for POST.
            also = methods | {"HEAD"} if "GET" in methods else methods
            tests.append(lambda request: request.method.upper() in also)
        if self.exempt is not None:
            exempt = self.exempt
            tests.append(lambda request: not exempt(request))
        if not tests:
            return None
        if len(tests) == 1:
            return tests[0]
        return lambda request: all(test(request) for test in tests)

    def extra_units(self, status: int) -> int:
        """Return what *charge* says for a response's status; the exact one before its class."""
        charge = self.charge or {}
        return charge.get(str(status), charge.get(f"{status // 100}xx", 0))

    def _parse(self, text: str) -> tuple[Rate, ...]:
        try:
            rates = parse_rates(text)
        except RateError as error:
            error.add_note(f"in the rule {self.name!r}")
            raise
        if UNLIMITED in rates and len(rates) > 1:
            raise RateError(f"rule {self.name}: {text!r}: 'unlimited' stands alone")
        return rates


def policy_names(rule: str, rates: Iterable[Rate]) -> list[str]:
    """Return the names of a rule's limits, as RateLimit-Policy tells them: api, api-2, api-3.

    >>> policy_names("api", parse_rates("100/hour; 5/s"))
    ['api', 'api-2']
    """
    return [rule if number == 1 else f"{rule}-{number}" for number, _ in enumerate(rates, 1)]


def _words(given: str | Iterable[str]) -> list[str]:
    return given.split() if isinstance(given, str) else [str(word) for word in given]


Test = Callable[[RequestView], bool]


def _path_test(patterns: list[str]) -> list[Test]:
    if not patterns:
        return []
    fits = compile_globs(patterns).fullmatch
    return [lambda request: fits(normal_path(request.path)) is not None]


def _host_test(patterns: list[str]) -> list[Test]:
    if not patterns:
        return []
    fits = compile_globs([pattern.lower() for pattern in patterns]).fullmatch
    return [lambda request: fits(host_name(request.host)) is not None]
