"""`wrap`: the components of a stack around an application, checked before the first request.

>>> def app(environ, start_response):
...     start_response("200 OK", [("Content-Type", "text/plain")])
...     return [b"hello"]
>>> application = wrap(app, rate_limit="100/minute", trust=["10.0.0.0/8"])
>>> [name for name, _ in application.layers]
['trust', 'rate_limit']

What may be asked of a component is one table, wsgistack/components/NAME.py; this module puts them
in order and lists everything that is wrong at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from wsgistack.complaints import complaints_of
from wsgistack.components import COMPONENTS, Component
from wsgistack.errors import ConfigurationError, UnknownName
from wsgistack.files import read_regular
from wsgistack.settings import EMPTY_WORDS, FALSE_WORDS, TRUE_WORDS
from wsgistack.steps import Frames, Front
from wsgistack.store.base import Store, is_store, refuse_store
from wsgistack.store.url import make_store
from wsgistack.wsgi import WSGIApplication

__all__ = ["ORDERS", "Stack", "wrap"]

Parts = list[tuple[str, object]]
Chosen = list[tuple[Component, dict[str, object]]]

# (what stands further outside, what stands inside of it, what would happen the other way round)
ORDERS = (
    ("trust", "access_log", "the log would name the proxy instead of the client"),
    ("trust", "metrics", "whoever comes by a proxy of this machine could read its page"),
    ("trust", "metering", "all clients of a proxy would be counted as one"),
    ("trust", "rate_limit", "all clients of a proxy would share one limit"),
    ("trust", "page_cache", "pages would be kept under the host and scheme of the proxy's connection"),
    ("trust", "buckets", "the cookie would be made for the scheme of the proxy's connection"),
    ("request_id", "access_log", "lines would lack the request's name"),
    ("request_id", "rate_limit", "refused requests would have no name"),
    ("request_id", "page_cache", "a stored page would carry the name of the request that filled it"),
    ("rate_limit", "page_cache", "a stored page would carry the quota of whoever filled it"),
    ("buckets", "page_cache", "a page made for one bucket would be given to the others"),
    ("compression", "conditional", "no ETag would match: each compressed body differs"),
    ("access_log", "rate_limit", "refused requests would not be logged"),
    ("access_log", "page_cache", "pages out of the cache would not be logged"),
    ("access_log", "compression", "more bytes would be logged than are sent"),
    ("access_log", "conditional", "200 would be logged where 304 is sent"),
    ("metrics", "rate_limit", "refused requests would not be counted"),
    ("metrics", "page_cache", "pages out of the cache would not be counted"),
    ("metrics", "compression", "more bytes would be counted than are sent"),
    ("metrics", "conditional", "200 would be counted where 304 is sent"),
    ("metering", "rate_limit", "refused requests would not be counted"),
    ("metering", "page_cache", "a page would count for whoever filled it, and for nobody else"),
    ("metering", "conditional", "200 would be counted where 304 is sent"),
)


class _Errors:
    """What is wrong, each once.  What could not be read is not complained of again as if it were missing."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._unread: set[tuple[str, str]] = set()

    def append(self, text: str) -> None:
        self.texts.append(text)

    def add(self, component: str, error: Exception) -> None:
        """Add what a component complains of; its complaints name settings: `secret: …`, `by and key: …`."""
        for text in complaints_of(error):
            names = text.partition(":")[0].split(" and ")
            if not any((component, name) in self._unread for name in names):
                self.append(f"{component}: {text}")

    def add_unread(self, component: str, setting: str, error: ConfigurationError) -> None:
        """Add that a setting could not be read."""
        is_named = setting in str(error)
        for text in complaints_of(error):
            self.append(f"{component}: {text}" if is_named else f"{component}: {setting}: {text}")
        meant = error.nearest if isinstance(error, UnknownName) else None
        self._unread.add((component, meant or setting))


class Stack(Front):
    """A WSGI application: *app* inside of *layers*, (name, WSGI application) pairs, outermost first.

    *outermost*: what answers, the layers around each other and around *app*.
    `layer(name)` gives a component, for its own interface (`purge`, `counts`, …).
    """

    def __init__(
        self,
        app: WSGIApplication,
        layers: Iterable[tuple[str, WSGIApplication]],
        outermost: WSGIApplication,
    ) -> None:
        super().__init__(outermost)
        self.app = app
        self.layers = tuple(layers)

    def layer(self, name: str) -> Any:
        """Return the component of that name; UnknownName if the stack has none."""
        for found, layer in self.layers:
            if found == name:
                return layer
        raise UnknownName(f"the stack has no '{name}'; it has {self._names()}", met=name, nearest=None)

    def __repr__(self) -> str:
        return f"<Stack {self._names()} around {self.app!r}>"

    def _names(self) -> str:
        return ", ".join(name for name, _ in self.layers) or "nothing"


