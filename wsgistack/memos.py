"""What is remembered of a few short texts, so that it is not worked out for each request anew.

What strangers write is remembered by its text, and they choose how long that is: a memo that counts its
entries alone holds 512 fields of 16 kB as gladly as 512 of 20 bytes.  A Memo passes what is long: it is
worked out each time, and kept by nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, TypeVar

__all__ = ["LONGEST", "Memo", "remember", "size_of"]

LONGEST = (
    256  # characters: a User-Agent has 150, a page's URL 100; parsers make up to 30 times as much of them
)

K = TypeVar("K")
V = TypeVar("V")

_ABSENT: Any = object()


class Memo(dict[K, V], Generic[K, V]):
    """What *learn(key)* gives, kept until about *most* others came, unless the key is longer than *longest*.

    A key is a text, bytes, or a tuple of such, where all texts count.  `memo[key]`, or `memo(key)`, which
    costs what a function of functools.lru_cache does; safe for threads and greenlets, who may learn the
    same twice.  Half of *most* are young: what is asked for among them costs one look into a dict.
    """

    def __init__(self, learn: Callable[[K], V], most: int, *, longest: int = LONGEST) -> None:
        self._learn = learn
        self._half = max(most // 2, 1)
        self._longest = longest
        self._old: dict[K, V] = {}
        update_wrapper(self, learn)

    if TYPE_CHECKING:

        def __call__(self, key: K, /) -> V:
            """Return what *key* comes to."""

    else:
        __call__ = dict.__getitem__  # no frame of Python's on the way to what is known

    # One of its kind, as a function is: what it remembers says nothing about which it is.
    __hash__ = object.__hash__  # type: ignore[assignment]  # of a dict it is None
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def __bool__(self) -> bool:
        return True

    def __missing__(self, key: K) -> V:
        value: V = self._old.pop(key, _ABSENT)
        if value is _ABSENT:
            value = self._learn(key)
            if size_of(key) > self._longest:
                return value
        if len(self) >= self._half:
            self._old = dict.copy(self)
            self.clear()
        self[key] = value
        return value

    @property
    def held(self) -> int:
        """How many keys are remembered."""
        return len(self) + len(self._old)


def remember(most: int, *, longest: int = LONGEST) -> Callable[[Callable[[K], V]], Memo[K, V]]:
    """Return a decorator for functions of one text: they remember what they gave, as a Memo does.

    >>> @remember(64)
    ... def shout(text):
    ...     return text.upper()
    >>> shout("a"), shout("a" * 9000) == "A" * 9000, shout.held
    ('A', True, 1)
    """
    return lambda learn: Memo(learn, most, longest=longest)


def size_of(key: object) -> int:
    """Return how many characters and bytes a key has, those of tuples in it too.

    >>> size_of(("ab", None, ("c", b"d"), 7))
    4
    """
    if isinstance(key, (str, bytes)):
        return len(key)
    size = 0
    if isinstance(key, tuple):
        for one in key:
            # Most of them are texts, whose look here spares a frame for each.
            size += len(one) if type(one) is str else size_of(one) if one is not None else 0
    return size
