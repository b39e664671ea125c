"""Settings as a table: name, kind, default, help; everything else is read off it.

A Kind reads a value from text and writes it back; a Setting is one row; a Table is a
component's rows by name.  The same table feeds SET, help, dumpconfig and the docs.

>>> table = Table("service", [Setting("buffer_size", SIZE, 262144, "bytes kept for a slow client")])
>>> table.parse("buffer_size", "120k")
122880
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from wsgistack.complaints import gather
from wsgistack.errors import SettingError, UnknownName
from wsgistack.http.networks import parse_network
from wsgistack.registry import find_nearest

__all__ = [
    "BOOL",
    "DURATION",
    "FLAG",
    "HOST",
    "INT",
    "NETWORKS",
    "NUMBER",
    "SIZE",
    "STATUSES",
    "TARGET",
    "TEXT",
    "WORDS",
    "Kind",
    "Setting",
    "Table",
    "Value",
    "make_choice",
    "make_networks",
    "parse_statuses",
]

Value = bool | int | float | str | tuple[str, ...]

LONGEST_DURATION_S = 2_000_000  # 23 days: what the plane's milliseconds hold
LARGEST_SIZE = 2**40
LARGEST_INT = 2**31 - 1
MOST_NETWORKS = 64
LONGEST_TEXT = 255
MOST_LISTED = 30  # names that a complaint about an unknown one lists

TRUE_WORDS = ("1", "true", "on", "yes")
FALSE_WORDS = ("0", "false", "off", "no")
EMPTY_WORDS = ('""', "''")
SIZE_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024 * 1024}
DURATION_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Kind:
    """How values of one kind are read from text and written as text.

    `parse` raises ValueError; a SettingError of its own passes, everything else becomes
    *complaint* (Perlbal's words), in which `{name}` stands for the setting's name.
    """

    name: str
    parse: Callable[[str], Value]
    show: Callable[[Value], str]
    complaint: str
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: what a name means.

    *role*: the service role it belongs to, "*" for all.  *least* and *most* bound numbers.
    *available*: False for what is known but not built yet; only the default is accepted.
    *sets*: the settings that it stands for, when it is only another name for them.
    """

    name: str
    kind: Kind
    default: Value
    help: str
    role: str = "*"
    least: float | None = None
    most: float | None = None
    available: bool = True
    sets: tuple[str, ...] = ()


class Table:
    """The settings of one component, in the order in which they are shown."""

    def __init__(self, owner: str, rows: Iterable[Setting]) -> None:
        self.owner = owner
        self._rows = {row.name: row for row in rows}

    def __iter__(self) -> Iterator[Setting]:
        return iter(self._rows.values())

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def get(self, name: str) -> Setting:
        """Return the row of that name, or raise UnknownName with the nearest."""
        if name not in self._rows:
            nearest = find_nearest(name, self._rows)
            few = nearest is None and len(self._rows) <= MOST_LISTED
            all_of_few = f" (one of {', '.join(self._rows)})" if few else ""
            text = f"Unknown {self.owner} parameter '{name}'{all_of_few}"
            raise UnknownName(text, met=name, nearest=nearest)
        return self._rows[name]

    def parse(self, name: str, text: str) -> Value:
        """Return the value that *text* means for *name*.

        Raises UnknownName for a name that the table lacks and SettingError for a value that does
        not fit, or that differs from the default of a setting that is not available yet.
        """
        return _parse(self.get(name), text)

    def read(self, name: str, value: object) -> Value:
        """Return what *value* means for *name*: text as `parse` has it, or a value of the row's own type.

        A list or tuple of words stands for the text with commas between them, a path for its text.
        Raises as `parse` does.
        """
        row = self.get(name)
        if isinstance(value, os.PathLike) and isinstance(row.default, str):
            value = os.fsdecode(value)
        if isinstance(value, str):
            is_empty = not value and (row.kind is TEXT or isinstance(row.default, tuple))
            return _parse(row, EMPTY_WORDS[0] if is_empty else value, met=_show_met(row, value))
        if isinstance(value, list | tuple | set | frozenset) and isinstance(row.default, tuple):
            return self.parse(name, ", ".join(map(str, value)) or '""')
        own = (int, float) if isinstance(row.default, float) else type(row.default)
        if (
            not isinstance(value, own)
            or isinstance(value, bool) is not isinstance(row.default, bool)
            or (isinstance(value, float) and not math.isfinite(value))
        ):
            of_text = "Expecting a text for parameter '{name}'"  # its own is about the characters of one
            told = of_text if row.kind is TEXT else row.kind.complaint
            raise SettingError(told.format(name=row.name, text=value) + _show_met(row, value))
        return _parse(row, row.kind.show(value), met=_show_met(row, value))

    def show(self, name: str, value: Value) -> str:
        """Return the text that `parse` reads as *value*."""
        return self.get(name).kind.show(value)

    def defaults(self) -> dict[str, Value]:
        """Return {name: default} of everything that can be set and is not another's name."""
        return {row.name: row.default for row in self if row.available and not row.sets}


def _parse(row: Setting, text: str, *, met: str = "") -> Value:
    """Return the value of *text*; *met*: how the complaint about one that is none ends."""
    try:
        value = row.kind.parse(text)
    except SettingError:
        raise
    except ValueError:
        raise SettingError(row.kind.complaint.format(name=row.name, text=text) + met) from None
    _check_range(row, value)
    if not row.available and value != row.default:
        raise SettingError(_not_available(row))
    return value


def _show_met(row: Setting, value: object) -> str:
    """Return what a complaint says of *value*: nobody reads in a log what a secret is."""
    return f", not {type(value).__name__}" if row.name.endswith("secret") else f", not {value!r:.80}"


def _not_available(row: Setting) -> str:
    default = row.kind.show(row.default)
    only = "" if row.default in ("", ()) else f", only its default {default} is accepted"
    return f"'{row.name}' is not available yet{only}"


def _check_range(row: Setting, value: Value) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    least = 0 if row.least is None else row.least
    if value < least:
        raise SettingError(f"{row.name}: {row.kind.show(value)} is below {_bound(row, least)}")
    most = row.kind.most if row.most is None else row.most
    if most is not None and value > most:
        raise SettingError(f"{row.name}: {row.kind.show(value)} is above {_bound(row, most)}")


def _bound(row: Setting, bound: float) -> str:
    return row.kind.show(int(bound) if bound == int(bound) else bound)


def parse_statuses(text: str) -> tuple[tuple[int, int], ...]:
    """Return the ranges of `200-399` or `200,204,300-399` as (first, last); raises ValueError."""
    ranges = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        low, high = int(first), int(last if dash else first)
        if not 100 <= low <= high <= 599:
            raise ValueError(f"{part!r} is not a range of statuses")
        ranges.append((low, high))
    return tuple(ranges)


def _parse_bool(text: str) -> bool:
    word = text.lower()
    if word not in TRUE_WORDS + FALSE_WORDS:
        raise ValueError(text)
    return word in TRUE_WORDS


def _parse_int(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError(text)
    return int(text)


def _parse_size(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,15}) ?([bkm]?)", text, re.IGNORECASE)
    if not found:
        raise ValueError(text)
    return int(found[1]) * SIZE_UNITS[found[2].lower()]


def _show_size(value: Value) -> str:
    assert isinstance(value, int)
    for unit in ("m", "k"):
        if value and value % SIZE_UNITS[unit] == 0:
            return f"{value // SIZE_UNITS[unit]}{unit}"
    return str(value)


def _parse_duration(text: str) -> float:
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(ms|s|m|h|)", text, re.IGNORECASE)
    if not found:
        raise ValueError(text)
    return round(float(found[1]) * DURATION_UNITS[found[2].lower()], 6)


def _show_duration(value: Value) -> str:
    assert isinstance(value, int | float)
    if value == int(value):
        return str(int(value))
    if round(value * 1000, 3) == int(value * 1000):
        return f"{int(value * 1000)}ms"
    return f"{value:.6f}".rstrip("0")


def _parse_number(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,3})?", text, re.ASCII):
        raise ValueError(text)
    return float(text)


