"""Content codings: which one a client wants of those that there are.  RFC 9110 §8.4.1, §12.5.3"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from wsgistack.errors import SettingError
from wsgistack.registry import find_hint
from wsgistack.settings import Kind, Value

__all__ = ["CODINGS", "CODING_WORDS", "IDENTITY", "find_coding", "read_codings"]

# Those that browsers read; the others of the registry are for special uses.
CODINGS = ("br", "deflate", "gzip", "zstd")
IDENTITY = "identity"
ALIASES = {"x-gzip": "gzip"}  # §8.4.1.3
# Anything else behind the name is no weight, and refuses: whoever is in doubt is sent the plain form.
WEIGHT = re.compile(r";[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


def read_codings(names: Iterable[str], *, setting: str) -> tuple[str, ...]:
    """Return *names* in lower case; SettingError for what is no list of CODINGS, each once."""
    if isinstance(names, str):
        raise SettingError(f"{setting}: {names!r} is one text, expected a list of names")
    read = tuple([str(name).lower() for name in names])
    wrong = [
        f"{name!r} is not one of {', '.join(CODINGS)}{find_hint(name, CODINGS)}"
        if name not in CODINGS
        else f"{name!r} is listed twice"
        for name in dict.fromkeys(read)
        if name not in CODINGS or read.count(name) > 1
    ]
    if wrong:
        raise SettingError(*(f"{setting}: {text}" for text in wrong))
    return read


def _parse(text: str) -> tuple[str, ...]:
    if text in ("none", '""', "''"):
        return ()
    return read_codings(re.split(r"[,\s]+", text.strip(", ")), setting="codings")


def _show(value: Value) -> str:
    assert isinstance(value, tuple)
    return ", ".join(value) or "none"


CODING_WORDS = Kind("codings", _parse, _show, "")


def find_coding(accepted: str | None, offered: Sequence[str]) -> str:
    """Return the coding of *offered* that an Accept-Encoding asks for, else `identity`, the plain form.

    It is the one with the highest weight, of several the first offered.  What is refused in one place
    (`q=0`, a weight that is none) and accepted in another is refused.  A client without the field (None)
    gets the plain form, and so does one that refuses it but accepts nothing that there is: then the
    field may be disregarded, §12.4.1.

    >>> find_coding("gzip, deflate, br;q=0.9", ["br", "gzip"]), find_coding("*;q=0.1, br;q=0", ["br", "gzip"])
    ('gzip', 'gzip')
    """
    if not accepted:
        return IDENTITY
    weights = _weights(accepted)
    others = weights.get("*", 0.0)
    least = weights.get(IDENTITY, 0.0)  # who names it may want it more than what is coded
    best, found = 0.0, IDENTITY
    for coding in offered:
        weight = weights.get(coding, others)
        if weight > best and weight >= least:
            best, found = weight, coding
    return found


def _weights(accepted: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for member in accepted.split(","):
        name, semicolon, _ = member.partition(";")
        name = name.strip(" \t").lower()
        name = ALIASES.get(name, name)
        weight = 1.0
        if semicolon:
            found = WEIGHT.fullmatch(member.rstrip(" \t"), member.index(";"))
            weight = float(found[1]) if found else 0.0
        weights[name] = min(weight, weights.get(name, 1.0))
    return weights
