"""The settings of a limit: one table for SET, help, dumpconfig and the docs."""

from __future__ import annotations

import re

from wsgistack.balancer.shedding import parse_marks, parse_shares
from wsgistack.errors import RateError, SettingError
from wsgistack.http.networks import parse_network
from wsgistack.ratelimit.algorithms.concurrent import MOST as MOST_PLACES
from wsgistack.ratelimit.bans import parse_ban
from wsgistack.ratelimit.rates import UNLIMITED, parse_rates
from wsgistack.registry import find_hint
from wsgistack.settings import BOOL, INT, Kind, Setting, Table, Value, make_choice

__all__ = ["COUNTED", "LIMIT_SETTINGS", "MOST_RATES"]

MOST_RATES = 4  # of a limit, see plane/gates.pxd
MOST_NETWORKS = 64
MOST_PATHS = 8  # plane/gates.pxd
MOST_REFUSALS = 500  # of a ban, see plane/limit_kernels.pyx
LONGEST_BURST_US = 100 * 365 * 86_400_000_000
MOST_STAMPS = 500  # of an exact rate: each is 32 bytes of the table
EMPTY_WORDS = ("none", '""', "''")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH")
COUNTED = ("gcra", "fixed", "sliding", "calendar", "exact", "concurrent")  # those with a kernel in the plane
KEYS = ("ip", "service", "global")
FIELD = re.compile(r"header:([A-Za-z0-9!#$%&'*+.^`|~-]{1,63})")  # one with "_" never reaches an application


def _parse_rate(text: str) -> str:
    try:
        rates = parse_rates(text)
    except RateError as error:
        raise SettingError(f"rate: {error}") from None
    if len(rates) > MOST_RATES:
        raise SettingError(f"rate: {len(rates)} rates; at most {MOST_RATES} fit")
    for rate in rates:
        if rate == UNLIMITED and len(rates) > 1:
            raise SettingError(f"rate: {text!r}: 'unlimited' stands alone")
        if rate == UNLIMITED:
            continue
        if rate.algorithm not in COUNTED:
            raise SettingError(f"rate: '{rate}': the balancer counts by {', '.join(COUNTED)} alone")
        if rate.algorithm == "exact" and rate.amount > MOST_STAMPS:
            raise SettingError(
                f"rate: '{rate}': the balancer keeps at most {MOST_STAMPS} stamps; 'sliding' keeps none"
            )
        if rate.algorithm == "concurrent" and rate.amount > MOST_PLACES:
            raise SettingError(f"rate: '{rate}': at most {MOST_PLACES} at once can be counted")
        if rate.at_once:
            raise SettingError(
                f"rate: '{rate}': the balancer does not space a burst; initial_delay is its own way"
            )
        if rate.in_bytes:
            raise SettingError(f"rate: '{rate}': the balancer counts requests, not bytes")
        if rate.burst * rate.window_us > rate.amount * LONGEST_BURST_US:
            raise SettingError(f"rate: '{rate}': its burst takes more than 100 years to come back")
    return "; ".join(map(str, rates))


def _parse_key(text: str) -> str:
    word = text.lower()
    if word in KEYS or FIELD.fullmatch(word):
        return word
    hint = find_hint(word, (*KEYS, "header:x-api-key"))
    raise SettingError(f"key: '{text}' is not one of {', '.join(KEYS)} or header:NAME{hint}")


def _parse_ban(text: str) -> str:
    if text in EMPTY_WORDS:
        return ""
    try:
        ban = parse_ban(text)
    except RateError as error:
        raise SettingError(str(error)) from None
    if ban.refusals > MOST_REFUSALS:
        raise SettingError(f"ban: {ban.refusals} refusals; at most {MOST_REFUSALS} are counted")
    return str(ban)


def _parse_methods(text: str) -> tuple[str, ...]:
    if text in EMPTY_WORDS or text == "*":
        return ()
    words = [word.upper() for word in re.split(r"[,\s]+", text.strip(", "))]
    for word in words:
        if word not in METHODS:
            hint = find_hint(word, METHODS)
            raise SettingError(f"methods: '{word}' is not one of {', '.join(METHODS)}{hint}")
    return tuple(dict.fromkeys(words))


