"""What a configuration endpoint says: which nodes there are, as ElastiCache and Memorystore tell it; pure.

    > config get cluster
    < CONFIG cluster 0 <bytes>
    < <version>
    < <host>|<ip>|<port> <host>|<ip>|<port>
    <
    < END

Engines before 1.4.14 keep the same text under the key `AmazonElastiCache:cluster`.  The version
grows with each change.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from wsgistack.errors import AddressError, Unreadable
from wsgistack.store.memcached.addresses import Address, parse_address

__all__ = ["OLD_QUESTION", "QUESTION", "Book", "Configuration", "read_answer"]

QUESTION = b"config get cluster\r\n"
OLD_QUESTION = b"get AmazonElastiCache:cluster\r\n"
MOST_BYTES = 65_536  # 300 nodes, which is more than ElastiCache takes, have 30 kB
HEAD = re.compile(rb"(?:CONFIG cluster|VALUE AmazonElastiCache:cluster) \d{1,10} (\d{1,5})")
OLDER_ANSWERS = 3  # of an older version in a row mean that it was counted anew


class Configuration(NamedTuple):
    """One answer: its version, and the nodes, each once."""

    version: int
    nodes: tuple[Address, ...]


def read_answer(data: bytes) -> Configuration | str | None:
    """Return the configuration that *data* is, why there is none, or None while *data* is not all.

    Raises Unreadable for what no endpoint says.

    >>> read_answer(b"CONFIG cluster 0 19\\r\\n7\\na|10.0.0.1|11211\\n\\r\\nEND\\r\\n").version
    7
    >>> read_answer(b"ERROR\\r\\n")
    'ERROR'
    """
    line, end, rest = data.partition(b"\r\n")
    if len(data) > MOST_BYTES:
        raise Unreadable(f"more than {MOST_BYTES} bytes")
    if not end:
        return None
    head = HEAD.fullmatch(line)
    if head is None:
        if line == b"END" or b"ERROR" in line:
            return line.decode("latin-1")[:80]
        raise Unreadable(f"not a configuration: {line[:40]!r}")
    size = int(head[1])
    if len(rest) < size + 2 + len(b"END\r\n"):
        return None
    if rest[size:] != b"\r\nEND\r\n":
        raise Unreadable(f"a configuration that is longer than said: {rest[size:][:40]!r}")
    return _read_text(rest[:size])


def _read_text(text: bytes) -> Configuration:
    version, _, rest = text.partition(b"\n")
    if not version.isdigit() or len(version) > 18:
        raise Unreadable(f"not a version: {version[:40]!r}")
    nodes = dict.fromkeys(_read_node(word) for word in rest.split())
    if not nodes:
        raise Unreadable("not even one node")
    return Configuration(int(version), tuple(nodes))


def _read_node(word: bytes) -> Address:
    """Return one node.  The host stands for it: a node that is replaced keeps it, and so its keys."""
    host, _, rest = word.decode("latin-1").partition("|")
    ip, _, port = rest.partition("|")
    try:
        return parse_address((host or ip, port))
    except AddressError as error:
        raise Unreadable(str(error)) from None


class Book:
    """What is believed of all answers: the newest configuration."""

    def __init__(self) -> None:
        self.last: Configuration | None = None
        self._older = 0

    def take(self, found: Configuration) -> tuple[Address, ...] | None:
        """Return the nodes that *found* changes to, or None if nothing changes."""
        last = self.last
        if last is not None and found.version == last.version:
            self._older = 0
            return None
        if last is not None and found.version < last.version:
            self._older += 1  # of a server that was not told yet
            if self._older < OLDER_ANSWERS:
                return None
        self._older = 0
        self.last = found
        return None if last is not None and set(last.nodes) == set(found.nodes) else found.nodes