def wrap(
    application: WSGIApplication,
    config: Mapping[str, object] | Iterable[object] | str | os.PathLike[str] | None = None,
    /,
    **parts: object,
) -> Stack:
    """Return *application* inside of the components that *config* and *parts* name.

    *config*: a mapping {component: value}, the path of a TOML file with such a table (or with one
    below `[wsgistack]`), or a list of names and (name, value) pairs, whose order is then the order,
    outermost first.  Else each component has a place of its own.  *parts* add to a mapping.

    `store`, a store or its URL, is no component: it is given to each component that has such a setting
    and none of its own, so that `store="shm:///mysite"` shares all their state over the processes.

    A value is True (the defaults), False or None (leave it out), a mapping of the component's
    settings, or what its main setting takes: `rate_limit="100/minute"`.  Texts are read as they are
    in files: "60s", "2m", "on".

    Raises ConfigurationError that lists everything that is wrong, one line each.  Opens no socket,
    starts no thread: a server may fork at any moment after.
    """
    if not callable(application):
        raise ConfigurationError(f"wrap: {application!r} is not a WSGI application, which is a callable")
    errors = _Errors()
    listed, ordered = _read_config(config, errors)
    for name, value in parts.items():
        if any(name == one for one, _ in listed):
            errors.append(f"{name}: stands there twice")
        listed.append((name, value))
    store, listed = _take_store(listed, errors)
    chosen = list(_choose(listed, errors))
    if store is not None:
        _share(store, chosen)
    if not ordered:
        chosen.sort(key=lambda one: one[0].place)
    _tell_others(chosen, errors)
    for text in _find_disorder([component.name for component, _ in chosen]):
        errors.append(text)
    stack = _make(application, chosen, errors)
    if errors.texts:
        _refuse(errors.texts)
    return stack


def _make(application: WSGIApplication, chosen: Chosen, errors: _Errors) -> Stack:
    """Return the stack, from the inside out; where something is wrong the others are made, to hear of it."""
    layers: list[tuple[str, WSGIApplication]] = []
    frames = Frames(application)
    for component, settings in reversed(chosen):
        try:
            layer = component.make(frames.outermost, **settings)
        except (ConfigurationError, TypeError) as error:
            errors.add(component.name, error)
            continue
        layers.append((component.name, layer))
        frames.put_around(layer)
    return Stack(application, reversed(layers), frames.outermost)


def _refuse(errors: list[str]) -> NoReturn:
    """Raise with each error once, those of a component together."""
    subjects = {text.partition(":")[0]: at for at, text in reversed([*enumerate(errors)])}
    errors = sorted(dict.fromkeys(errors), key=lambda text: subjects[text.partition(":")[0]])
    if len(errors) == 1:
        raise ConfigurationError(f"wrap: {errors[0]}")
    raise ConfigurationError(f"wrap: {len(errors)} errors\n" + "\n".join(f"  {error}" for error in errors))


def _read_config(config: object, errors: _Errors) -> tuple[Parts, bool]:
    """Return the parts that *config* names, and whether their order is meant; what is no part goes to *errors*."""
    if config is None:
        return [], False
    if isinstance(config, str | os.PathLike) and str(config):
        return list(_read_toml(Path(config)).items()), False
    if isinstance(config, Mapping):
        return [(str(name), value) for name, value in config.items()], False
    if isinstance(config, Iterable) and not isinstance(config, str | bytes):
        return list(_read_items(config, errors)), True
    raise ConfigurationError(f"wrap: {config!r} is no mapping, no list and no path of a TOML file")


def _read_toml(path: Path) -> Mapping[str, object]:
    import tomllib  # few have such a file

    try:
        read = tomllib.loads(read_regular(path).decode())
    except OSError as error:
        raise ConfigurationError(f"wrap: {path}: {error.strerror}") from None
    except ValueError as error:  # of the path, of its bytes as UTF-8, of the text as TOML
        raise ConfigurationError(f"wrap: {path}: {error}") from None
    below = read.get("wsgistack", read)
    if not isinstance(below, dict):
        raise ConfigurationError(f"wrap: {path}: wsgistack = {below!r} is not a table")
    return below


