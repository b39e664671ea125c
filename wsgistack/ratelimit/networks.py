"""Sets of networks: given in the settings, or kept in a file that an operator edits.

A file has one network or address a line; what follows `#` is a remark.

    10.0.0.0/8        # the office
    2001:db8::/32

It is looked at once a second at most, by a request, and read again when it has changed.  A file with
a line that is none changes nothing: the old set holds, and the log says file and line.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

from wsgistack.complaints import gather
from wsgistack.errors import SettingError
from wsgistack.http.forwarded import Address
from wsgistack.http.networks import Network, parse_network

__all__ = ["NetworkFile", "NetworkSet", "Networks", "parse_networks"]

LOOK_S = 1.0
LARGEST_BYTES = 64 * 1024 * 1024  # about three million lines
MOST_REMEMBERED = 8192

log = logging.getLogger(__name__)


class NetworkSet(Protocol):
    """Addresses that something holds for."""

    def __contains__(self, address: Address | None) -> bool: ...

    def __bool__(self) -> bool: ...


class Networks:
    """A set of networks, asked by address; None, an address that nobody knows, is in none.

    Asking costs a dictionary look-up for an address that was asked for lately, else one for each
    length of prefix that occurs.
    """

    def __init__(self, networks: Iterable[Network]) -> None:
        self._by_prefix: dict[tuple[int, int], set[int]] = {}  # (version, bits behind the prefix)
        for network in networks:
            shift = network.max_prefixlen - network.prefixlen
            found = self._by_prefix.setdefault((network.version, shift), set())
            found.add(int(network.network_address) >> shift)
        self._knows = lru_cache(maxsize=MOST_REMEMBERED)(self._look)

    def __contains__(self, address: Address | None) -> bool:
        return address is not None and self._knows(address)

    def __bool__(self) -> bool:
        return bool(self._by_prefix)

    def _look(self, address: Address) -> bool:
        version, number = address.version, int(address)
        return any(
            version == of and number >> shift in found for (of, shift), found in self._by_prefix.items()
        )


def parse_networks(words: Iterable[str], *, setting: str) -> Networks:
    """Return the networks that *words* name: `10.0.0.0/8`, `2001:db8::/32`, or a single address.

    Raises SettingError that names the *setting* and each word that is none.
    """
    return Networks(gather(partial(_parse, word, setting) for word in words))


def _parse(word: str, where: str) -> Network:
    try:
        return parse_network(word)
    except ValueError:
        text = f"{where}: {word!r} is not a network such as 10.0.0.0/8 or 2001:db8::/32"
        raise SettingError(text) from None


class NetworkFile:
    """The networks of the file at *path*.

    Raises SettingError, with file and line, for one that cannot be used at first; later trouble is
    logged once, kept in `trouble` ("" while there is none), and the networks of before hold.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, setting: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.trouble = ""
        self._path = Path(path)
        self._setting = setting
        self._monotonic = monotonic
        self._look_at = monotonic() + LOOK_S
        self._seen = self._stamp()
        self._networks = self._read()

    def __contains__(self, address: Address | None) -> bool:
        now = self._monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._look_again()
        return address in self._networks

    def __bool__(self) -> bool:
        return True  # what is empty now may be filled

    def _look_again(self) -> None:
        try:
            seen = self._stamp()
            if seen == self._seen:
                return
            networks = self._read()
        except SettingError as error:
            if str(error) != self.trouble:
                self.trouble = str(error)
                log.error("networks_kept reason=%r", self.trouble)
            return
        self._seen, self._networks, self.trouble = seen, networks, ""
        log.info("networks_read file=%s", self._path)

    def _stamp(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except (OSError, ValueError) as error:
            raise SettingError(f"{self._setting}: {self._path}: {_reason(error)}") from None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> Networks:
        try:
            if self._path.stat().st_size > LARGEST_BYTES:
                raise SettingError(f"{self._setting}: {self._path}: more than {LARGEST_BYTES} bytes")
            lines = self._path.read_text("utf-8", "replace").splitlines()
        except OSError as error:
            raise SettingError(f"{self._setting}: {self._path}: {_reason(error)}") from None
        networks = []
        for number, line in enumerate(lines, 1):
            word = line.partition("#")[0].strip()
            if word:
                networks.append(_parse(word, f"{self._setting}: {self._path}:{number}"))
        return Networks(networks)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
