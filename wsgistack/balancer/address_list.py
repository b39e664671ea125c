"""Networks that an operator keeps in a file, one a line: who is let through, or shut out.

>>> ranges, problems = parse_addresses("203.0.113.0/24  # scrapers\\n2001:db8::/32\\nsomebody\\n")
>>> len(ranges)
2
>>> problems
[(3, "'somebody' is not a network such as 10.0.0.0/8 or 2001:db8::/32")]
"""

from __future__ import annotations

from base64 import b64encode
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from wsgistack.http.forwarded import Address
from wsgistack.http.networks import Network, parse_network

__all__ = ["MOST_RANGES", "AddressList", "Problem", "parse_addresses", "read_list"]

MOST_RANGES = 65_536  # 2 MB; every change of anything brings them to the workers again
ADDRESS_BYTES = 16
V4 = 0xFFFF << 32  # ::ffff:0:0, as the plane has IPv4
V4_LAST = V4 + 0xFFFFFFFF
BEYOND = 1 << 128  # every address
EXAMPLES = "10.0.0.0/8 or 2001:db8::/32"

Range = tuple[int, int]  # first and last address, IPv4 as ::ffff:a.b.c.d
Problem = tuple[int, str]  # number of the line, what is wrong with it


@dataclass(frozen=True, slots=True)
class AddressList:
    """The networks of the file at *path*: *ranges* in order, apart from each other."""

    path: str
    ranges: tuple[Range, ...]
    wire: str = field(init=False, compare=False, repr=False)  # base64 of both ends of each, 16 bytes both

    def __post_init__(self) -> None:
        ends = (end.to_bytes(ADDRESS_BYTES, "big") for found in self.ranges for end in found)
        object.__setattr__(self, "wire", b64encode(b"".join(ends)).decode())

    def __contains__(self, address: Address | None) -> bool:
        """Tell whether that address is in one of them; one that nobody knows is in none."""
        if address is None:
            return False
        number = int(address) + (V4 if address.version == 4 else 0)
        at = bisect_right(self.ranges, (number, BEYOND))
        return at > 0 and number <= self.ranges[at - 1][1]


def parse_addresses(text: str) -> tuple[tuple[Range, ...], list[Problem]]:
    """Return the networks of a file, and the lines that are none."""
    ranges: list[Range] = []
    problems = []
    for number, line in enumerate(text.split("\n"), start=1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        try:
            ranges += _ranges_of(parse_network(word))
        except ValueError:
            problems.append((number, f"'{word[:80]}' is not a network such as {EXAMPLES}"))
    merged = tuple(_merge(ranges))
    if len(merged) > MOST_RANGES:
        problems.append((number, f"{len(merged)} networks; at most {MOST_RANGES} fit"))
    return merged, problems


def read_list(path: str, text: str) -> tuple[AddressList | None, list[Problem]]:
    """Return the list that a file is, None if something is wrong with it, and what."""
    ranges, problems = parse_addresses(text)
    return (None if problems else AddressList(path, ranges)), problems


def _ranges_of(network: Network) -> list[Range]:
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 4:
        return [(first + V4, last + V4)]
    if last < V4 or first > V4_LAST:
        return [(first, last)]
    around = [(first, V4 - 1), (V4_LAST + 1, last)]  # ::/0 is every IPv6 address, and no IPv4
    return [(low, high) for low, high in around if low <= high]


def _merge(ranges: Iterable[Range]) -> Iterator[Range]:
    held: Range | None = None
    for first, last in sorted(ranges):
        if held is None:
            held = first, last
        elif first <= held[1] + 1:
            held = held[0], max(held[1], last)
        else:
            yield held
            held = first, last
    if held is not None:
        yield held
