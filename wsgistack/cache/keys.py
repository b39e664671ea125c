"""Under which key a page is kept: a frame that no two different requests share.

    frame = version, class, scheme, host, path, query, dimensions ...    each with its length before it

Concatenation without lengths lets one request take another's place (`a` + `bc`, `ab` + `c`), and so do
hosts, paths and queries that the application reads otherwise than the cache.  What can be read in two
ways is therefore not cached at all: `find_target` gives a word of REFUSALS.  The store's key is a
BLAKE2b-160 of the frame, and the frame itself is kept in the entry and compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from wsgistack.errors import ConfigurationError, SettingError
from wsgistack.http.request import RequestView
from wsgistack.memos import Memo, remember

__all__ = [
    "IGNORED_PARAMETERS",
    "REFUSALS",
    "Key",
    "Names",
    "Target",
    "find_target",
    "known_keys",
    "make_key",
    "normalise_prefix",
]

VERSION = "1"
DIGEST_BYTES = 20
LONGEST_PATH = 8192  # with the query; what is longer is not worth keeping
LONGEST_REMEMBERED = 512  # characters of what a key is made of, if its making is to be spared the next time

REFUSALS = {
    "host": "the Host field is missing, malformed, or not one of the allowed hosts",
    "path": "the path has an encoded slash, a backslash, a NUL, or a dot-segment: applications differ",
    "length": "the path and the query are longer than 8,192 characters",
}

# What campaigns and social networks put behind links; it changes nothing that a page shows.
IGNORED_PARAMETERS = (
    "utm_*",
    "gclid",
    "gbraid",
    "wbraid",
    "gclsrc",
    "dclid",
    "fbclid",
    "msclkid",
    "mc_cid",
    "mc_eid",
    "igshid",
    "twclid",
    "yclid",
    "_ga",
    "_gl",
)

HOST = re.compile(r"([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])\.?(?::([0-9]{0,5}))?")
DEFAULT_PORTS = {"http": 80, "https": 443}
AMBIGUOUS = re.compile(r"%2f|%5c|%00|\\|\0|[\x01-\x20\x7f]|/(?:\.|%2e){1,2}(?:/|;|$)", re.IGNORECASE)
RAW = ("RAW_URI", "REQUEST_URI")  # gunicorn's and our own name, uWSGI's and Werkzeug's


class Names:
    """Names and patterns (`utm_*`) as one question; exact names cost a look in a set.

    Case counts; *caseless*: not theirs, and who asks gives lower-case names.
    """

    __slots__ = ("_exact", "_find", "patterns")

    def __init__(self, patterns: Iterable[str], *, setting: str, caseless: bool = False) -> None:
        if isinstance(patterns, str):
            raise ConfigurationError(f"{setting}: {patterns!r:.80} is one text, expected a list of names")
        if not isinstance(patterns, Iterable):
            raise ConfigurationError(f"{setting}: {patterns!r:.80} is not a list of names")
        self.patterns = tuple(patterns)
        wrong = [pattern for pattern in self.patterns if not isinstance(pattern, str) or not pattern]
        if wrong:
            told = (f"{setting}: {one!r:.80} is not a name or a pattern such as 'utm_*'" for one in wrong)
            raise SettingError(*told)
        if caseless:
            self.patterns = tuple([pattern.lower() for pattern in self.patterns])
        wild = [pattern for pattern in self.patterns if any(mark in pattern for mark in "*?[")]
        self._exact = frozenset(self.patterns) - frozenset(wild)
        self._find = re.compile("|".join(map(translate, wild))).match if wild else None

    def __contains__(self, name: str) -> bool:
        return name in self._exact or (self._find is not None and self._find(name) is not None)

    def __bool__(self) -> bool:
        return bool(self.patterns)


Pairs = tuple[tuple[str, str | None], ...]


class Target(NamedTuple):
    """What is asked for, as the key has it and as the application is to see it while a page is filled.

    *path*: raw, as it stands on the wire.  *query*: raw, without the ignored parameters.  *seen*: the
    mount point, where there is one (`/a` + `/b` is not `/a/b`: X-Forwarded-Prefix, and gunicorn's
    SCRIPT_NAME field, move it), and the decoded path, where a middleware above moved the request.
    """

    scheme: str
    host: str
    path: str
    query: str
    seen: str | None = None

    @property
    def url(self) -> str:
        """The absolute URL."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.host}{self.path}{query}"

    def __str__(self) -> str:
        return self.url


class Key(NamedTuple):
    """*text*: the store's key, 42 characters.  *full*: the frame, which the entry keeps."""

    text: str
    full: bytes


def find_target(request: RequestView, *, hosts: Names | None = None, ignored: Names) -> Target | str:
    """Return what *request* asks for, or a word of REFUSALS.

    *hosts*: the allowed ones, None for all that are well formed.  *ignored*: names of parameters that
    are neither keyed nor shown to the application while a shared page is filled.
    """
    scheme = request.scheme
    host = normalise_host(scheme, request.host)
    if host is None or (hosts is not None and host not in hosts and _without_port(host) not in hosts):
        return "host"
    query = request.query
    path, seen = _raw_path(request)
    if len(path) + len(query) > LONGEST_PATH:
        return "length"
    if not _is_plain(path):
        return "path"
    if query and ignored:
        query = remove_parameters(query, ignored)
    return Target(scheme, host, path, query, seen)


