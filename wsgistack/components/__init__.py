"""What a stack is made of: a family of WSGI middlewares, one file each.

A file defines NAME, PLACE (the smaller, the further outside), HELP, SETTINGS (its settings table),
MAIN (the setting that a bare value stands for, "" where there is none) and

    make(app, **settings) -> WSGI application

*settings*: any of the table by name, typed; what is left out has the table's default.  OBJECTS, where
it has it, names further ones (and some of the table) that take Python objects as they are.  `make` raises
ConfigurationError for settings that cannot be meant together.  It opens no socket and starts no
thread: what it makes may be forked before the first request.

`for_others(settings)`, where it has it, tells {component: {setting: value}} to others in the same
stack: a mapping is added to theirs, anything else holds for one further outside that says nothing itself.

Each is a plain WSGI middleware, and can stand alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from wsgistack.errors import SettingError
from wsgistack.registry import Family
from wsgistack.settings import Table
from wsgistack.wsgi import WSGIApplication

__all__ = ["COMPONENTS", "Component", "make_rules"]


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


Rule = TypeVar("Rule")


def make_rules(kind: Callable[..., Rule], rules: Iterable[object]) -> list[Rule]:
    """Return *rules*, those that are mappings made into *kind* of their items; SettingError for what is none."""
    return [_make_rule(kind, rule) if isinstance(rule, Mapping) else rule for rule in rules]  # type: ignore[misc]  # a Rule


def _make_rule(kind: Callable[..., Rule], rule: Mapping[str, Any]) -> Rule:
    try:
        return kind(**rule)
    except TypeError as error:
        raise SettingError(f"rules: {dict(rule)!r} is not a rule: {str(error).partition('() ')[2]}") from None


def _nothing(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {}


def _parts(module: ModuleType) -> Iterable[tuple[str, Component]]:
    objects = getattr(module, "OBJECTS", ())
    for_others = getattr(module, "for_others", _nothing)
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
        ),
    )


COMPONENTS: Family[Component] = Family("component", __name__, _parts)
