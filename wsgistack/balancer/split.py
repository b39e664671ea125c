"""Splits: which share of a service's visitors goes to another pool, and by what a visitor is known.

    beta 5% cookie                          a signed cookie of ours
    beta 5%, gamma 10% ip                   the client's address, of IPv6 its /64
    beta 5% up to 20%, gamma 10% ip         the same; while beta grows that far, nobody leaves gamma
    checkout: beta 5% header X-User         what a field says; who has none is known by our cookie
    beta 5% cookie uid                      the same of a cookie of the application's

Who is in which bucket is decided by wsgistack/splits.py; plane/split.pyx is its compiled twin, and
`explain` uses this one.  A bucket is called as its pool.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from wsgistack.balancer.hash_key import find_cookie
from wsgistack.errors import SettingError
from wsgistack.http.forwarded import Address
from wsgistack.registry import find_hint
from wsgistack.settings import TEXT, Kind
from wsgistack.splits import LEAST_SECRET, ONE, WORD, Share, Split, make_split, mark_of, parse_shares

__all__ = [
    "FIELD",
    "MOST_CELLS",
    "MOST_SHARES",
    "OTHERS",
    "REST",
    "SPLIT_SECRET",
    "Rule",
    "Visitor",
    "bucket_number",
    "check_names",
    "find_cell",
    "find_visitor",
    "parse_rule",
    "place_percent",
    "take_cell",
]

MOST_SHARES = 8  # plane/split.pxd
MOST_CELLS = 32  # counters of a service's buckets, plane/board.pxd
FIELD = "wsgistack-bucket"  # by which a worker tells the keeper, and that the inner side
REST, OTHERS = "-", "others"  # who is in no bucket; buckets for which there was no counter left
EMPTY_WORDS = ("none", '""', "''", "off")
KEYS = ("cookie", "ip", "header")
TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,60}"  # RFC 9110 §5.6.2
NAMED = re.compile(rf"(?:({WORD})\s*:\s*)?(.*%)\s*(.*)", re.DOTALL)
OURS = re.compile(r"([A-Za-z0-9_-]{1,128})\.([0-9a-f]+)")
EXAMPLE = "'beta 5% cookie'"


@dataclass(frozen=True, slots=True)
class Rule:
    """What `SET split` says: the share of each bucket.  *by*: cookie, ip or header; *key*: a name.

    `cookie` without a name is the cookie of our own.
    """

    name: str
    shares: tuple[Share, ...]
    by: str = "cookie"
    key: str = ""

    def __str__(self) -> str:
        name = "" if self.name == self.shares[0].bucket else f"{self.name}: "
        shares = ", ".join(map(str, self.shares))
        return f"{name}{shares} {self.by} {self.key}".strip()

    @property
    def pools(self) -> list[str]:
        """The pools of its buckets."""
        return [share.bucket for share in self.shares]

    @property
    def split(self) -> Split:
        """Who is in which bucket."""
        return make_split(self.name, self.shares)

    def as_wire(
        self,
        key: bytes,
        settings: Mapping[str, Any],
        tokens: Mapping[str, Mapping[str, str]],
        cells: Mapping[str, int],
    ) -> dict[str, Any]:
        """Return the JSON object for the plane: *tokens* of sticky cookies by pool, *cells* by bucket."""
        split = self.split
        return {
            "by": self.by,
            "key": self.key,
            "secret": key.hex(),
            "person": split.person.hex(),
            "cookie": settings["split_cookie"],
            "max_age": int(settings["split_max_age"]),
            "shares": [
                {
                    "pool": pool,
                    "begin": begin,
                    "end": end,
                    "number": bucket_number(pool),
                    "cell": find_cell(cells, pool),
                    "tokens": dict(tokens.get(pool, {})),
                }
                for (_, begin), (pool, end) in pairwise([("", 0), *split.buckets])
                if pool
            ],
        }


def take_cell(cells: dict[str, int], bucket: str) -> None:
    """Give *bucket* a counter of its own; a name that had one keeps it, and what it counted.

    The last one is shared by all for whom none is left.
    """
    if bucket not in cells:
        cells[bucket if len(cells) < MOST_CELLS - 1 else OTHERS] = min(len(cells), MOST_CELLS - 1)


def find_cell(cells: Mapping[str, int], bucket: str) -> int:
    """Return the counter of a bucket."""
    return cells.get(bucket, MOST_CELLS - 1)


def bucket_number(name: str) -> int:
    """Return by what processes know a bucket: 24 bits of its name, never 0, the same whatever else changes."""
    return zlib.crc32(name.encode()) >> 8 or 1


def parse_rule(text: str) -> Rule | None:
    """Return what *text* means, None for no split.  SettingError says what was met and expected."""
    if text.lower() in EMPTY_WORDS:
        return None
    found = NAMED.fullmatch(text)
    if found is None:
        raise SettingError(f"split: '{text}' has no share, such as {EXAMPLE}")
    shares = [share._replace(bucket=share.bucket.lower()) for share in parse_shares(found[2])]
    if len(shares) > MOST_SHARES:
        raise SettingError(f"split: {len(shares)} buckets; at most {MOST_SHARES} fit")
    name, pools = found[1] or shares[0].bucket, [share.bucket for share in shares]
    make_split(name, shares)
    if len(set(map(bucket_number, pools))) < len(pools):
        raise SettingError(f"split: of {', '.join(pools)} two look the same: rename one")
    return Rule(name, tuple(shares), *_parse_key(found[3]))


def _parse_key(text: str) -> tuple[str, str]:
    by, _, key = " ".join(text.split()).partition(" ")
    by = by.lower() or "cookie"
    if by not in KEYS:
        hint = find_hint(by, KEYS)
        raise SettingError(f"split: '{text}' is not one of cookie, ip, header NAME or cookie NAME{hint}")
    if by == "ip" and key:
        raise SettingError(f"split: '{text}': an address has no name")
    if by == "header" and not key:
        raise SettingError("split: 'header' of what name? such as 'header X-User'")
    if key and not re.fullmatch(TOKEN, key):
        raise SettingError(f"split: '{key}' is not the name of a {by}")
    return by, key.lower() if by == "header" else key


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, as the split knows him; *why* in words.  *text* is "" for one whom nobody knows yet."""

    text: str
    why: str

    @property
    def as_bytes(self) -> bytes:
        """What is hashed."""
        return self.text.encode("latin-1", "replace")


