"""The kinds of stores that a URL can name: a family, one file each.

A file defines NAME (the URL's scheme), HELP, EXAMPLE (a URL), OPTIONS (its settings table) and

    check(place, options)
    make(place, options) -> Store

*place*: what stands between `://` and `?`, as written.  *options*: every option of the table by
name, typed.  `check` raises ConfigurationError for a place or options that cannot be meant, as far as
their words tell; it makes and asks nothing.  `make` is called behind it, for what it let pass.  The
file is imported with the family, so what is heavy is imported by `make`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType

from wsgistack.registry import Family
from wsgistack.settings import Table, Value
from wsgistack.store.base import Store

__all__ = ["SCHEMES", "Check", "Make", "Scheme"]

Check = Callable[[str, Mapping[str, Value]], None]
Make = Callable[[str, Mapping[str, Value]], Store]


@dataclass(frozen=True, slots=True)
class Scheme:
    """One member of the family."""

    name: str
    help: str
    example: str
    options: Table
    check: Check
    make: Make


def _parts(module: ModuleType) -> Iterable[tuple[str, Scheme]]:
    yield (
        module.NAME,
        Scheme(module.NAME, module.HELP, module.EXAMPLE, module.OPTIONS, module.check, module.make),
    )


SCHEMES: Family[Scheme] = Family("store", __name__, _parts)
