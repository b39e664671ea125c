"""Cache-Control: directives of requests and responses.  RFC 9111 §5.2

The list is read as written by people: what is no directive is stepped over and the others count.
A time that is not one, or that is said twice with two meanings, counts as 0: a cache is to take a
response whose freshness is unclear for stale.  RFC 9111 §4.2.1
What forbids is obeyed also where it is no member of the list, as in `private; max-age=60`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wsgistack.http.fields import split_list, token_list
from wsgistack.memos import remember

__all__ = ["LARGEST_SECONDS", "Directives", "parse_cache_control"]

LARGEST_SECONDS = 2**31  # RFC 9111 §1.2.2: what cannot be held is 2**31
MOST_DIGITS = 10

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
DIRECTIVE = re.compile(rf'({TOKEN})(?:=(?:({TOKEN})|"((?:[^"\\]|\\.)*)"|(.*)))?', re.DOTALL)
SECONDS = re.compile(r"[0-9]+", re.ASCII)
FORBIDDING = re.compile(
    r"(?<![^\s;])(no-store|no-cache|private|must-revalidate|proxy-revalidate)(?![^\s;])", re.IGNORECASE
)


class Directives:
    """The directives of one message: *values* by lower-case name, None for one without a value.

    *unclear*: names that stand there twice with different values.
    """

    __slots__ = ("_seconds", "_unclear", "_values")

    def __init__(self, values: Mapping[str, str | None], unclear: frozenset[str] = frozenset()) -> None:
        self._values = dict(values)
        self._unclear = unclear
        self._seconds: dict[str, int] = {}  # what was read of them already

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __bool__(self) -> bool:
        return bool(self._values)

    def __repr__(self) -> str:
        return f"Directives({self._values!r})"

    def stands_alone(self, name: str) -> bool:
        """Tell whether *name* is there and has no value."""
        return name in self._values and self._values[name] is None

    def seconds(self, name: str) -> int | None:
        """Return the time that *name* gives, None if it is not there, 0 if it cannot be read."""
        if name not in self._values:
            return None
        seconds = self._seconds.get(name)
        if seconds is None:
            seconds = self._seconds[name] = self._read_seconds(name)
        return seconds

    def _read_seconds(self, name: str) -> int:
        text = self._values[name]
        if text is None or name in self._unclear or not SECONDS.fullmatch(text):
            return 0
        digits = text.lstrip("0")
        return min(int(digits or 0), LARGEST_SECONDS) if len(digits) <= MOST_DIGITS else LARGEST_SECONDS

    def names(self, name: str) -> tuple[str, ...] | None:
        """Return the field names that `no-cache` or `private` is limited to.

        () when it is about the whole response, None when it is not there.
        """
        if name not in self._values:
            return None
        if name in self._unclear:
            return ()
        return token_list(self._values[name] or "")


NOTHING = Directives({})


@remember(1024)
def parse_cache_control(value: str | None) -> Directives:
    """Return the directives of a combined field value.

    >>> parse_cache_control('max-age=60, foo="bar, max-age=1", Public').seconds("max-age")
    60
    """
    if not value:
        return NOTHING
    values: dict[str, str | None] = {}
    unclear = set()
    for member in split_list(value):
        found = DIRECTIVE.fullmatch(member)
        if found is None or found[4]:
            values.update({word.lower(): None for word in FORBIDDING.findall(member)})
        if found is None:
            continue
        name = found[1].lower()
        text = found[2] if found[3] is None else re.sub(r"\\(.)", r"\1", found[3])
        if text is None:
            text = found[4]  # neither token nor string: a value, but of no meaning
        if name in values and values[name] != text:
            unclear.add(name)
        values.setdefault(name, text)
    return Directives(values, frozenset(unclear))
