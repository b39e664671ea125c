"""Families of named parts, found by folder, and the nearest name to a misspelt one."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator
from types import ModuleType
from typing import Generic, TypeVar

from wsgistack.errors import UnknownName

__all__ = ["Family", "find_hint", "find_nearest"]

Part = TypeVar("Part")

MOST_COMPARED_CHARACTERS = 64  # difflib is quadratic, and the word may come from a network


def find_nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of *words* that was probably meant by *word*, or None.

    >>> find_nearest("pol", ["pool", "proc"])
    'pool'
    """
    if len(word) > MOST_COMPARED_CHARACTERS:
        return None
    found = difflib.get_close_matches(word, sorted(words), n=1, cutoff=0.6)
    return found[0] if found else None


def find_hint(word: str, words: Iterable[str]) -> str:
    """Return what a complaint about *word* ends with: the one that was probably meant, "" for none.

    >>> find_hint("pol", ["pool", "proc"])
    " (did you mean 'pool'?)"
    """
    nearest = find_nearest(word, words)
    return f" (did you mean '{nearest}'?)" if nearest else ""


class Family(Generic[Part]):
    """The parts that the modules of a package offer, by name; read once, when first asked.

    *package* is a dotted name.  *parts_of(module)* yields the (name, part) pairs of one of its
    modules.  Adding a part is adding a file.

    *alone*: a part is looked for first in the module of its name, and if it is there no other module is imported.
    """

    def __init__(
        self,
        kind: str,
        package: str,
        parts_of: Callable[[ModuleType], Iterable[tuple[str, Part]]],
        *,
        alone: bool = False,
    ) -> None:
        self.kind = kind
        self._package = package
        self._parts_of = parts_of
        self._parts: dict[str, Part] | None = None
        self._alone: dict[str, Part] | None = {} if alone else None

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._read())

    def get(self, name: str) -> Part:
        """Return the part of that name, or raise UnknownName with the nearest and all the others."""
        if self._parts is None and self._alone is not None:
            if name not in self._alone:
                self._alone.update(self._find([name]))
            if name in self._alone:
                return self._alone[name]
        parts = self._read()
        if name not in parts:
            text = f"{self.kind} '{name}' is not one of {', '.join(sorted(parts))}"
            raise UnknownName(text, met=name, nearest=find_nearest(name, parts))
        return parts[name]

    def __contains__(self, name: object) -> bool:
        return name in self._read()

    def __iter__(self) -> Iterator[tuple[str, Part]]:
        return iter(sorted(self._read().items(), key=lambda item: item[0]))

    def _read(self) -> dict[str, Part]:
        if self._parts is None:
            self._parts = dict(self._find())
        return self._parts

    def _find(self, only: Collection[str] = ()) -> Iterator[tuple[str, Part]]:
        package = importlib.import_module(self._package)
        for found in pkgutil.iter_modules(package.__path__):
            if only and found.name not in only:
                continue
            module = importlib.import_module(f"{self._package}.{found.name}")
            yield from self._parts_of(module)