def _read_items(items: Iterable[object], errors: _Errors) -> Iterator[tuple[str, object]]:
    for item in items:
        if isinstance(item, str):
            yield item, True
        elif isinstance(item, Mapping) and len(item) == 1:
            ((name, value),) = item.items()
            yield str(name), value
        elif isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str):
            yield item[0], item[1]
        else:
            errors.append(f"{item!r} is neither a component's name nor a pair of name and value")


def _take_store(listed: Parts, errors: _Errors) -> tuple[Store | None, Parts]:
    """Return the store of all components, None if there is none, and what else is listed."""
    stores = [value for name, value in listed if name == "store" and not _is_off(value)]
    rest = [(name, value) for name, value in listed if name != "store"]
    if not stores:
        return None, rest
    if len(stores) > 1:
        errors.append("store: stands there twice")
    try:
        store = make_store(stores[0]) if isinstance(stores[0], str) else stores[0]
    except ConfigurationError as error:
        errors.append(f"store: {error}")
        return None, rest
    if not is_store(store):
        errors.append(refuse_store(store))
        return None, rest
    return store, rest


def _tell_others(chosen: Chosen, errors: _Errors) -> None:
    """Add to each component's settings what others of the stack want it to know; *chosen*: outermost first."""
    wanted = {component.name: settings for component, settings in chosen}
    outside: set[str] = set()
    for component, settings in chosen:
        try:
            told = component.for_others(settings)
        except ConfigurationError as error:
            told = {}
            if "page_cache" in wanted:  # `make` need not mind what only the cache can not keep
                errors.add(component.name, error)
        for name, additions in told.items():
            if name in wanted:
                _tell(component.name, additions, wanted[name], errors, is_inside=name in outside)
        outside.add(component.name)


def _tell(
    teller: str,
    additions: Mapping[str, object],
    settings: dict[str, object],
    errors: _Errors,
    *,
    is_inside: bool,
) -> None:
    """Add to *settings* what *teller*, which is inside of whose they are or not, wants to be known."""
    is_plain = settings.get("profile") == "rfc9111"  # a page cache: the standard and nothing else
    for setting, value in additions.items():
        if not isinstance(value, Mapping):
            if is_inside and not is_plain:
                settings.setdefault(setting, value)
            continue
        if is_plain:
            errors.append(f"{teller} needs the page cache's profile anonymous: rfc9111 has no key cookies")
        own = settings.get(setting) or {}
        if isinstance(own, Mapping):  # else `make` says what it is not
            settings[setting] = {**own, **value}


def _share(store: Store, chosen: Iterable[tuple[Component, dict[str, object]]]) -> None:
    for component, settings in chosen:
        if "store" in component.objects and not settings.get("store"):
            settings["store"] = store


def _choose(listed: Parts, errors: _Errors) -> Iterator[tuple[Component, dict[str, object]]]:
    """Yield what is to be made, with its settings; what is wrong goes to *errors*."""
    seen: set[str] = set()
    for name, value in listed:
        try:
            component = COMPONENTS.get(name)
        except UnknownName as error:
            errors.append(str(error))
            continue
        if name in seen:
            errors.append(f"{name}: stands there twice")
            continue
        seen.add(name)
        if _is_off(value):
            continue
        settings = _settings_of(component, value)
        yield component, dict(_read_settings(component, settings, errors))


def _is_off(value: object) -> bool:
    return value is None or value is False or (isinstance(value, str) and value.lower() in FALSE_WORDS)


def _settings_of(component: Component, value: object) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    is_on = value is True or (isinstance(value, str) and value.lower() in (*TRUE_WORDS, *EMPTY_WORDS, ""))
    return {} if is_on else {component.main: value}


def _read_settings(
    component: Component, settings: Mapping[str, object], errors: _Errors
) -> Iterator[tuple[str, object]]:
    for name, value in settings.items():
        try:
            yield str(name), component.read(str(name), value)
        except ConfigurationError as error:
            errors.add_unread(component.name, str(name), error)


def _find_disorder(names: list[str]) -> Iterator[str]:
    for outer, inner, otherwise in ORDERS:
        if outer in names and inner in names and names.index(outer) > names.index(inner):
            yield f"{outer} has to stand outside of {inner}, else {otherwise}"
