"""What a stack is made of: a family of WSGI middlewares, one file each.

A file defines NAME, PLACE (the smaller, the further outside), HELP, SETTINGS (its settings table),
MAIN (the setting that a bare value stands for, "" where there is none) and

    make(app, **settings) -> WSGI application

*settings*: any of the table by name, typed; what is left out has the table's default.  OBJECTS, where
it has it, names further ones (and some of the table) that take Python objects as they are.  `make` raises
ConfigurationError for settings that cannot be meant together.  It opens no socket and starts no
thread: what it makes may be forked before the first request.

`read_text(name, text)`, where it has it, gives the object that a text stands for, of those of OBJECTS
that can be written in a file.

`for_others(settings)`, where it has it, tells {component: {setting: value}} to others in the same
stack: a mapping is added to theirs, anything else holds for one further outside that says nothing itself.

Each is a plain WSGI middleware, and can stand alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn

from wsgistack.errors import SettingError
from wsgistack.registry import Family
from wsgistack.settings import Table
from wsgistack.wsgi import WSGIApplication

__all__ = ["COMPONENTS", "Component", "refuse_text"]

CALLED = ("is_personal", "key", "now")  # of the objects, those that are functions


@dataclass(frozen=True, slots=True)
class Component:
    """One member of the family."""

    name: str
    place: int
    help: str
    settings: Table
    main: str
    make: Callable[..., WSGIApplication]
    objects: tuple[str, ...]
    for_others: Callable[[Mapping[str, Any]], dict[str, dict[str, Any]]]
    read_text: Callable[[str, str], object]

    def read(self, name: str, value: object) -> object:
        """Return what *value* means for the setting *name*; ConfigurationError for what it can not mean."""
        is_text = isinstance(value, str)
        if name not in self.objects or (is_text and name in self.settings):
            return self.settings.read(name, value)
        if is_text:
            return self.read_text(name, str(value))
        if name in CALLED and value is not None and not callable(value):
            raise SettingError(f"{name}: {value!r} can not be called")
        return value


def refuse_text(name: str, text: str) -> NoReturn:
    """Refuse a text for the setting *name*, of those of OBJECTS that no text stands for."""
    raise SettingError(f"{name}: '{text}' is a text, and only a Python object can say this")


def _nothing(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {}


def _parts(module: ModuleType) -> Iterable[tuple[str, Component]]:
    objects = getattr(module, "OBJECTS", ())
    for_others = getattr(module, "for_others", _nothing)
    read_text = getattr(module, "read_text", refuse_text)
    yield (
        module.NAME,
        Component(
            module.NAME,
            module.PLACE,
            module.HELP,
            module.SETTINGS,
            module.MAIN,
            module.make,
            objects,
            for_others,
            read_text,
        ),
    )


# Alone: who wants a request's name shall not wait for the page cache to be imported.
COMPONENTS: Family[Component] = Family("component", __name__, _parts, alone=True)
