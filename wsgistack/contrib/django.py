"""`MemcacheRingCache`: a backend for Django's CACHES over a ring of memcached servers.

    CACHES = {
        "default": {
            "BACKEND": "wsgistack.contrib.django.MemcacheRingCache",
            "LOCATION": ["10.0.0.1:11211", "10.0.0.2:11211"],
            "OPTIONS": {"pickle": True, "ring": "ketama", "on_down": "gutter"},
        }
    }

A server that is away is a miss, never an exception in a view.  OPTIONS are the arguments of
`wsgistack.MemcacheRing`, and `pickle`: True stores any object and reads what Django's own
memcached backends wrote; without it only plain values are taken, and a shared memcached cannot
make this process run code.  Keys may be longer than memcached's, and hold what it does not take;
Django warns of them all the same, because its other backends refuse them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from wsgistack import forks
from wsgistack.complaints import gather
from wsgistack.errors import SettingError
from wsgistack.registry import find_hint
from wsgistack.store.codec import Codec
from wsgistack.store.memcached.hashclient import HashClientArguments
from wsgistack.store.memcached.ring import MemcacheRing

__all__ = ["MemcacheRingCache"]

OPTIONS = ("pickle", *(MemcacheRing.__init__.__kwdefaults__ or ()), *HashClientArguments.__annotations__)
AT_ONCE = -1
FOR_EVER = 0


class _Rings:
    """The rings of this process, each made once, by what they were asked for with."""

    def __init__(self) -> None:
        self.rings: dict[str, MemcacheRing] = {}
        self._lock = threading.Lock()
        forks.register(self)

    def share(self, servers: list[str], options: dict[str, Any]) -> MemcacheRing:
        """Return the ring of these servers and options."""
        wanted = repr((servers, sorted(options.items())))
        with self._lock:
            if wanted not in self.rings:
                if "pickle" in options:
                    options["codec"] = Codec(pickle=options.pop("pickle"))
                self.rings[wanted] = MemcacheRing(servers, **options)
            return self.rings[wanted]

    def forked(self) -> None:
        """Make the lock anew; a ring that was being made is made again."""
        self._lock = threading.Lock()


_rings = _Rings()


class MemcacheRingCache(BaseCache):  # type: ignore[misc]  # Django has no annotations
    """Django's cache over one ring for the whole process: Django makes a backend for every thread."""

    def __init__(self, server: str | Iterable[str], params: dict[str, Any]) -> None:
        steps: tuple[Callable[[], Any], ...] = (
            partial(_read_location, server),
            partial(_read_options, params.get("OPTIONS")),
        )
        servers, options = gather(steps)
        super().__init__(params)
        self._ring = _rings.share(servers, options)

    def get_backend_timeout(self, timeout: float | None = DEFAULT_TIMEOUT) -> float:
        """Return the seconds that the ring is told: 0 for ever, -1 for at once."""
        if timeout == DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        if timeout is None:
            return FOR_EVER
        return timeout if timeout > 0 else AT_ONCE

    def add(
        self, key: str, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        return self._ring.add(self._name(key, version), value, self.get_backend_timeout(timeout))

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return self._ring.get(self._name(key, version), default)

    def set(
        self, key: str, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        name = self._name(key, version)
        if not self._ring.set(name, value, self.get_backend_timeout(timeout)):
            self._ring.delete(name)  # nothing rather than the old value

    def touch(self, key: str, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        name, seconds = self._name(key, version), self.get_backend_timeout(timeout)
        return self._ring.delete(name) if seconds == AT_ONCE else self._ring.touch(name, seconds)

    def delete(self, key: str, version: int | None = None) -> bool:
        return self._ring.delete(self._name(key, version))

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        name = self._name(key, version)
        count = self._ring.incr(name, delta) if delta >= 0 else self._ring.decr(name, -delta)
        if count is None:
            raise ValueError(f"Key '{key}' not found")
        return count

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        names = {self._name(key, version): key for key in keys}
        return {names[name]: value for name, value in self._ring.get_many(names).items()}

    def set_many(
        self,
        data: Mapping[str, Any],
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> list[str]:
        names = {self._name(key, version): key for key in data}
        values = {name: data[key] for name, key in names.items()}
        failed = self._ring.set_many(values, self.get_backend_timeout(timeout))
        self._ring.delete_many(failed)
        return [names[name] for name in failed]

    def delete_many(self, keys: Iterable[str], version: int | None = None) -> None:
        self._ring.delete_many([self._name(key, version) for key in keys])

    def clear(self) -> None:
        self._ring.flush_all()

    def _name(self, key: str, version: int | None) -> str:
        name: str = self.make_and_validate_key(key, version=version)
        return name


def _read_location(location: object) -> list[str]:
    """Return the servers that LOCATION names; SettingError for what is no text and no list of them."""
    servers = re.split("[;,]", location) if isinstance(location, str) else location
    if not isinstance(servers, Iterable) or not all(isinstance(one, str) for one in servers):
        raise SettingError(
            f"LOCATION: {location!r:.80} is neither a server such as '10.0.0.1:11211' nor a list"
        )
    return [one.strip().removeprefix("unix:") for one in servers]


def _read_options(options: object) -> dict[str, Any]:
    """Return what OPTIONS says; SettingError for what is no mapping, for names that nothing has, and for a
    `pickle` that is not True or False.
    """
    if options is not None and not isinstance(options, Mapping):
        raise SettingError(f"OPTIONS: {options!r:.80} is not a mapping, such as {{'ring': 'ketama'}}")
    read = dict(options or {})
    wrong = [
        f"OPTIONS: {name}: neither a MemcacheRing nor a HashClient has such an argument{find_hint(str(name), OPTIONS)}"
        for name in read
        if name not in OPTIONS
    ]
    if not isinstance(read.get("pickle", False), bool):
        wrong.append(f"OPTIONS: pickle: {read['pickle']!r:.80} is neither True nor False")
    if wrong:
        raise SettingError(*wrong)
    return read
