"""All page caches by name, and their settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wsgistack.balancer.cache import Cache
from wsgistack.cache.texts import TEXTS, check_together
from wsgistack.errors import CommandError, ConfigurationError, SettingError, UnknownName
from wsgistack.registry import find_nearest
from wsgistack.settings import Value
from wsgistack.store.url import check_store

__all__ = ["MOST_CACHES", "USUAL_NAME", "Caches"]

MOST_CACHES = 64
USUAL_NAME = "pages"  # of the cache that `SET cache = on` means


class Caches:
    """All caches, in the order of their creation."""

    def __init__(self) -> None:
        self._caches: dict[str, Cache] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._caches

    def names(self) -> list[str]:
        """Return all names in the order of creation."""
        return list(self._caches)

    def create(self, name: str) -> None:
        """Make a cache with the usual settings; the name is free, the caller has seen to it."""
        if len(self._caches) >= MOST_CACHES:
            raise CommandError(f"all {MOST_CACHES} places for caches are taken")
        self._caches[name] = Cache(name, TEXTS.defaults())

    def delete(self, name: str) -> None:
        """Take a cache away; no service has it, the caller has seen to it."""
        del self._caches[self.get(name).name]

    def get(self, name: str, *, or_else: Iterable[str] = ()) -> Cache:
        """Return one cache, or raise CommandError with the nearest; *or_else*: words that would do in its place."""
        if name not in self._caches:
            nearest = find_nearest(name, (*self._caches, *or_else))
            raise CommandError(f"cache '{name}' does not exist", met=name, nearest=nearest, because=name)
        return self._caches[name]

    def set(self, name: str, key: str, text: str) -> None:
        """Set one of a cache's settings from text; what does not go with the others is refused."""
        cache = self.get(name)
        value = TEXTS.parse(key, text)
        if key == "store" and value:
            _check_store(str(value))
        settings = {**cache.settings, key: value}
        check_together(settings)
        self._caches[name] = Cache(name, settings)

    def settings(self, name: str) -> Mapping[str, Value]:
        """Return the settings of a cache."""
        return self.get(name).settings

    def publish(self) -> dict[str, Cache]:
        """Return all caches as values."""
        return dict(self._caches)


def _check_store(url: str) -> None:
    try:
        check_store(url)
    except UnknownName:
        raise
    except ConfigurationError as error:
        raise SettingError(f"store: {error}") from None
