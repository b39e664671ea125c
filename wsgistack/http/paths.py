"""Paths as rules name them: one form for all that mean the same place, and globs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wsgistack.memos import remember

__all__ = ["compile_globs", "host_name", "normal_path", "path_readings"]


@remember(4096, longest=512)
def normal_path(path: str) -> str:
    """Return the path as rules see it: without doubled slashes, dot segments and `;parameters`.

    Applications and the servers before them take /login, //login, /./login and /login;x=1 for the
    same place; a rule must too.  RFC 3986 §5.2.4
    """
    segments: list[str] = []
    for segment in path.split("/"):
        name = segment.partition(";")[0]
        if name == "..":
            segments[-1:] = []
        elif name not in ("", "."):
            segments.append(name)
    # The last slash stays: /news and /news/ are two places, which one glob can name: /news*
    return "/" + "/".join(segments) + ("/" if segments and path.endswith(("/", "/.", "/..")) else "")


@remember(4096, longest=512)
def path_readings(path: str) -> tuple[str, ...]:
    """Return how an application may read a path: as it is, without what means nothing, and as `normal_path`.

    Some resolve `..`, or the server before them does; others take `/search/x/../../y` for a page of `/search/`.

    >>> path_readings("//search/x/../../y")
    ('//search/x/../../y', '/search/x/../../y', '/y')
    """
    names = [segment.partition(";")[0] for segment in path.split("/")]
    names = [name for name in names if name not in ("", ".")]
    plain = "/" + "/".join(names) + ("/" if names and path.endswith(("/", "/.")) else "")
    return tuple(dict.fromkeys([path, plain, normal_path(path)]))


def compile_globs(patterns: Iterable[str]) -> re.Pattern[str]:
    """Return what matches any of *patterns* as a whole; `*` stands for anything, slashes included.

    In time that grows with the text alone, whatever it is: see `_glob`.
    """
    return re.compile("|".join(f"(?:{_glob(pattern)})" for pattern in patterns), re.DOTALL)


def _glob(pattern: str) -> str:
    """Return *pattern* as a regular expression that tries no more than one place for each part between two stars.

    The first is as good as any: what follows fits behind a later one only if it fits behind that.  With
    `.*` all are tried, of each part for each of those before it.
    """
    first, *parts = [re.escape(part) for part in pattern.split("*")]
    return first + "".join([f"(?>.*?{part})" for part in parts[:-1]] + [f".*{part}" for part in parts[-1:]])


def host_name(host: str) -> str:
    """Return the name of a Host field, lower-case, without port and last dot."""
    return re.sub(r":[0-9]*$", "", host).lower().rstrip(".")
