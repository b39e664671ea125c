"""The kinds of stores that a URL can name: a family, one file each.

A file defines NAME (the URL's scheme), HELP, EXAMPLE (a URL), OPTIONS (its settings table) and

    make(place, options) -> Store

*place*: what stands between `://` and `?`, as written.  *options*: every option of the table by
name, typed.  `make` raises ConfigurationError for a place or options that cannot be meant.  The
file is imported with the family, so what is heavy is imported by `make`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType

from wsgistack.registry import Family
from wsgistack.settings import Table, Value
from wsgistack.store.base import Store

__all__ = ["SCHEMES", "Make", "Scheme"]

Make = Callable[[str, Mapping[str, Value]], Store]


@dataclass(frozen=True, slots=True)
class Scheme:
    """One member of the family."""

    name: str
    help: str
    example: str
    options: Table
    make: Make


def _parts(module: ModuleType) -> Iterable[tuple[str, Scheme]]:
    yield module.NAME, Scheme(module.NAME, module.HELP, module.EXAMPLE, module.OPTIONS, module.make)


SCHEMES: Family[Scheme] = Family("store", __name__, _parts)
