"""Which fields HEADER lines may change on the way to a node, and what may be put into them."""

from __future__ import annotations

import re

from wsgistack.errors import CommandError

__all__ = ["check_name", "check_value"]

# RFC 9110 §7.6.1 and the framing of RFC 9112 §6: these are ours alone on the way to a node.
OUR_FIELDS = frozenset(
    [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)


def check_name(name: str) -> None:
    """Raise CommandError for what is no field, or one that says how a message is carried."""
    if not TOKEN.fullmatch(name):
        raise CommandError(f"{name!r} is not the name of a field")
    if name.lower() in OUR_FIELDS:
        raise CommandError(f"the field {name} says how a message is carried; it cannot be changed")


def check_value(value: str) -> None:
    """Raise CommandError for what no field can carry."""
    if any(not " " <= c <= "\xff" or "\x7f" <= c <= "\x9f" for c in value):
        raise CommandError(f"{value!r} holds a character that HTTP fields cannot carry")
