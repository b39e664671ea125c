"""What components of a stack do for every request; what they do for some is in `components`.

`wsgistack.chore_cy` is the compiled twin of this module; `chores` picks one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b, sha1
from threading import Lock
from typing import Any

from wsgistack import forks
from wsgistack.codings import Encodings
from wsgistack.memos import Memo
from wsgistack.passage import Passage
from wsgistack.wsgi import Environ, text_of

__all__ = ["Encodings", "Names", "Shares", "Tags"]

TAG_DIGITS = 32
PERSON = b"wsgistack etag"
# Bytes of the longest body of a page's size: OpenSSL's SHA-1, which processors have built in, makes longer ones
# quicker, but the way to it is 20 kB of code, which are not at hand where an application has just run.
MOST_QUICK = 8192
REMEMBERED = 8192  # visitors whose buckets need not be computed again
LONGEST_REMEMBERED = 1024  # characters of their cookies: 8 MiB at most
OF_COOKIE = ("Vary", "Cookie")  # else a cache in front would give the page of one bucket to another


class Names:
    """Names requests, for `request_id`.

    *accepts*: a name that came with the request and *is_plain(name)* is kept.  *responds*: the response
    carries it.  *made*: names that were made in advance; *make()*: makes more, and returns one.
    """

    __slots__ = ("_accepts", "_is_plain", "_made", "_make", "_responds")

    def __init__(
        self,
        accepts: bool,
        responds: bool,
        *,
        is_plain: Callable[[str], object],
        made: list[str],
        make: Callable[[], str],
    ) -> None:
        self._accepts = accepts
        self._responds = responds
        self._is_plain = is_plain
        self._made = made
        self._make = make

    def enter(self, environ: Environ, passage: Passage, /) -> None:
        """Name the request."""
        given = environ.get("HTTP_X_REQUEST_ID") if self._accepts else None
        if given is None or not self._is_plain(given):
            try:
                given = self._made.pop()
            except IndexError:
                given = self._make()
        environ["HTTP_X_REQUEST_ID"] = environ["wsgistack.request_id"] = given
        if self._responds:
            passage.request_id = given


class Tags:
    """Makes ETags of short bodies, and tells who has the current one already, for `conditional`.

    *is_known(passage)*: whether the request says that it has it.  *voice*: the type of what stands at
    environ["wsgistack.cache"] where a page cache is around.  *of_content*: fields that a 304 does without.
    A body of the server's own file wrapper is left to the server, which sends it better.
    """

    __slots__ = ("_is_known", "_most_bytes", "_of_content", "_voice")

    def __init__(
        self,
        most_bytes: int,
        *,
        is_known: Callable[[Passage], bool],
        voice: type[Any],
        of_content: Sequence[str],
    ) -> None:
        self._most_bytes = most_bytes
        self._is_known = is_known
        self._voice = voice
        self._of_content = of_content

    def enter(self, environ: Environ, passage: Passage, /) -> None:
        """Ask for the whole response, where conditions may be about it."""
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            passage.settle = self.settle

    def settle(self, passage: Passage, rest: Iterable[bytes], /) -> Iterable[bytes]:
        """Make an ETag of a body that is known to be short; let the head be that of a 304 where that is due."""
        if passage.head[:3] != "200":
            return rest
        environ, fields = passage.environ, passage.fields
        if (
            "etag" not in fields
            and text_of(environ, "REQUEST_METHOD") == "GET"
            and self._is_short(passage, rest)
        ):
            rest = rest if isinstance(rest, list | tuple) else [*rest]
            if not passage.is_held:  # written through meanwhile
                return rest
            tag = fields["etag"] = tag_of(b"".join(rest))
            passage.headers.append(("ETag", tag))
            voice: Any = environ.get("wsgistack.cache")
            if type(voice) is self._voice:  # to ask for the tag again would spare the application nothing
                voice.has_made_tag = True
        if ("HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MODIFIED_SINCE" in environ) and self._is_known(
            passage
        ):
            passage.head = "304 Not Modified"
            passage.headers = [(n, v) for n, v in passage.headers if n.lower() not in self._of_content]
            return []
        return rest

    def _is_short(self, passage: Passage, rest: Iterable[bytes]) -> bool:
        fields = passage.fields
        if "content-range" in fields or "no-store" in fields.get("cache-control", "").lower():
            return False
        if isinstance(rest, list | tuple):
            return sum(map(len, rest)) <= self._most_bytes
        length = fields.get("content-length", "")
        wrapper = passage.environ.get("wsgi.file_wrapper")
        return (
            length.isdecimal()
            and int(length) <= self._most_bytes
            and not (isinstance(wrapper, type) and isinstance(rest, wrapper))
        )


def tag_of(body: bytes) -> str:
    """Return the ETag of a body, the same everywhere; a client has little to win by two bodies of one tag."""
    if len(body) <= MOST_QUICK:
        return f'"{blake2b(body, digest_size=TAG_DIGITS // 2, person=PERSON).hexdigest()}"'
    return f'"{sha1(body, usedforsecurity=False).hexdigest()[:TAG_DIGITS]}"'


class Shares:
    """Finds the buckets of visitors, for `buckets`, counts them in *counts*, and says what pages depend on.

    *read(cookies)*: the visitor whom they name, "" for nobody, and what is shown of them before the
    label.  *find(visitor)*: the (split, bucket) pairs, and the label; both are remembered.  *by*: a variable that names the
    visitor, "" for none.  *greet(environ, passage)*: returns a new visitor, who is told.
    """

    __slots__ = ("__weakref__", "_by", "_find", "_greet", "_lock", "_read", "counts")

    def __init__(
        self,
        read: Callable[[str], tuple[str, str]],
        find: Callable[[str], tuple[tuple[tuple[str, str], ...], str]],
        by: str,
        greet: Callable[[Environ, Passage], str],
    ) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        self._read = Memo(read, REMEMBERED, longest=LONGEST_REMEMBERED)
        self._find = Memo(find, REMEMBERED, longest=LONGEST_REMEMBERED)
        self._by = by
        self._greet = greet
        self._lock = Lock()
        forks.register(self)

    def enter(self, environ: Environ, passage: Passage, /) -> None:
        """Find the visitor's buckets."""
        cookies = environ.get("HTTP_COOKIE") or ""
        visitor, shown = self._read(cookies)
        named = environ.get(self._by) if self._by else None
        if named:
            visitor = f"by {named}"
        elif not visitor:
            visitor = self._greet(environ, passage)
        passage.add([OF_COOKIE])
        buckets, label = self._find(visitor)
        environ["wsgistack.buckets"] = dict(buckets)
        environ["wsgistack.bucket"] = buckets[0][1]
        environ["HTTP_COOKIE"] = shown + label
        with self._lock:
            counts = self.counts
            for pair in buckets:
                counts[pair] = counts.get(pair, 0) + 1

    def forked(self) -> None:
        """Count anew: what was counted so far are the parent's requests."""
        self.counts = {}
        self._lock = Lock()
