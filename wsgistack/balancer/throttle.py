"""Perlbal's Throttle plugin: what its tunables mean, and what workers are told of them.

plane/throttle.pyx has the states of an address and holds requests; here is nothing that runs for one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from wsgistack.balancer.limit import Limit
from wsgistack.balancer.limit_settings import LIMIT_SETTINGS
from wsgistack.errors import SettingError
from wsgistack.settings import Value

__all__ = [
    "BANNED",
    "EVENTS",
    "next_delay_s",
    "parse_events",
    "parse_pattern",
    "throttle_as_wire",
    "to_posix",
]

EVENTS = (
    "ban",
    "unban",
    "whitelisted",
    "blacklisted",
    "concurrent",
    "throttled",
    "banned",
)  # plane/events.pxd
EMPTY_WORDS = ("none", '""', "''")
CLASSES = {"d": "0-9", "w": "[:alnum:]_", "s": "[:space:]"}
LONGEST_PATTERN = 255
BANNED = -1  # plane/throttle.pyx
MOST_DOUBLINGS = 40
TOKEN = re.compile(
    r"\\(?P<escape>.)|(?P<extension>\(\?)|(?P<lazy>[*+?}][?+])|(?P<open>\[\^?\]?)|.", re.DOTALL
)


def parse_events(text: str) -> str:
    """Return the words of log_events, `all` as all of them.

    >>> parse_events("ban,throttled"), parse_events("none")
    ('ban, throttled', 'none')
    """
    words = [word for word in re.split(r"[,\s]+", text.lower()) if word]
    for word in words:
        if word not in (*EVENTS, "all", "none"):
            raise SettingError(f"log_events: '{word}' is not one of {', '.join(EVENTS)}, all or none")
    if "all" in words:
        return ", ".join(EVENTS)
    return ", ".join(word for word in EVENTS if word in words) or "none"


def parse_pattern(name: str, text: str) -> str:
    """Return a pattern as it was written; SettingError for one that workers cannot search by."""
    if text in EMPTY_WORDS:
        return ""
    if len(text) > LONGEST_PATTERN:
        raise SettingError(f"{name}: {len(text)} characters; at most {LONGEST_PATTERN} fit")
    try:
        re.compile(text)
        to_posix(text)
    except re.error as error:
        raise SettingError(f"{name}: '{text}': {error}") from None
    except ValueError as error:
        raise SettingError(f"{name}: '{text}': {error}") from None
    return text


def to_posix(pattern: str) -> str:
    r"""Return a pattern of Perl as an extended one of POSIX, which never runs away; ValueError for what has no such form.

    >>> to_posix(r"^/w\d+\.php$"), to_posix(r"[\w-]")
    ('^/w[0-9]+\\.php$', '[[:alnum:]_-]')
    """
    out, at = "", 0
    while at < len(pattern):
        found = TOKEN.match(pattern, at)
        assert found is not None
        at = found.end()
        if found["extension"] or found["lazy"]:
            raise ValueError(
                f"'{found[0]}' is Perl's alone; write it by ( | ) [ ] * + ? {{ }} ^ $ . \\d \\w \\s"
            )
        if found["escape"]:
            out += _escape(found["escape"])
        elif found["open"]:
            body, at = _bracket(pattern, at)
            out += found[0] + body
        else:
            out += found[0]
    return out


def _escape(letter: str) -> str:
    if letter.lower() in CLASSES:
        return f"[{'^' if letter.isupper() else ''}{CLASSES[letter.lower()]}]"
    if letter.isalnum():
        raise ValueError(f"'\\{letter}' is Perl's alone; \\d, \\w and \\s are known")
    return f"\\{letter}"


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    """Return what is between [ and its ], the latter included, and where that ends."""
    out = ""
    while pattern[at] != "]":
        if pattern[at] == "\\":
            letter, at = pattern[at + 1], at + 1
            if (letter.isalnum() and letter not in CLASSES) or letter in "]^-\\":
                raise ValueError(f"'\\{letter}' within [ ] has no form that every library reads alike")
            out += CLASSES.get(letter, letter)
        else:
            out += pattern[at]
        at += 1
    return out + "]", at + 1


def next_delay_s(rules: Mapping[str, Any], state: tuple[int, int, int], now: int) -> float:
    """Return by how many seconds the next request of an address is delayed, -1 if it is banned or will be.

    *rules* are what workers are told, *state* and *now* as the table of limits has them; the twin of
    plane/throttle.pyx.
    """
    ends, last, violations = state
    if ends <= now or (violations == 0 and now >= last + rules["threshold_us"]):
        return 0.0
    if violations == BANNED:
        return BANNED
    if violations and now >= last + _delay_us(rules, violations):
        violations = 0
    if rules["ban_after"] and violations + 1 >= rules["ban_after"]:
        return BANNED
    return _delay_us(rules, violations + 1) / 1e6


def _delay_us(rules: Mapping[str, Any], violations: int) -> int:
    return min(int(rules["initial_us"]) << min(violations - 1, MOST_DOUBLINGS), int(rules["longest_us"]))


def throttle_as_wire(service: str, settings: Mapping[str, Value]) -> dict[str, Any] | None:
    """Return what workers are told, None for a service without the plugin."""
    if settings.get("plugins") != "throttle":
        return None

    def us(name: str) -> int:
        return int(str(settings[name])) * 1_000_000

    events = str(settings["log_events"])
    return {
        "threshold_us": us("throttle_threshold_seconds"),
        "initial_us": us("initial_delay"),
        "longest_us": us("max_delay"),
        "ban_us": us("ban_expiration"),
        "ban_after": int(str(settings["ban_threshold"])),
        "events": [] if events == "none" else events.split(", "),
        "path": to_posix(str(settings["path_regex"])),
        "method": to_posix(str(settings["method_regex"])),
        "limit": _make_limit(str(settings["instance_name"]) or service, int(str(settings["max_concurrent"]))),
    }


def _make_limit(instance: str, most: int) -> dict[str, Any]:
    """Return the limit whose table has the states, and whose texts are the answers: 403 for a ban, else 503."""
    given = {"rate": f"{most} concurrent", "headers": "none", "meter": "off"}
    wires = [
        Limit(
            "throttle",
            0,
            LIMIT_SETTINGS.defaults() | {k: LIMIT_SETTINGS.parse(k, v) for k, v in texts.items()},
        ).as_wire()
        for texts in ({**given, "status": "403"}, given)
    ]
    rates = [wires[0]["rates"][0], wires[1]["rates"][1]]
    for number, rate in enumerate(rates):
        text = f"throttle {instance} {number}"
        rate["id"] = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
    return {**wires[1], "rates": rates}