def _parse_text(text: str) -> str:
    if text in EMPTY_WORDS:
        return ""
    if len(text) > LONGEST_TEXT or not re.fullmatch(r"[ -~\xa0-\xff]+", text):
        raise ValueError(text)
    return text


def _parse_target(text: str) -> str:
    if len(text) > LONGEST_TEXT or not re.fullmatch(r"\*|/[!-~]*", text):
        raise ValueError(text)
    return text


def _parse_host(text: str) -> str:
    if text in EMPTY_WORDS:
        return ""
    if len(text) > LONGEST_TEXT or not re.fullmatch(r"[A-Za-z0-9._:\[\]-]+", text):
        raise ValueError(text)
    return text


def _show_text(value: Value) -> str:
    return str(value) or '""'


def _parse_flag(text: str) -> int:
    if text not in ("0", "1"):
        raise ValueError(text)
    return int(text)


def _parse_statuses_text(text: str) -> str:
    return ",".join(f"{a}-{b}" if a != b else str(a) for a, b in parse_statuses(text))


def make_networks(complaint: str) -> Kind:
    """Return the kind of a list of networks, separated by commas or spaces; a bare address is a /32 or /128.

    *complaint*: what is said of each `{word}` that is none.
    """

    def parse_one(word: str) -> str:
        try:
            return str(parse_network(word))
        except ValueError:
            raise SettingError(complaint.format(word=word)) from None

    def parse(text: str) -> tuple[str, ...]:
        if text in (*EMPTY_WORDS, "none"):
            return ()
        networks = gather(partial(parse_one, word) for word in re.split(r"[,\s]+", text.strip(", ")))
        if len(networks) > MOST_NETWORKS:
            raise SettingError(f"{len(networks)} networks; at most {MOST_NETWORKS} fit")
        return tuple(networks)

    return Kind("networks", parse, _show_networks, "Expecting networks for parameter '{name}'")


