"""What operators ask of the caches: purge, softpurge, tag, ban, stats, trace; answered when it is true."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from wsgistack.errors import WsgistackError
from wsgistack.keeper.caches import Cache
from wsgistack.registry import find_hint
from wsgistack.settings import DURATION

__all__ = ["Refused", "perform"]

BANS = ("url", "prefix", "tag", "host", "path", "header", "value", "older", "everything", "soft")
WORD = r'([a-z]+)(?:=(?:"([^"]*)"|(\S+)))?'
FIELD = re.compile(r"([A-Za-z0-9-]+): ?(.*)")


class Refused(Exception):
    """It cannot be meant; str() says why."""


def perform(caches: Mapping[str, Cache], action: str, argument: str) -> list[str]:
    """Do it to all of *caches*; return what is to be shown.  Raises Refused, or StoreError."""
    run = ACTIONS[action]
    try:
        return [line for name, cache in caches.items() for line in run(name, cache, argument)]
    except WsgistackError as error:
        raise Refused(str(error)) from error
    except UnicodeError as error:
        raise Refused(f"'{argument}' is not Latin-1") from error


def _purge(name: str, cache: Cache, url: str) -> list[str]:
    cache.pages.purge(url=_check_url(url))
    return []


def _softpurge(name: str, cache: Cache, url: str) -> list[str]:
    cache.pages.purge(url=_check_url(url), soft=True)
    return []


def _tag(name: str, cache: Cache, tags: str) -> list[str]:
    for tag in tags.split():
        cache.pages.purge(tag=tag)
    return []


def _ban(name: str, cache: Cache, text: str) -> list[str]:
    cache.pages.purge(**read_ban(text))
    return []


def read_ban(text: str) -> dict[str, Any]:
    """Return the arguments of bans.Ban that a text means.

    >>> read_ban("host=*.example.com path=/blog/* older=1h soft")
    {'host': '*.example.com', 'path': '/blog/*', 'older_s': 3600.0, 'soft': True}
    """
    said: dict[str, Any] = {}
    rest = re.sub(WORD, "", text).strip()
    if rest:
        raise Refused(f"ban: '{rest}' is not one of name=value, everything or soft")
    for name, quoted, plain in re.findall(WORD, text):
        if name not in BANS:
            hint = find_hint(name, BANS)
            raise Refused(f"ban: '{name}' is not one of {', '.join(BANS)}{hint}")
        value = quoted or plain
        if name in ("everything", "soft"):
            said[name] = True
        elif not value:
            raise Refused(f"ban: {name} of what? expected {name}=...")
        elif name == "older":
            said["older_s"] = _read_time(value)
        else:
            said[name] = value
    return said


def _read_time(text: str) -> float:
    try:
        return float(str(DURATION.parse(text)))
    except ValueError:
        raise Refused(f"ban: older: '{text}' is no time such as 60, 5m or 1h") from None


def _stats(name: str, cache: Cache, argument: str) -> list[str]:
    lines = [f"{name} {word} {count}" for word, count in sorted(cache.counts.items())]
    return [*lines, *(f"{name} store {key} {count}" for key, count in sorted(cache.store.stats().items()))]


def _trace(name: str, cache: Cache, text: str) -> list[str]:
    url, *fields = re.split(r" (?=[A-Za-z0-9-]+:)", text)
    said = {}
    for one in fields:
        found = FIELD.fullmatch(one.strip("; "))
        if found is None:
            raise Refused(f"'{one}' is no field: expected Name: value")
        said[found[1].replace("-", "_")] = found[2]
    return [f"cache: {name}", *cache.pages.trace(_check_url(url), **said)]


def _check_url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+\S*", text, re.IGNORECASE):
        raise Refused(f"'{text}' is not a URL such as http://www.example.com/news")
    return text


ACTIONS: dict[str, Callable[[str, Cache, str], list[str]]] = {
    "purge": _purge,
    "softpurge": _softpurge,
    "tag": _tag,
    "ban": _ban,
    "stats": _stats,
    "trace": _trace,
}