def _without_port(host: str) -> str:
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def normalise_host(scheme: str, host: str) -> str | None:
    """Return *host* in lower case, without a last dot and the scheme's own port; None for what is none.

    >>> normalise_host("https", "Example.COM.:443"), normalise_host("http", "[::1]:8080")
    ('example.com', '[::1]:8080')
    """
    return _known_host[scheme, host]


def _normalise_host(asked: tuple[str, str]) -> str | None:
    scheme, host = asked
    found = HOST.fullmatch(host.lower()) if len(host) <= 255 + 6 else None
    if found is None:
        return None
    name, port = found.groups()
    if not port or int(port) == DEFAULT_PORTS.get(scheme):
        return name
    return f"{name}:{int(port)}" if 0 < int(port) < 65_536 else None


_known_host = Memo(_normalise_host, 1024)


def normalise_prefix(prefix: str) -> str:
    """Return a prefix of absolute URLs as targets have it, if it has a whole authority; else as it is.

    >>> normalise_prefix("HTTPS://Example.com:443/News/"), normalise_prefix("https://exam")
    ('https://example.com/News/', 'https://exam')
    """
    scheme, mark, rest = prefix.partition("://")
    host, slash, path = rest.partition("/")
    found = normalise_host(scheme.lower(), host) if mark and slash else None
    return prefix if found is None else f"{scheme.lower()}://{found}/{path}"


def _raw_path(request: RequestView) -> tuple[str, str | None]:
    """Return the path as it stands on the wire, and what the application sees where that is another one."""
    decoded, mount = request.path, request.variable("SCRIPT_NAME")
    mounted = f"mount:{mount}" if mount else None
    for name in RAW:
        raw = request.variable(name)
        if raw is not None:
            path = _path_of(raw)
            if _decode(path) == decoded:
                return path, mounted
            return path, frame(mount, decoded) if mount else decoded
    return quote(decoded, safe="/~!$&'()*+,;=:@", encoding="latin-1"), mounted


@remember(1024, longest=LONGEST_REMEMBERED)
def _path_of(raw: str) -> str:
    path = raw.partition("?")[0].partition("#")[0]
    if not path.startswith("/"):
        _, mark, rest = path.partition("://")  # absolute-form: RFC 9112 §3.2.2
        path = "/" + rest.partition("/")[2] if mark else path
    return path


@remember(1024, longest=LONGEST_REMEMBERED)
def _decode(path: str) -> str:
    return unquote_to_bytes(path.encode("latin-1", "replace")).decode("latin-1")


@remember(1024, longest=LONGEST_REMEMBERED)
def _is_plain(path: str) -> bool:
    return path[:1] == "/" and AMBIGUOUS.search(path) is None


def remove_parameters(query: str, ignored: Names) -> str:
    """Return *query* without the parameters that are *ignored*, the others untouched and in order.

    Only `&` separates, so that `utm_x=1;id=2` goes or stays as a whole (parameter cloaking).

    >>> remove_parameters("a=1&utm_source=x&b=2", Names(["utm_*"], setting="ignored"))
    'a=1&b=2'
    """
    parts = query.split("&")
    kept = [part for part in parts if _name_of(part) not in ignored]
    return query if len(kept) == len(parts) else "&".join(kept)


def _name_of(part: str) -> str:
    name = part.partition("=")[0]
    if "%" in name or "+" in name:
        return unquote_to_bytes(name.replace("+", " ").encode("latin-1", "replace")).decode("latin-1")
    return name


def frame(*texts: str | None) -> str:
    """Return *texts* so that they can be told apart again: each with its length, or `-` for an absent one.

    >>> frame("ab", None, "")
    '2:ab-0:'
    """
    return "".join(["-" if text is None else f"{len(text)}:{text}" for text in texts])


def make_key(
    target: Target,
    dimensions: Pairs = (),
    selecting: Pairs | None = None,
    *,
    space: str = "",
    method_class: str = "read",
) -> Key:
    """Return the key of the page of *target*.

    *dimensions*: (name, value or None) of what else the page is for: key cookies, forwarded scheme.
    *selecting*: the same of the fields that a variant was chosen by; None: the key under which the
    URL's names of such fields are kept.  *space*: tells caches apart that share a store.
    """
    return known_keys[target, dimensions, selecting, space, method_class]


def _make_key(asked: tuple[Target, Pairs, Pairs | None, str, str]) -> Key:
    target, dimensions, selecting, space, method_class = asked
    parts = [_frame_class(space, method_class), frame(*target), _known_pairs["", dimensions]]
    if selecting is not None:
        parts.append(_known_pairs["v", selecting])
    full = "".join(parts).encode("utf-8", "surrogatepass")
    return Key("p:" + blake2b(full, digest_size=DIGEST_BYTES).hexdigest(), full)


known_keys = Memo(_make_key, 1024, longest=LONGEST_REMEMBERED)


@lru_cache(maxsize=64)
def _frame_class(space: str, method_class: str) -> str:
    return frame(VERSION, space, method_class)


def _frame_pairs(asked: tuple[str, Pairs]) -> str:
    """Return *pairs* behind their number; kinds of visitors are few, and URLs are many."""
    mark, pairs = asked
    return f"{mark}{len(pairs)}." + "".join([frame(name, value) for name, value in pairs])


_known_pairs = Memo(_frame_pairs, 1024)
