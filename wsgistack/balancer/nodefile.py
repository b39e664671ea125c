"""A pool's nodefile: one node a line, as Perlbal reads it, and with the options of POOL ADD.

>>> entries, problems = parse_nodefile("10.0.0.1:8001 weight=2  # the big one\\n???\\nweb2 10.0.0.2:8001 up\\n")
>>> [str(entry) for entry in entries]
['10.0.0.1:8001 weight=2', '10.0.0.2:8001']
>>> problems
[(2, '???', "'???': expected 1.2.3.4, [::1] or a host name, each with :port, or unix:/path")]
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from wsgistack.balancer.address import Address, parse_member
from wsgistack.balancer.discovery import HEAVIEST, MOST_IN_FLIGHT
from wsgistack.balancer.dns_package import NEED_DNS, has_dns
from wsgistack.balancer.roster import Entry
from wsgistack.errors import AddressError, CommandError
from wsgistack.registry import find_nearest

__all__ = ["parse_nodefile", "parse_options"]

OPTIONS = ("weight", "max", "backup")

# Perlbal takes any line that holds one of these, whatever stands around it.
DOTTED_QUAD = re.compile(r"(?<![\w./])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5})?(?![\w.:/])", re.ASCII)

NodefileProblem = tuple[int, str, str]  # number of the line, the line, what is wrong with it


def parse_nodefile(text: str) -> tuple[list[Entry], list[NodefileProblem]]:
    """Return the nodes of a file, each once, and the lines that are none; those are passed over."""
    entries: dict[str, Entry] = {}
    problems = []
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            entry = _parse_line(words)
        except (AddressError, CommandError) as error:
            problems.append((number, line.strip(), str(error)))
        else:
            entries[str(entry.address)] = entry
    return list(entries.values()), problems


def _parse_line(words: Sequence[str]) -> Entry:
    found = DOTTED_QUAD.search(" ".join(words))
    if found and found[0] != words[0]:
        return Entry(parse_member(found[0]))
    address = parse_member(words[0])
    if address.kind == "name" and not _looks_like_a_name(words[0]):
        raise AddressError(f"'{words[0]}': in a nodefile a host name has a dot or a port")
    return parse_options(address, words[1:])


def _looks_like_a_name(word: str) -> bool:
    return "." in word or ":" in word


def parse_options(address: Address, words: Sequence[str], *, complaint: str = "") -> Entry:
    """Return the entry of *address* with the options `weight=N`, `max=N` and `backup`.

    Raises CommandError for what is none of them, with the nearest, and for a number out of range;
    its text begins with *complaint*.  And for SRV records where DNS cannot be spoken.
    """
    if address.kind == "srv" and not has_dns():
        raise CommandError(f"{address}: SRV records {NEED_DNS}")
    weight = most = None
    backup = False
    for word in words:
        key, equals, value = word.partition("=")
        match key.lower(), bool(equals):
            case "weight", True:
                weight = _parse_number(complaint + key.lower(), value, 1, HEAVIEST)
            case "max", True:
                most = _parse_number(complaint + key.lower(), value, 0, MOST_IN_FLIGHT)
            case "backup", False:
                backup = True
            case "backup", True:
                raise CommandError(f"{complaint}{word}: backup takes no value")
            case "weight" | "max", False:
                raise CommandError(f"{complaint}{word}: a number is missing, as in {key.lower()}=2")
            case _:
                nearest = find_nearest(key.lower(), OPTIONS)
                hint = "" if nearest else " (one of weight=, max=, backup)"
                raise CommandError(f"{complaint}{word}{hint}", met=key, nearest=nearest)
    return Entry(address, weight, most, backup)


def _parse_number(key: str, text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not least <= int(text) <= most:
        raise CommandError(f"{key}: '{text}' is not a number from {least} to {most}")
    return int(text)
