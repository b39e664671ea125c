"""Shedding load in the balancer: the priority of a request, and how many places each may hold.

The words and the shares are those of ratelimit/load.py, whose rules are used; plane/asker.pyx decides.

>>> levels = {"critical": ("/pay/*",), "sheddable": ("header:x-priority=batch",)}
>>> find_level(levels, "/pay/now", None, lambda name: [])
'critical'
>>> find_level(levels, "/", None, {"x-priority": ["batch"]}.get), find_level(levels, "/", None, {}.get)
('sheddable', 'normal')
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from wsgistack.errors import SettingError
from wsgistack.http.forwarded import Address
from wsgistack.http.networks import parse_network
from wsgistack.http.paths import normal_path
from wsgistack.ratelimit.load import shedding
from wsgistack.ratelimit.rates import parse_rates
from wsgistack.ratelimit.rules import Rule
from wsgistack.settings import Value

__all__ = [
    "LEVELS",
    "Mark",
    "check_shedding",
    "find_level",
    "fits",
    "make_rules",
    "parse_marks",
    "parse_shares",
    "read_marks",
    "sheds",
]

LEVELS = ("sheddable", "normal", "critical")  # plane/gates.pxd
MARKED = ("critical", "sheddable")  # by settings; who is marked as both is the first
MOST_MARKS = 8  # plane/gates.pxd
EMPTY_WORDS = ("none", '""', "''")
PATH = re.compile(r"[/*][!-~]{0,254}")
FIELD = re.compile(r"header:([A-Za-z0-9!#$%&'*+.^`|~-]{1,63})(?:=([!-~]{0,255}))?", re.IGNORECASE)

Levels = Mapping[str, Value]


class Mark(NamedTuple):
    """What makes a request one of a level: *by* path, field or network; *text* is a glob, or the network."""

    by: str
    name: str
    text: str


def parse_marks(setting: str, text: str) -> tuple[str, ...]:
    """Return the words of a setting, each checked; SettingError for one that means nothing."""
    if text in EMPTY_WORDS:
        return ()
    words = tuple(dict.fromkeys(_normal(setting, word) for word in re.split(r"[,\s]+", text) if word))
    if len(words) > MOST_MARKS:
        raise SettingError(f"{setting}: {len(words)} marks; at most {MOST_MARKS} fit")
    return words


def parse_shares(text: str) -> str:
    """Return the shares of normal and of sheddable requests; SettingError if they are none.

    >>> parse_shares("0.9 .4")
    '0.9, 0.4'
    """
    words = [word for word in re.split(r"[,\s]+", text) if word]
    if len(words) != 2 or not all(re.fullmatch(r"[01]|[01]?\.[0-9]{1,6}", word) for word in words):
        raise SettingError(f"shares: '{text}' is not two shares of the places, as in 0.8, 0.5")
    shares = ", ".join(f"{float(word):g}" for word in words)
    _shed(1, shares, "load")
    return shares


def _normal(setting: str, word: str) -> str:
    found = FIELD.fullmatch(word)
    if found:
        value = "" if found[2] is None else f"={found[2]}"
        return f"header:{found[1].lower()}{value}"
    if PATH.fullmatch(word) and "?" not in word:
        return word
    try:
        return str(parse_network(word))
    except ValueError:
        forms = "a glob of a path (/pay/*), header:NAME, header:NAME=VALUE or a network (10.0.0.0/8)"
        raise SettingError(f"{setting}: '{word}' is not {forms}") from None


def read_marks(value: Value) -> list[Mark]:
    """Return what the words of a setting mean."""
    assert isinstance(value, tuple)
    return [_read(word) for word in value]


def _read(word: str) -> Mark:
    found = FIELD.fullmatch(word)
    if found:
        return Mark("field", found[1], "*" if found[2] is None else found[2])
    return Mark("path" if word[0] in "/*" else "network", "", word)


def sheds(settings: Levels) -> bool:
    """Tell whether a limit with these settings refuses some requests before others."""
    return any(settings[name] for name in MARKED)


def check_shedding(settings: Levels) -> None:
    """Raise SettingError if the settings of a limit that sheds do not go together."""
    if not sheds(settings):
        return
    rates = parse_rates(str(settings["rate"]))
    if [rate.algorithm for rate in rates] != ["concurrent"]:
        marked = " and ".join(name for name in MARKED if settings[name])
        text = "only a limit with one rate, 'N concurrent', tells critical from sheddable requests"
        raise SettingError(f"{marked}: {text}; its rate is '{settings['rate']}'")


def make_rules(name: str, settings: Levels) -> tuple[Rule, ...]:
    """Return the rules of a limit that sheds, in the order of LEVELS."""
    (rate,) = parse_rates(str(settings["rate"]))
    return _shed(rate.amount, str(settings["shares"]), name)


def _shed(most: int, shares: str, name: str) -> tuple[Rule, ...]:
    normal, sheddable = map(float, shares.split(", "))
    return shedding(most, priority=lambda request: "normal", normal=normal, sheddable=sheddable, name=name)


def find_level(
    settings: Levels, target: str, address: Address | None, lines: Callable[[str], Sequence[str] | None]
) -> str:
    """Return the level of a request; *lines* gives the values of its fields by lower-case name."""
    path = normal_path(unquote(target.partition("?")[0], "latin-1"))
    for level in MARKED:
        for mark in read_marks(settings[level]):
            if mark.by == "field":
                is_marked = any(fits(mark.text, value) for value in lines(mark.name) or ())
            elif mark.by == "path":
                is_marked = fits(mark.text, path)
            else:
                is_marked = address is not None and address in parse_network(mark.text)
            if is_marked:
                return level
    return "normal"


def fits(glob: str, text: str) -> bool:
    """Tell whether *glob* fits the whole text: * stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, glob.split("*"))), text, re.DOTALL) is not None
