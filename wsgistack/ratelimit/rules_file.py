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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

from wsgistack.complaints import complaints_of, gather
from wsgistack.errors import ConfigurationError, SettingError
from wsgistack.http.request import RequestView
from wsgistack.ratelimit.clients import Key, client_ip, client_network, environ_key, everybody, header_key
from wsgistack.ratelimit.followed import FollowedFile
from wsgistack.ratelimit.rules import Rule, check_names
from wsgistack.ratelimit.waiting import check_waits
from wsgistack.registry import find_hint, find_nearest

__all__ = ["NAMES", "RulesFile", "make_rule", "parse_key", "parse_rules"]

LARGEST_BYTES = 1024 * 1024
NAMES = tuple(one.name for one in fields(Rule) if one.name != "exempt")  # which is a function
KEYS: dict[str, Callable[[], Key]] = {
    "ip": lambda: client_ip,
    "everybody": lambda: everybody,
    "network": client_network,
}
NAMED_KEYS: dict[str, Callable[[str], Key]] = {"header": header_key, "environ": environ_key}
BEGINS = re.compile(r"\s*\[\[\s*rule\s*\]\]")
log = logging.getLogger(__name__)


def parse_rules(text: str, *, may_wait: bool = True) -> list[Rule]:
    """Return the rules of a text; ConfigurationError names each rule and all that is wrong with it.

    *may_wait*: whether a request may wait for its turn.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{error}") from None
    others = [name for name in found if name != "rule"]
    if others:
        raise SettingError(
            *(f"'{name}' is not '[[rule]]', which is all that stands there" for name in others)
        )
    tables = found.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SettingError("'rule' is not a list of tables, each of which begins with '[[rule]]'")
    if not tables:
        raise SettingError("no '[[rule]]' is there")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if BEGINS.match(line)]
    where = [f"line {line}: " for line in lines] if len(lines) == len(tables) else [""] * len(tables)
    makes = [partial(_make_at, where[at], at + 1, table, may_wait) for at, table in enumerate(tables)]
    names = [table["name"] for table in tables if isinstance(table.get("name"), str)]
    steps: tuple[Callable[[], Any], ...] = (partial(gather, makes), partial(check_names, names))
    made: list[Rule] = gather(steps)[0]
    return made


def _make_at(where: str, number: int, table: Mapping[str, Any], may_wait: bool) -> Rule:
    try:
        rule = make_rule(number, table)
        return rule if may_wait else check_waits(rule)
    except ConfigurationError as error:
        raise SettingError(*(f"{where}{text}" for text in complaints_of(error))) from None


def make_rule(number: int, given: Mapping[str, Any], *, names: Sequence[str] = NAMES) -> Rule:
    """Return the rule of these items, where `key` and `tier` may be texts; ConfigurationError with all that is wrong.

    *number*: what it is called until it has a name.  *names*: what it may have.
    """
    where = f"rule {given.get('name', number)}"
    arguments: dict[str, Any] = {
        "name": str(number),
        "rate": "unlimited",
    }  # while these are missing, the rest is checked
    arguments |= {name: value for name, value in given.items() if name in names}
    steps: tuple[Callable[[], object], ...] = (
        partial(_check_names, given, names, where),
        partial(_replace_text, arguments, "key", partial(_read_key, where=where), client_ip),
        partial(_replace_text, arguments, "tier", partial(_parse_tier, where=where), _no_tier),
        lambda: Rule(**arguments),
    )
    *_, rule = gather(steps)
    assert isinstance(rule, Rule)
    return rule


def _check_names(given: Mapping[str, Any], names: Sequence[str], where: str) -> None:
    meant = {name: find_nearest(str(name), names) for name in given if name not in names}
    wrong = [
        f"'{name}' is not one of {', '.join(names)}" + (f" (did you mean '{nearest}'?)" if nearest else "")
        for name, nearest in meant.items()
    ]
    wrong += [f"no '{name}'" for name in ("name", "rate") if name not in (*given, *meant.values())]
    if wrong:
        raise SettingError(*(f"{where}: {text}" for text in wrong))


def _replace_text(
    arguments: dict[str, Any], name: str, parse: Callable[[str], object], stand_in: object
) -> None:
    """Put what a text of that name means in its place, *stand_in* where it means nothing."""
    text = arguments.get(name)
    if isinstance(text, str):
        arguments[name] = stand_in
        arguments[name] = parse(text)


def _no_tier(request: RequestView) -> None:
    return None


def _read_key(text: str, *, where: str) -> Key:
    try:
        return parse_key(text)
    except SettingError as error:
        raise SettingError(f"{where}: key: {error}") from None


def parse_key(text: str) -> Key:
    """Return the key function that `ip`, `header:X-Api-Key` and the like stand for; SettingError for none."""
    if text in KEYS:
        return KEYS[text]()
    kind, colon, name = text.partition(":")
    if colon and name and kind in NAMED_KEYS:
        return NAMED_KEYS[kind](name)
    hint = find_hint(kind, (*KEYS, *NAMED_KEYS))
    raise SettingError(f"{text!r:.80} is not one of {', '.join(KEYS)}, header:NAME, environ:NAME{hint}")


def _parse_tier(text: str, *, where: str) -> Callable[[RequestView], str | None]:
    kind, _, name = text.partition(":")
    if kind != "environ" or not name:
        raise SettingError(f"{where}: tier: {text!r:.80} is not like 'environ:myapp.plan'")
    if name.startswith("HTTP_"):
        raise SettingError(f"{where}: tier: {name} is written by the client, who would choose his own rate")
    return lambda request: request.variable(name)


class RulesFile:
    """The rules of the file at *path*; `trouble` is why a later state of it does not hold, "" if it does.

    Raises SettingError for a file that cannot be used at first.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        may_wait: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.trouble = ""
        self._may_wait = may_wait
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
            return parse_rules(data.decode("utf-8-sig"), may_wait=self._may_wait)
        except UnicodeDecodeError as error:
            raise SettingError(f"{self._file}: byte {error.start} is not UTF-8") from None
        except ConfigurationError as error:
            raise SettingError(*(f"{self._file}: {text}" for text in complaints_of(error))) from None
