"""Sets of networks: given in the settings, or kept in a file that an operator edits.

A file has one network or address a line; what follows `#` is a remark.

    10.0.0.0/8        # the office
    2001:db8::/32

It is followed: see FollowedFile.  A file with a line that is none changes nothing: the old set holds, and
the log says file and line.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Protocol

from wsgistack.complaints import gather
from wsgistack.errors import SettingError
from wsgistack.http.forwarded import Address
from wsgistack.http.networks import Network, parse_network
from wsgistack.ratelimit.followed import FollowedFile

__all__ = ["NetworkFile", "NetworkSet", "Networks", "parse_networks", "parse_peers"]

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
    return Networks(gather(partial(_parse, word, setting) for word in _as_list(words, setting)))


def parse_peers(words: Iterable[str], *, setting: str) -> tuple[bool, Networks]:
    """Return whether `unix` is one of *words*, peers on a Unix socket, and the networks of the others."""
    words = _as_list(words, setting)
    return "unix" in words, parse_networks([word for word in words if word != "unix"], setting=setting)


def _as_list(words: Iterable[str], setting: str) -> list[str]:
    if isinstance(words, str) or not isinstance(words, Iterable):
        raise SettingError(f"{setting}: {words!r:.80} is not a list of networks such as ['10.0.0.0/8']")
    return list(words)


def _parse(word: str, where: str) -> Network:
    try:
        if isinstance(word, str):  # of a number it would make an address
            return parse_network(word)
        raise ValueError(word)
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
        self._file = FollowedFile(path, setting=setting, most_bytes=LARGEST_BYTES, monotonic=monotonic)
        self._networks = self._parse(self._file.read() or b"")

    def __contains__(self, address: Address | None) -> bool:
        if self._file.is_due():
            self._look_again()
        return address in self._networks

    def __bool__(self) -> bool:
        return True  # what is empty now may be filled

    def _look_again(self) -> None:
        try:
            data = self._file.read()
            if data is None:
                return
            networks = self._parse(data)
        except SettingError as error:
            if str(error) != self.trouble:
                self.trouble = str(error)
                log.error("networks_kept reason=%r", self.trouble)
            return
        self._networks, self.trouble = networks, ""
        log.info("networks_read %s", self._file)

    def _parse(self, data: bytes) -> Networks:
        words = [line.partition("#")[0].strip() for line in data.decode("utf-8", "replace").splitlines()]
        return Networks(
            gather(
                partial(_parse, word, f"{self._file}:{number}")
                for number, word in enumerate(words, 1)
                if word
            )
        )
