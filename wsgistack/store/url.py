"""`make_store`: a store from its URL.

    memory://?max_bytes=64m                       this process
    shm:///name?size=64m                          all processes of this machine
    memcached://10.0.0.1,10.0.0.2:11212           real memcached, many nodes

What stands before `?` is the store's place, what stands behind it are options from the scheme's
settings table.
"""

from __future__ import annotations

from urllib.parse import unquote_plus

from wsgistack.errors import ConfigurationError, SettingError, UnknownName
from wsgistack.settings import Value
from wsgistack.store.base import Store
from wsgistack.store.schemes import SCHEMES, Scheme

__all__ = ["check_store", "make_store"]


def make_store(url: str) -> Store:
    """Return the store that *url* means; ConfigurationError says what is wrong with it.

    >>> make_store("memory://?max_bytes=64m").shared
    False
    """
    scheme, place, options = _read(url)
    scheme.check(place, options)
    return scheme.make(place, options)


def check_store(url: str) -> None:
    """Raise ConfigurationError for a URL that means no store, as far as its words tell; none is made."""
    scheme, place, options = _read(url)
    scheme.check(place, options)


def _read(url: str) -> tuple[Scheme, str, dict[str, Value]]:
    if not isinstance(url, str) or "://" not in url:
        raise ConfigurationError(f"store {url!r} is not a URL such as {_examples()}")
    name, _, rest = url.partition("://")
    scheme = SCHEMES.get(name)
    place, _, query = rest.partition("?")
    return scheme, place, _read_options(scheme, query)


def _examples() -> str:
    return " or ".join(scheme.example for _, scheme in SCHEMES)


def _read_options(scheme: Scheme, query: str) -> dict[str, Value]:
    """Return every option of *scheme*, by name: those of *query*, the defaults of the others."""
    options = scheme.options.defaults()
    seen: set[str] = set()
    for pair in filter(None, query.split("&")):
        name, equals, text = pair.partition("=")
        if not equals:
            raise SettingError(f"{scheme.name}://: '{pair}' is not an option of the form name=value")
        if name in seen:
            raise SettingError(f"{scheme.name}://: option '{name}' stands there twice")
        seen.add(name)
        options[name] = _read_option(scheme, name, unquote_plus(text))
    return options


def _read_option(scheme: Scheme, name: str, text: str) -> Value:
    if name not in scheme.options:
        names = ", ".join(sorted(row.name for row in scheme.options)) or "none"
        try:
            scheme.options.get(name)
        except UnknownName as unknown:
            words = f"{scheme.name}:// has no option '{name}'; it has {names}"
            raise UnknownName(words, met=name, nearest=unknown.nearest) from None
    try:
        return scheme.options.parse(name, text)
    except SettingError as error:
        raise SettingError(f"{scheme.name}://: {error}") from None
