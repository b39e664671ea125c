"""Rules that are kept in a file, which an operator edits while the site runs.

    [[rule]]
    name = "login"
    rate = "5/15 minutes exact"
    path = "/login"
    methods = "POST"
    key = "ip"

It is TOML; what a rule has is what `Rule` takes, but for functions.  `key` is `ip`, `everybody`, `network`,
`header:NAME` (with the address beside it) or `environ:NAME`; `tier` is `environ:NAME`.

The file is followed (see FollowedFile), and every rule checked before one of them holds.  Else all rules of
before hold, and the log says why.
"""

from __future__ import annotations

import logging
import os
import re
import time
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from wsgistack.errors import ConfigurationError, SettingError
from wsgistack.http.request import RequestView
from wsgistack.ratelimit.clients import Key, client_ip, client_network, environ_key, everybody, header_key
from wsgistack.ratelimit.followed import FollowedFile
from wsgistack.ratelimit.rules import Rule
from wsgistack.registry import find_hint

__all__ = ["RulesFile", "parse_rules"]

LARGEST_BYTES = 1024 * 1024
TEXTS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "rate": str,
    "path": (str, list),
    "methods": (str, list),
    "host": (str, list),
    "key": str,
    "cost": int,
    "charge": dict,
    "tier": str,
    "tiers": dict,
    "status": int,
    "count_refused": bool,
    "ban": str,
    "dry_run": bool,
    "tell": bool,
}
KEYS: dict[str, Callable[[], Key]] = {
    "ip": lambda: client_ip,
    "everybody": lambda: everybody,
    "network": client_network,
}
NAMED_KEYS: dict[str, Callable[[str], Key]] = {"header": header_key, "environ": environ_key}
BEGINS = re.compile(r"\s*\[\[\s*rule\s*\]\]")
log = logging.getLogger(__name__)


def parse_rules(text: str) -> list[Rule]:
    """Return the rules of a text; ConfigurationError names the rule and what is wrong with it."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{error}") from None
    for name in found:
        if name != "rule":
            raise SettingError(f"'{name}' is not '[[rule]]', which is all that stands there")
    tables = found.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SettingError("'rule' is not a list of tables, each of which begins with '[[rule]]'")
    if not tables:
        raise SettingError("no '[[rule]]' is there")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if BEGINS.match(line)]
    rules = []
    for number, table in enumerate(tables):
        try:
            rules.append(_parse_rule(number + 1, table))
        except ConfigurationError as error:
            where = f"line {lines[number]}: " if len(lines) == len(tables) else ""
            raise SettingError(f"{where}{error}") from None
    return rules


def _parse_rule(number: int, table: Mapping[str, Any]) -> Rule:
    where = f"rule {table.get('name', number)}"
    for name, value in table.items():
        if name not in TEXTS:
            hint = find_hint(name, TEXTS)
            raise SettingError(f"{where}: '{name}' is not one of {', '.join(TEXTS)}{hint}")
        kinds = TEXTS[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            kind = kinds if isinstance(kinds, type) else kinds[0]
            raise SettingError(f"{where}: {name}: {value!r:.80} is not a {kind.__name__}")
    for name in ("name", "rate"):
        if name not in table:
            raise SettingError(f"{where}: no '{name}'")
    arguments = dict(table)
    if "key" in table:
        arguments["key"] = _parse_key(table["key"], where)
    if "tier" in table:
        arguments["tier"] = _parse_tier(table["tier"], where)
    return Rule(**arguments)


def _parse_key(text: str, where: str) -> Key:
    if text in KEYS:
        return KEYS[text]()
    kind, colon, name = text.partition(":")
    if colon and name and kind in NAMED_KEYS:
        return NAMED_KEYS[kind](name)
    hint = find_hint(text, KEYS)
    raise SettingError(
        f"{where}: key: {text!r} is not one of {', '.join(KEYS)}, header:NAME, environ:NAME{hint}"
    )


def _parse_tier(text: str, where: str) -> Callable[[RequestView], str | None]:
    kind, _, name = text.partition(":")
    if kind != "environ" or not name:
        raise SettingError(f"{where}: tier: {text!r} is not like 'environ:myapp.plan'")
    return lambda request: request.variable(name)


class RulesFile:
    """The rules of the file at *path*; `trouble` is why a later state of it does not hold, "" if it does.

    Raises SettingError for a file that cannot be used at first.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.trouble = ""
        self._file = FollowedFile(path, setting="rules_file", most_bytes=LARGEST_BYTES, monotonic=monotonic)
        self.rules = self._parse(self._file.read() or b"")

    def is_due(self) -> bool:
        """Tell whether somebody has to `look`."""
        return self._file.is_due()

    def look(self) -> list[Rule] | None:
        """Return the rules of a file that has changed, None for nothing new or nothing that is right.

        Whoever can use them says so by `take`, who cannot by `refuse`.  One at a time.
        """
        try:
            data = self._file.read()
            return None if data is None else self._parse(data)
        except SettingError as error:
            self._keep(str(error))
            return None

    def take(self, rules: list[Rule]) -> None:
        """Note that *rules* hold from now on."""
        self.rules, self.trouble = rules, ""
        log.info("rules_read %s", self._file)

    def refuse(self, error: ConfigurationError) -> None:
        """Note that the rules of before hold, and why."""
        self._keep(f"{self._file}: {error}")

    def forget(self) -> None:
        """Take the file for one that has changed: somebody who looked did not come to an end."""
        self._file.forget()

    def _keep(self, reason: str) -> None:
        if reason != self.trouble:
            self.trouble = reason
            log.error("rules_kept reason=%r", reason)

    def _parse(self, data: bytes) -> list[Rule]:
        try:
            return parse_rules(data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise SettingError(f"{self._file}: byte {error.start} is not UTF-8") from None
        except ConfigurationError as error:
            raise SettingError(f"{self._file}: {error}") from None