def find_visitor(
    rule: Rule,
    key: bytes,
    cookie: str,
    *,
    address: Address | None,
    field: Callable[[str], str | None],
) -> Visitor:
    """Return by what a request's visitor is known.  *cookie*: the name of ours; *field* gives a field."""
    cookies = field("cookie") or ""
    if rule.by == "ip" and address is not None:
        shown = _show_address(address)
        return Visitor(f"by {shown}", f"the address {shown}")
    named = field(rule.key) if rule.by == "header" else find_cookie(cookies, rule.key) if rule.key else None
    if named:
        return Visitor(f"by {named}", f"the {rule.by} {rule.key}")
    found = OURS.fullmatch(find_cookie(cookies, cookie) or "")
    if found is None or not hmac.compare_digest(found[2], mark_of(key, found[1])):
        return Visitor("", f"no cookie {cookie} of ours")
    return Visitor(found[1], f"the cookie {cookie}")


def _show_address(address: Address) -> str:
    """Return an IPv4 address, or of IPv6 the network that is one client."""
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)


def place_percent(rule: Rule, key: bytes, visitor: Visitor) -> float:
    """Return where a visitor stands, from 0 to below 100."""
    return rule.split.place(key, visitor.as_bytes) * 100 / ONE


def check_names(settings: Mapping[str, Any]) -> None:
    """Raise SettingError where a client would get two cookies of one name."""
    if settings["split_cookie"] == settings["sticky_cookie"]:
        raise SettingError(
            f"split_cookie and sticky_cookie: both are '{settings['split_cookie']}', and they say different things"
        )


def _read_secret(text: str) -> str:
    value = str(TEXT.parse(text))
    if 0 < len(value) < LEAST_SECRET:
        raise SettingError(
            f"split_secret: {len(value)} characters; it takes {LEAST_SECRET} that nobody can guess"
        )
    return value


SPLIT_SECRET = Kind("text", _read_secret, TEXT.show, TEXT.complaint)
