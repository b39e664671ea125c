"""The settings of a management service: who may use it, and how it is spoken to.

A token is kept as its SHA-256 and shown as that, so neither dumpconfig nor anything else gives
it away, and what was dumped can be replayed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from wsgistack.balancer.address import parse_listen
from wsgistack.errors import CommandError, SettingError
from wsgistack.settings import BOOL, TEXT, Kind, Setting, Value, make_choice

__all__ = ["ADMIN_SETTINGS", "TOKENS", "check_guarded", "is_token", "make_digest", "seal"]

MANAGEMENT = "management"
PREFIX = "sha256:"
TOKENS = ("admin_token", "admin_token_file", "readonly_token", "readonly_token_file")


def make_digest(token: str) -> str:
    """Return what is kept of a token.

    >>> make_digest("0123456789abcdef")[:20]
    'sha256:9f9f5111f7b27'
    """
    return PREFIX + hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def seal(line: str) -> str:
    """Return a command with the tokens that it sets as their digests, for whoever writes it down.

    >>> seal("SET admin.admin_token = 0123456789abcdef")[:47]
    'SET admin.admin_token = sha256:9f9f5111f7b27a78'
    """

    def digest(found: re.Match[str]) -> str:
        token = found[2]
        return found[1] + (make_digest(token) if is_token(token) else token)

    return re.sub(r"(?i)\b((?:admin|readonly)_token ?= ?)(?!sha256:)(\S+)", digest, line)


def is_token(text: str) -> bool:
    """Tell whether *text* may be a token: 16 to 128 characters, none of which the language reads."""
    return re.fullmatch(r"[!\"%-~]{16,128}", text) is not None  # without # and $


def _parse_token(text: str) -> str:
    if text in ('""', "''", "none"):
        return ""
    if re.fullmatch(rf"{PREFIX}[0-9a-f]{{64}}", text):
        return text
    if not is_token(text):
        raise ValueError(text)
    return make_digest(text)


def _parse_mode(text: str) -> int:
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError(text)
    return int(text, 8)


def _show_mode(value: Value) -> str:
    assert isinstance(value, int)
    return f"{value:04o}"


def _parse_file(text: str) -> str:
    if text in ('""', "''", "none"):
        return ""
    if not text.startswith("/"):
        raise SettingError(f"'{text}' is not the path of a file from / on")
    return str(TEXT.parse(text))


TOKEN = Kind(
    "token",
    _parse_token,
    lambda value: str(value) or "none",
    "Expecting 16 to 128 printable characters without blanks, # and $ for parameter '{name}'",
)
TOKEN_FILE = Kind("file", _parse_file, lambda value: str(value) or "none", TEXT.complaint)
MODE = Kind("mode", _parse_mode, _show_mode, "Expecting a mode such as 0600 for parameter '{name}'")
PROTOCOL = make_choice(lambda: ("line", "http", "both"), "Unknown protocol")


def _admin(name: str, kind: Kind, default: Value, text: str) -> Setting:
    return Setting(name, kind, default, text, role=MANAGEMENT)


ADMIN_SETTINGS = [
    _admin("protocol", PROTOCOL, "both", "line (telnet), http, or both: told apart by the first line"),
    _admin("admin_token", TOKEN, "", "who shows it may do anything; kept as its SHA-256"),
    _admin("admin_token_file", TOKEN_FILE, "", "file that holds it, for its owner alone; read at each use"),
    _admin("readonly_token", TOKEN, "", "who shows it may read; kept as its SHA-256"),
    _admin(
        "readonly_token_file", TOKEN_FILE, "", "file that holds it, for its owner alone; read at each use"
    ),
    _admin("readonly", BOOL, False, "nobody changes anything by this port, whatever the token"),
    _admin("socket_mode", MODE, 0o600, "mode of its Unix sockets"),
    _admin(
        "admin_hosts", TEXT, "", "names by which HTTP clients may call it, beside addresses and localhost"
    ),
]


def check_guarded(role: str | None, listen: tuple[str, ...], settings: Mapping[str, Value]) -> None:
    """Refuse an admin port that others can reach and that asks for no token."""
    if role != MANAGEMENT or any(settings[key] for key in TOKENS):
        return
    for address in listen:
        if not parse_listen(address).is_local:
            text = f"a management service on {address} is open to others and needs a token"
            raise CommandError(f"{text}: SET admin_token_file = FILE, or listen on 127.0.0.1 or unix:/path")
