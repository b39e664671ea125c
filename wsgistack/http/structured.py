"""Structured fields: items, lists and dictionaries, read strictly.  RFC 9651

A value that breaks the grammar is None as a whole; nobody guesses.  Types: Integer is `int`, Decimal
`float`, String `str`, Token `Token`, Byte Sequence `bytes`, Boolean `bool`, Date `Date`, Display
String `Display`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes

from wsgistack.memos import remember

__all__ = [
    "Bare",
    "Date",
    "Display",
    "Inner",
    "Item",
    "Token",
    "parse_dictionary",
    "parse_item",
    "parse_list",
]


class Token(str):
    """A short word without quotes.  §3.3.4"""

    __slots__ = ()


class Display(str):
    """A text beyond ASCII.  §3.3.8"""

    __slots__ = ()


class Date(int):
    """Seconds since the epoch.  §3.3.7"""

    __slots__ = ()


Bare = int | float | str | bytes | bool  # Token, Display and Date are among them


class Item(NamedTuple):
    """A bare item with its parameters, in order.  §3.3"""

    value: Bare
    parameters: dict[str, Bare]


class Inner(NamedTuple):
    """A list within a list, with its parameters.  §3.1.1"""

    items: tuple[Item, ...]
    parameters: dict[str, Bare]


Member = Item | Inner

KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
NUMBER = re.compile(r"-?(?:[0-9]{1,12}\.[0-9]{1,3}(?![0-9.])|[0-9]{1,15}(?![0-9.]))")
STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*")
BYTES = re.compile(r":([A-Za-z0-9+/]*={0,2}):")
BOOLEAN = re.compile(r"\?([01])")
DATE = re.compile(r"@(-?[0-9]{1,15})(?![0-9.])")
DISPLAY = re.compile(r'%"((?:[ !#$&-~]|%[0-9a-f]{2})*)"')
LONGEST = 16_384


@remember(256, longest=128)
def parse_item(value: str) -> Item | None:
    """Return the one item that *value* is.

    >>> parse_item('"a";n=1')
    Item(value='a', parameters={'n': 1})
    """
    return _whole(value, _Reader.item)


@remember(256, longest=128)
def parse_list(value: str) -> tuple[Member, ...] | None:
    """Return the members of a list; () for an empty value."""
    return _whole(value, _Reader.list)


@remember(256, longest=128)
def parse_dictionary(value: str) -> dict[str, Member] | None:
    """Return the members by key; of a key that stands there twice, the last.

    >>> parse_dictionary("max-age=60, public")["public"].value, parse_dictionary("Max-Age=60")
    (True, None)
    """
    return _whole(value, _Reader.dictionary)


class _Malformed(Exception):
    pass


Read = TypeVar("Read")


def _whole(value: str, read: Callable[[_Reader], Read]) -> Read | None:
    reader = _Reader(value.strip(" "))
    try:
        if len(value) > LONGEST:
            raise _Malformed
        result = read(reader)
        if reader.at != len(reader.text):
            raise _Malformed
    except (_Malformed, ValueError, binascii.Error):
        return None
    return result


class _Reader:
    """Reads *text* from *at* on."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise _Malformed
        self.at = found.end()
        return found

    def skips(self, character: str) -> bool:
        if self.text[self.at : self.at + 1] != character:
            return False
        self.at += 1
        return True

    def pass_spaces(self, spaces: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in spaces:
            self.at += 1

    def goes_on(self) -> bool:
        """Step over the comma between two members; False at the end."""
        self.pass_spaces(" \t")
        if self.at == len(self.text):
            return False
        if not self.skips(","):
            raise _Malformed
        self.pass_spaces(" \t")
        if self.at == len(self.text):
            raise _Malformed  # a trailing comma
        return True

    def list(self) -> tuple[Member, ...]:
        members: list[Member] = []
        more = bool(self.text)
        while more:
            members.append(self.member())
            more = self.goes_on()
        return tuple(members)

    def dictionary(self) -> dict[str, Member]:
        members: dict[str, Member] = {}
        more = bool(self.text)
        while more:
            key = self.take(KEY)[0]
            member = self.member() if self.skips("=") else Item(True, self.parameters())
            members.pop(key, None)
            members[key] = member
            more = self.goes_on()
        return members

    def member(self) -> Member:
        if not self.skips("("):
            return self.item()
        items: list[Item] = []
        while True:
            self.pass_spaces(" ")
            if self.skips(")"):
                return Inner(tuple(items), self.parameters())
            items.append(self.item())
            if self.text[self.at : self.at + 1] not in (" ", ")"):
                raise _Malformed

    def item(self) -> Item:
        return Item(self.bare(), self.parameters())

    def parameters(self) -> dict[str, Bare]:
        found: dict[str, Bare] = {}
        while self.skips(";"):
            self.pass_spaces(" ")
            key = self.take(KEY)[0]
            found.pop(key, None)
            found[key] = self.bare() if self.skips("=") else True
        return found

    def bare(self) -> Bare:
        first = self.text[self.at : self.at + 1]
        if first and first in "-0123456789":
            text = self.take(NUMBER)[0]
            return float(text) if "." in text else int(text)
        if first == '"':
            return re.sub(r"\\(.)", r"\1", self.take(STRING)[1])
        if first == ":":
            return base64.b64decode(self.take(BYTES)[1], validate=True)
        if first == "?":
            return self.take(BOOLEAN)[1] == "1"
        if first == "@":
            return Date(self.take(DATE)[1])
        if first == "%":
            return Display(unquote_to_bytes(self.take(DISPLAY)[1]).decode())
        return Token(self.take(TOKEN)[0])
