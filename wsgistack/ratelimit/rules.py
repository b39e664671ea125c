"""Rules: which requests a limit is about, who shares it, and what a request costs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from wsgistack.complaints import gather
from wsgistack.errors import RateError, SettingError
from wsgistack.http.paths import compile_globs, host_name, path_readings
from wsgistack.http.request import RequestView
from wsgistack.ratelimit.algorithms import make_counter
from wsgistack.ratelimit.bans import parse_ban
from wsgistack.ratelimit.clients import Key, client_ip
from wsgistack.ratelimit.rates import UNLIMITED, Rate, parse_rates

__all__ = ["Rule", "check_counted", "check_names", "policy_names"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # it stands in fields, logs and stores
METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110 §5.6.2
MOST_COST = 10**9
STATUSES = re.compile(r"[1-5](?:[0-9]{2}|xx)")

# Fields that gunicorn and Werkzeug's ProxyFix take a mount point from.
MOUNTING = ("script-name", "x-forwarded-prefix")

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

    Raises SettingError with everything that cannot be meant; RateError where that is a limit alone.
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
    status: int = 0  # 429, or 503 where it is for concurrency
    count_refused: bool = False
    ban: str = ""
    dry_run: bool = False
    tell: bool = True

    def __post_init__(self) -> None:
        gather(partial(check, self) for check in CHECKS)

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
        """What tells whether the rule is about a request, None if it is about all.

        It is as soon as one reading of the path fits: an application may have that one.
        """
        tests = [*_path_test(_words(self.path), any), *_host_test(_words(self.host))]
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

    @property
    def is_surely_about(self) -> Callable[[RequestView], bool] | None:
        """What tells whether the path of a request that the rule is about fits in every reading, None if
        it always does: what is `unlimited` in one of them only is limited by the rules behind.
        """
        return next(iter(_path_test(_words(self.path), all)), None)

    def extra_units(self, status: int) -> int:
        """Return what *charge* says for a response's status; the exact one before its class."""
        charge = self.charge or {}
        return charge.get(str(status), charge.get(f"{status // 100}xx", 0))

    def _parse(self, text: str) -> tuple[Rate, ...]:
        if not isinstance(text, str):
            raise SettingError(f"rule {self.name}: rate: {text!r:.80} is not a text such as '100/minute'")
        try:
            rates = parse_rates(text)
        except RateError as error:
            told = RateError(f"rule {self.name}: {error}", column=error.column)
            told.nearest = error.nearest
            raise told from None
        if UNLIMITED in rates and len(rates) > 1:
            raise RateError(f"rule {self.name}: {text!r}: 'unlimited' stands alone")
        return rates


