"""What a Python caller gives a page cache as objects, as text: for files and for SET.

`TEXTS` is the table of a cache that is configured by text alone; `arguments` makes of its values
what wsgistack.PageCache takes.

>>> arguments(TEXTS.defaults() | {"rules": TEXTS.parse("rules", "/news/* ttl=1m")})["rules"][0].ttl
60.0
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

from wsgistack.cache.keys import IGNORED_PARAMETERS
from wsgistack.cache.personal import Visitors
from wsgistack.cache.rules import ACTIONS, Rule
from wsgistack.cache.settings import SETTINGS
from wsgistack.cache.signs import IDENTITY_COOKIES, IGNORED_COOKIES
from wsgistack.complaints import complaints_of, gather
from wsgistack.errors import ConfigurationError, SettingError, UnknownName
from wsgistack.registry import find_hint
from wsgistack.settings import DURATION, NETWORKS, WORDS, Kind, Setting, Table, Value

__all__ = ["TEXTS", "arguments", "check_together", "find_visitors", "read_rule"]

EMPTY_WORDS = ("none", '""', "''")
MOST_RULES = 64
SAID_BY_A_RULE = (*ACTIONS, "ttl", "grace", "tags", "host")
VISITORS = ("strict", "identity_cookies", "ignored_cookies")


def _parse_key_cookies(text: str) -> tuple[str, ...]:
    if text in EMPTY_WORDS:
        return ()
    words = tuple(re.split(r"[,\s]+", text.strip(", ")))
    split = [word.partition("=") for word in words]
    wrong = [
        f"'{''.join(parts)}' is not like beta=on|off"
        for parts in split
        if not parts[0] or not parts[1] or not all(parts[2].split("|"))
    ]
    wrong += [
        f"'{name}' is listed twice" for name, count in Counter(one for one, *_ in split).items() if count > 1
    ]
    if wrong:
        raise SettingError(*(f"key_cookies: {text}" for text in wrong))
    try:
        Visitors(key_cookies=_key_cookies(words))
    except ConfigurationError as error:
        raise SettingError(*complaints_of(error)) from None
    return words


def _key_cookies(words: Value) -> dict[str, list[str]]:
    assert isinstance(words, tuple)
    return {name: values.split("|") for name, _, values in (word.partition("=") for word in words)}


def _parse_rules(text: str) -> tuple[str, ...]:
    if text in EMPTY_WORDS:
        return ()
    read = gather(partial(read_rule, part) for part in text.split(";") if part.strip())
    rules = tuple(_show_rule(rule) for rule in read)
    if len(rules) > MOST_RULES:
        raise SettingError(f"rules: {len(rules)} rules; at most {MOST_RULES} fit")
    return rules


def read_rule(text: str) -> Rule:
    """Return the rule that `/news/* ttl=60 grace=5m tags=a,b host=*.example.com` or `/api/* bypass` means."""
    path, *words = text.split()
    said: dict[str, Any] = dict(gather(partial(_read_said, word) for word in words))
    try:
        return Rule(path, **said)
    except SettingError as error:
        raise SettingError(*(f"rules: {text.removeprefix('Rule ')}" for text in error.complaints)) from None


def _read_said(word: str) -> tuple[str, Value]:
    name, equals, value = word.partition("=")
    if not equals and name in ACTIONS:
        return "action", name
    if not equals or name not in SAID_BY_A_RULE[len(ACTIONS) :]:
        hint = find_hint(name, SAID_BY_A_RULE)
        raise SettingError(f"rules: '{word}' is not one of {', '.join(SAID_BY_A_RULE)}{hint}")
    return name, _read_word(name, value)


def _read_word(name: str, value: str) -> Value:
    if name in ("tags", "host"):
        return tuple(filter(None, value.split(",")))
    try:
        return DURATION.parse(value)
    except ValueError:
        raise SettingError(f"rules: {name}: '{value}' is no time such as 60, 5m or 1h") from None


def _show_rule(rule: Rule) -> str:
    said = [str(rule.path)]
    if rule.action != ACTIONS[-1]:
        said.append(rule.action)
    said += [
        f"{name}={DURATION.show(value)}"
        for name, value in (("ttl", rule.ttl), ("grace", rule.grace))
        if value is not None
    ]
    said += [
        f"{name}={','.join(words)}" for name, words in (("host", rule.host), ("tags", rule.tags)) if words
    ]
    return " ".join(said)


def _show(separator: str) -> Any:
    def show(value: Value) -> str:
        assert isinstance(value, tuple)
        return separator.join(value) or "none"

    return show


KEY_COOKIES = Kind("cookies", _parse_key_cookies, _show(", "), "")
RULES = Kind("rules", _parse_rules, _show("; "), "")

TEXTS = Table(
    "cache",
    [
        *SETTINGS,
        Setting(
            "rules",
            RULES,
            (),
            "what holds for some paths: `/api/* bypass; /news/* ttl=60 grace=300 tags=news host=*.example.com`; the first that fits counts",
        ),
        Setting("hosts", WORDS, (), "the hosts whose pages are kept, such as *.example.com; none for all"),
        Setting(
            "ignored_cookies",
            WORDS,
            IGNORED_COOKIES,
            "cookies that make no page another one; nodes do not see them while a page is made",
        ),
        Setting("identity_cookies", WORDS, IDENTITY_COOKIES, "cookies that say who somebody is"),
        Setting(
            "key_cookies",
            KEY_COOKIES,
            (),
            "cookies by which pages differ, with the values that count: `beta=on|off, lang=en|de`",
        ),
        Setting(
            "ignored_parameters",
            WORDS,
            IGNORED_PARAMETERS,
            "of the query: neither keyed nor shown to nodes while a page is made",
        ),
        Setting("purge_from", NETWORKS, (), "networks whose PURGE requests are obeyed"),
    ],
)


def arguments(settings: Mapping[str, Value]) -> dict[str, Any]:
    """Return the keyword arguments of PageCache that *settings*, all of TEXTS, stand for."""
    made: dict[str, Any] = dict(settings)
    rules = settings["rules"]
    assert isinstance(rules, tuple)
    made["rules"] = [read_rule(rule) for rule in rules]
    made["key_cookies"] = _key_cookies(settings["key_cookies"])
    made["hosts"] = settings["hosts"] or None
    made["store"] = settings["store"] or None
    return made


def find_visitors(settings: Mapping[str, Value]) -> Visitors:
    """Return who is anonymous by these settings; ConfigurationError for what contradicts itself."""
    given: dict[str, Any] = {name: settings[name] for name in VISITORS}
    return Visitors(key_cookies=_key_cookies(settings["key_cookies"]), **given)


def check_together(settings: Mapping[str, Value]) -> None:
    """Raise SettingError where settings that are right by themselves do not go together."""
    try:
        find_visitors(settings)
    except UnknownName:
        raise
    except ConfigurationError as error:
        raise SettingError(*complaints_of(error)) from None
