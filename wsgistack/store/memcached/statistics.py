"""The statistics of a server: which ones to ask for, and what their values are; pure.

The types are those that pymemcache makes of them: numbers where they are numbers, bytes elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wsgistack.errors import ArgumentError

__all__ = ["make_words", "read_values"]

WORD = re.compile(rb"[!-~]{1,250}")


def make_words(args: Iterable[str | bytes]) -> list[bytes]:
    """Return *args* as words of the command `stats`; ArgumentError for what is no word."""
    words = []
    for arg in args:
        word = arg.encode("utf-8", "surrogatepass") if isinstance(arg, str) else arg
        if not isinstance(word, bytes) or not WORD.fullmatch(word):
            raise ArgumentError(f"stats: {arg!r:.80} is not a word such as 'items'")
        words.append(word)
    return words


def read_values(told: Mapping[bytes, Any]) -> dict[bytes, Any]:
    """Return what a server *told*, each value as what it is; what is a number already stays."""
    return {
        name: _read(TYPES.get(name, int), value) if isinstance(value, bytes) else value
        for name, value in told.items()
    }


def _read(kind: Callable[[bytes], Any], text: bytes) -> Any:
    try:
        return kind(text)
    except ValueError:
        return text


def _flag(text: bytes) -> bool:
    return int(text) != 0


def _octal(text: bytes) -> int:
    return int(text, 8)


def _answer(text: bytes) -> bool:
    return text == b"yes"


TYPES: dict[bytes, Callable[[bytes], Any]] = {
    b"version": bytes,
    b"inter": bytes,
    b"stat_key_prefix": bytes,
    b"rusage_user": float,
    b"rusage_system": float,
    b"growth_factor": float,
    b"hash_is_expanding": _flag,
    b"slab_reassign_running": _flag,
    b"detail_enabled": _flag,
    b"cas_enabled": _flag,
    b"maxconns_fast": _flag,
    b"slab_reassign": _flag,
    b"slab_automove": _flag,
    b"umask": _octal,
    b"auth_enabled_sasl": _answer,
}