def _parse_path(text: str) -> tuple[str, ...]:
    if text in EMPTY_WORDS:
        return ()
    globs = tuple(dict.fromkeys(word for word in re.split(r"[,\s]+", text) if word))
    for glob in globs:
        if not re.fullmatch(r"[/*][!-~]{0,254}", glob) or "?" in glob:
            raise SettingError(f"path: '{glob}' is not a glob of a path, such as /login or /api/*")
    if len(globs) > MOST_PATHS:
        raise SettingError(f"path: {len(globs)} globs; at most {MOST_PATHS} fit")
    return globs


def _parse_exempt(text: str) -> tuple[str, ...]:
    if text in EMPTY_WORDS:
        return ()
    networks = []
    for word in re.split(r"[,\s]+", text.strip(", ")):
        try:
            networks.append(str(parse_network(word)))
        except ValueError:
            example = "10.0.0.0/8 or 2001:db8::/32"
            raise SettingError(f"exempt: '{word}' is not a network such as {example}") from None
    if len(networks) > MOST_NETWORKS:
        raise SettingError(f"exempt: {len(networks)} networks; at most {MOST_NETWORKS} fit")
    return tuple(networks)


def _show_list(value: Value) -> str:
    assert isinstance(value, tuple)
    return ", ".join(value) or "none"


def _parse_status(text: str) -> int:
    if text.lower() in ("auto", "0"):
        return 0
    if not re.fullmatch(r"[45][0-9]{2}", text):
        raise SettingError(f"status: '{text}' is not a number from 400 to 599, or auto")
    return int(text)


STATUS = Kind("status", _parse_status, lambda value: str(value or "auto"), "")
RATE = Kind("rate", _parse_rate, str, "")
KEY = Kind("key", _parse_key, str, "")
BAN = Kind("ban", _parse_ban, lambda value: str(value) or "none", "")
METHOD_LIST = Kind("methods", _parse_methods, _show_list, "")
PATH_LIST = Kind("paths", _parse_path, _show_list, "")
NETWORK_LIST = Kind("networks", _parse_exempt, _show_list, "")
CRITICAL_MARKS = Kind("marks", lambda text: parse_marks("critical", text), _show_list, "")
SHEDDABLE_MARKS = Kind("marks", lambda text: parse_marks("sheddable", text), _show_list, "")
SHARES = Kind("shares", parse_shares, str, "")
FIELDS = make_choice(lambda: ("draft10", "none"), "headers: '{text}' is not known")

LIMIT_SETTINGS = Table(
    "limit",
    [
        Setting(
            "rate", RATE, "unlimited", "how much, such as 100/minute; 5/second burst 10; see ratelimit.md"
        ),
        Setting("key", KEY, "ip", "who shares it: ip, header:NAME (and ip), service, global"),
        Setting(
            "status", STATUS, 0, "of a refusal: 400 to 599, or auto, 503 for concurrent and 429 for the rest"
        ),
        Setting("dry_run", BOOL, False, "refuse nobody, but count who would have been"),
        Setting("exempt", NETWORK_LIST, (), "networks that it is not about"),
        Setting(
            "path", PATH_LIST, (), "globs of the decoded path that it is about, such as /api/*; none for all"
        ),
        Setting("methods", METHOD_LIST, (), "methods that it is about, none for all; GET means HEAD too"),
        Setting(
            "critical",
            CRITICAL_MARKS,
            (),
            "what is refused last where the rate is concurrent: globs of paths, header:NAME=GLOB, networks",
        ),
        Setting(
            "sheddable", SHEDDABLE_MARKS, (), "what is refused first, by the same words; the rest is normal"
        ),
        Setting(
            "shares", SHARES, "0.8, 0.5", "of the places that normal and sheddable requests may hold then"
        ),
        Setting("cost", INT, 1, "units that a request takes", least=1, most=10**6),
        Setting(
            "ban",
            BAN,
            "",
            "shut out who is refused too often, such as 10 in 1 hour for 15 minutes up to 1 day",
        ),
        Setting(
            "count_refused", BOOL, False, "count refused requests too: who does not wait is never served"
        ),
        Setting("meter", BOOL, True, "count its requests by key and hour where SERVER usage_folder says so"),
        Setting("headers", FIELDS, "draft10", "tell clients what is left: draft10 (RateLimit) or none"),
        Setting(
            "ipv6_prefix", INT, 64, "leading bits of an IPv6 address that are one client", least=1, most=128
        ),
        Setting(
            "ipv4_prefix", INT, 32, "leading bits of an IPv4 address that are one client", least=1, most=32
        ),
    ],
)