def check_names(names: Iterable[object]) -> None:
    """Raise SettingError with each name that two rules have."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise SettingError(*(f"rule {name}: two rules have this name" for name in twice))


def check_counted(rates: Iterable[Rate]) -> None:
    """Raise RateError for a rate that cannot be counted, such as an exact one of very many."""
    for rate in rates:
        if rate != UNLIMITED:
            make_counter(rate)


def policy_names(rule: str, rates: Iterable[Rate]) -> list[str]:
    """Return the names of a rule's limits, as RateLimit-Policy tells them: api, api-2, api-3.

    >>> policy_names("api", parse_rates("100/hour; 5/s"))
    ['api', 'api-2']
    """
    return [rule if number == 1 else f"{rule}-{number}" for number, _ in enumerate(rates, 1)]


def _check_name(rule: Rule) -> None:
    if not isinstance(rule.name, str) or not NAME.fullmatch(rule.name):
        text = f"rule {rule.name!r:.80}: a name has up to 64 letters, digits, '.', '_' and '-', and no space"
        raise SettingError(text)


def _check_rates(rule: Rule) -> None:
    tiers = rule.tiers or {}
    if not isinstance(tiers, Mapping):
        raise SettingError(f"rule {rule.name}: tiers: {tiers!r:.80} is not a mapping of names to rates")
    gather(partial(_check_rate, rule, text) for text in (rule.rate, *tiers.values()))


def _check_rate(rule: Rule, text: str) -> None:
    """Check one text, and that each of its rates can be counted."""
    rates = rule._parse(text)
    try:
        check_counted(rates)
    except RateError as error:
        raise RateError(f"rule {rule.name}: {error}") from None


def _check_ban(rule: Rule) -> None:
    if not isinstance(rule.ban, str):
        raise SettingError(f"rule {rule.name}: ban: {rule.ban!r:.80} is not a text")
    if rule.ban:
        try:
            parse_ban(rule.ban)
        except RateError as error:
            raise RateError(f"rule {rule.name}: {error}") from None


def _check_words(rule: Rule) -> None:
    """Check what a rule is about: texts with spaces between the words, or lists of words."""
    given = {"methods": rule.methods, "path": rule.path, "host": rule.host}
    lists = {name: value for name, value in given.items() if isinstance(value, Iterable)}
    wrong = [
        f"{name}: {value!r:.80} is neither a text nor a list"
        for name, value in given.items()
        if name not in lists
    ]
    wrong += [
        f"methods: {method!r:.80} is no method"
        for method in _words(lists.get("methods", ()))
        if not METHOD.fullmatch(method)
    ]
    wrong += [
        f"path: {path!r:.80} does not begin with '/' or '*'"
        for path in _words(lists.get("path", ()))
        if not path.startswith(("/", "*"))
    ]
    _refuse(rule, wrong)


def _check_numbers(rule: Rule) -> None:
    wrong = []
    if not callable(rule.cost) and not _is_count(rule.cost, 0, MOST_COST):
        wrong.append(f"cost: {rule.cost!r:.80} is not from 0 to 10**9, nor a function of the request")
    if not _is_count(rule.status, 400, 599) and rule.status != 0:
        wrong.append(f"status: {rule.status!r:.80} is no error (400 to 599)")
    charge = rule.charge or {}
    if not isinstance(charge, Mapping):
        wrong.append(f"charge: {charge!r:.80} is not a mapping of statuses to units")
        charge = {}
    wrong += [
        f"charge: {status!r:.80}: {units!r:.80} is not a status such as '404' or '5xx' and a number"
        for status, units in charge.items()
        if not (isinstance(status, str) and STATUSES.fullmatch(status))
        or isinstance(units, bool)
        or not isinstance(units, int)
    ]
    _refuse(rule, wrong)


def _check_flags(rule: Rule) -> None:
    flags = {"count_refused": rule.count_refused, "dry_run": rule.dry_run, "tell": rule.tell}
    _refuse(
        rule,
        [
            f"{name}: {value!r:.80} is neither True nor False"
            for name, value in flags.items()
            if not isinstance(value, bool)
        ],
    )


def _check_functions(rule: Rule) -> None:
    wrong = []
    if not callable(rule.key):
        wrong.append(f"key: {rule.key!r:.80} is no key function such as wsgistack.ratelimit.client_ip")
    for name, value in (("tier", rule.tier), ("exempt", rule.exempt)):
        if value is not None and not callable(value):
            wrong.append(f"{name}: {value!r:.80} is no function of the request")
    if rule.tiers and rule.tier is None:
        wrong.append("tiers without tier, which names one of them for a request")
    if rule.tier is not None and not rule.tiers:
        wrong.append("tier without tiers, which say the rate of each")
    _refuse(rule, wrong)


CHECKS: tuple[Callable[[Rule], None], ...] = (
    _check_name,
    _check_rates,
    _check_ban,
    _check_words,
    _check_numbers,
    _check_flags,
    _check_functions,
)


def _refuse(rule: Rule, wrong: list[str]) -> None:
    """Raise SettingError if something is *wrong*, a text each."""
    if wrong:
        raise SettingError(*(f"rule {rule.name}: {text}" for text in wrong))


def _is_count(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _words(given: str | Iterable[str]) -> list[str]:
    return given.split() if isinstance(given, str) else [str(word) for word in given]


Test = Callable[[RequestView], bool]


def _path_test(patterns: list[str], fit: Callable[[Iterable[bool]], bool]) -> list[Test]:
    """Return the test of paths, if there are patterns; *fit*: `any` or `all`, of the readings of a path.

    What follows a mount point is a reading too: that is what applications go by, and the mount point may
    be a client's word, as gunicorn takes it from a field SCRIPT_NAME that a proxy lets through.
    """
    if not patterns:
        return []
    fits = compile_globs(patterns).fullmatch
    is_for_all = fit is all

    def test(request: RequestView) -> bool:
        path = request.path
        paths = path_readings(path)
        mount = request.variable("SCRIPT_NAME")
        if mount and not (is_for_all and _is_of_the_server(request)):
            paths += path_readings(path[len(mount) :] or "/")
        if len(paths) == 1:
            return fits(paths[0]) is not None
        return fit([fits(path) is not None for path in paths])

    return [test]


def _is_of_the_server(request: RequestView) -> bool:
    """Tell whether no field of the request can have said where the application is mounted."""
    return all(request.field(name) is None for name in MOUNTING)


def _host_test(patterns: list[str]) -> list[Test]:
    if not patterns:
        return []
    fits = compile_globs([pattern.lower() for pattern in patterns]).fullmatch
    return [lambda request: fits(host_name(request.host)) is not None]