def _show_networks(value: Value) -> str:
    assert isinstance(value, tuple)
    return ", ".join(value) or '""'


def _parse_words(text: str) -> tuple[str, ...]:
    if text in EMPTY_WORDS:
        return ()
    words = tuple(re.split(r"[,\s]+", text.strip(", ")))
    if not all(re.fullmatch(r"[!-~]{1,255}", word) for word in words):
        raise ValueError(text)
    return words


def make_choice(words: Callable[[], Iterable[str]], complaint: str) -> Kind:
    """Return the kind of a setting that takes one of *words*, in any case."""

    def parse(text: str) -> str:
        word = text.lower()
        if word not in set(words()):
            nearest = find_nearest(word, words())
            hint = f" (did you mean '{nearest}'?)" if nearest else f" (one of {', '.join(sorted(words()))})"
            raise SettingError(complaint.format(text=text) + hint)
        return word

    return Kind("choice", parse, str, complaint)


BOOL = Kind(
    "bool",
    _parse_bool,
    lambda value: "on" if value else "off",
    "Expecting boolean value for parameter '{name}', on or off",
)
INT = Kind("int", _parse_int, str, "Expecting integer value for parameter '{name}'", LARGEST_INT)
NUMBER = Kind(
    "number",
    _parse_number,
    lambda value: f"{value:g}",
    "Expecting a number for parameter '{name}', such as 2 or 1.5",
)
SIZE = Kind(
    "size",
    _parse_size,
    _show_size,
    "Expecting size unit value for parameter '{name}' in bytes, or suffixed with 'K' or 'M'",
    LARGEST_SIZE,
)
DURATION = Kind(
    "duration",
    _parse_duration,
    _show_duration,
    "Expecting duration value for parameter '{name}', such as 5, 5s, 200ms, 2m or 1h",
    LONGEST_DURATION_S,
)
TEXT = Kind(
    "text",
    _parse_text,
    _show_text,
    "Expecting at most 255 printable Latin-1 characters for parameter '{name}'",
)
TARGET = Kind("path", _parse_target, str, "Expecting * or a path from / on for parameter '{name}'")
HOST = Kind("host", _parse_host, _show_text, "Expecting host or host:port for parameter '{name}'")
FLAG = Kind("flag", _parse_flag, str, "Expected 1 or 0")
STATUSES = Kind(
    "statuses",
    _parse_statuses_text,
    str,
    "Expecting statuses for parameter '{name}', such as 200-399 or 200,204",
)
WORDS = Kind(
    "words",
    _parse_words,
    _show_networks,
    "Expecting words of printable ASCII with commas between them for parameter '{name}'",
)
NETWORKS = make_networks("'{word}' is not a network such as 10.0.0.0/8 or 2001:db8::/32")
