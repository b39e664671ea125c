"""`ObjectCache`: an application's own values, and `cached` functions, over a ring of memcached servers.

    cache = ObjectCache(MemcacheRing(["10.0.0.1", "10.0.0.2"]))

    @cache.cached(ttl=60, grace=300, tags=lambda user_id: [f"user:{user_id}"])
    def profile(user_id): ...

    profile(7)                            # computed by one caller of all processes, then kept
    profile.invalidate(7)                 # or cache.invalidate_tags("user:7")

What a function's value is kept under is its name and its arguments with their types, defaults
filled in: f(1), f(n=1) and f() with n=1 are one call, f("1") and f(True) are others.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from wsgistack.errors import ArgumentError
from wsgistack.store.extended import pack

__all__ = ["Cached", "Fetching", "ObjectCache"]

P = ParamSpec("P")
T = TypeVar("T")


class Fetching(Protocol):
    """What is asked of a cache: `wsgistack.MemcacheRing` has it, and says what the arguments mean."""

    def get(self, key: str | bytes, default: Any = None) -> Any: ...
    def set(self, key: str | bytes, value: Any, expire: float = 0) -> bool: ...
    def fetch(
        self,
        key: str | bytes,
        build: Callable[[], T],
        ttl: float,
        *,
        early: float = 0,
        grace: float = 0,
        tags: Iterable[str] = (),
        wait: float = 2,
        lease: float = 10,
    ) -> T: ...
    def invalidate(self, key: str | bytes, *, soft: bool = False, grace: float = 30) -> bool: ...
    def invalidate_tags(self, *tags: str) -> bool: ...


class ObjectCache:
    """Values by name, all behind *prefix*; safe wherever *cache* is."""

    def __init__(self, cache: Fetching, *, prefix: str = "object:") -> None:
        self._cache = cache
        self._prefix = prefix.encode("utf-8", "surrogatepass")

    def get(self, key: str | bytes, default: Any = None) -> Any:
        """Return what `set` stored, or *default*."""
        return self._cache.get(self._name(key), default)

    def set(self, key: str | bytes, value: Any, ttl: float) -> bool:
        """Store *value* for *ttl* seconds; return whether it was stored."""
        return self._cache.set(self._name(key), value, ttl)

    def fetch(self, key: str | bytes, build: Callable[[], T], ttl: float, **options: Any) -> T:
        """Return the value of *key*, or what *build* returns, which is kept; see `MemcacheRing.fetch`."""
        return self._cache.fetch(self._name(key), build, ttl, **options)

    def invalidate(self, key: str | bytes, *, soft: bool = False) -> bool:
        """Forget *key*; see `MemcacheRing.invalidate`."""
        return self._cache.invalidate(self._name(key), soft=soft)

    def invalidate_tags(self, *tags: str) -> bool:
        """Outdate everything fetched with one of *tags*."""
        return self._cache.invalidate_tags(*tags)

    def cached(
        self,
        ttl: float,
        *,
        tags: Iterable[str] | Callable[..., Iterable[str]] = (),
        name: str | None = None,
        **options: Any,
    ) -> Callable[[Callable[P, T]], Cached[P, T]]:
        """Return a decorator that keeps what a function returns for *ttl* seconds.

        *tags*: names, or a function of the same arguments that gives them.  *name*: what stands for
        the function in keys, by default its module and qualified name.  *options*: those of `fetch`.
        """

        def decorate(function: Callable[P, T]) -> Cached[P, T]:
            label = name or f"{function.__module__}.{function.__qualname__}"
            return Cached(self, function, label, ttl, tags, options)

        return decorate

    def _name(self, key: str | bytes) -> bytes:
        if isinstance(key, str):
            key = key.encode("utf-8", "surrogatepass")
        elif not isinstance(key, bytes):
            raise ArgumentError(f"key: {key!r} is neither str nor bytes")
        return self._prefix + key


class Cached(Generic[P, T]):
    """A function whose results are kept; not a method, whose object is no plain value.  `plain` is the function."""

    __name__: str

    def __init__(
        self,
        cache: ObjectCache,
        function: Callable[P, T],
        label: str,
        ttl: float,
        tags: Iterable[str] | Callable[..., Iterable[str]],
        options: dict[str, Any],
    ) -> None:
        functools.update_wrapper(self, function)
        self.plain = function
        self._cache, self._label, self._ttl, self._options = cache, label, ttl, options
        self._tags = tags if callable(tags) else tuple([tags] if isinstance(tags, str) else tags)
        self._signature = inspect.signature(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        tags = self._tags(*args, **kwargs) if callable(self._tags) else self._tags
        return self._cache.fetch(
            self.key(*args, **kwargs),
            lambda: self.plain(*args, **kwargs),
            self._ttl,
            tags=tags,
            **self._options,
        )

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result for these arguments; return whether there was one."""
        return self._cache.invalidate(self.key(*args, **kwargs))

    def key(self, *args: P.args, **kwargs: P.kwargs) -> bytes:
        """Return what the result for these arguments is kept under; ArgumentError for other than plain values."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        try:
            packed = pack(list(bound.arguments.values()))
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"{self._label}: an argument cannot be part of a key: {error}") from None
        return f"{self._label}:".encode() + packed
