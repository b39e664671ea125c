"""Rules of the operator: which pages, and what is decided about them beside what they say themselves.

>>> rules = [Rule("/api/*", bypass), Rule("/news/*", ttl=60, grace=300)]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from wsgistack.cache.freshness import NOTHING_TOLD, Told
from wsgistack.cache.voice import Voice
from wsgistack.complaints import gather
from wsgistack.errors import SettingError
from wsgistack.http.paths import compile_globs, host_name, normal_path
from wsgistack.http.request import RequestView
from wsgistack.registry import find_hint
from wsgistack.settings import DURATION

__all__ = ["ACTIONS", "Rule", "RuleBook", "bypass", "cache", "told_of"]

bypass = "bypass"
cache = "cache"
ACTIONS = (bypass, cache)
LONGEST_S = 31_536_000.0  # a year, the most that RFC 2616 let a server say


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; the first that is about a request counts.

    *path*: globs of the decoded path, `*` for anything; *host*: globs.  Both must fit.
    *action*: `bypass` keeps the cache out of it, `cache` is the rest.  *ttl*: seconds that its pages are
    fresh, whatever their fields say of it; no-store, private and the like hold all the same.
    *grace*: seconds past that in which a page is used while it is fetched anew, or when that fails.
    *tags*: what its pages can be purged by.
    """

    path: str | Iterable[str] = "*"
    action: str = cache
    host: str | Iterable[str] = ()
    ttl: float | None = None
    grace: float | None = None
    tags: Sequence[str] = ()

    def __post_init__(self) -> None:
        wrong = list(_complaints(self))
        if wrong:
            raise SettingError(*(f"Rule {self.path!r:.80}: {text}" for text in wrong))

    @property
    def told(self) -> Told:
        """What it decides of freshness."""
        return NOTHING_TOLD if self.ttl is None and self.grace is None else Told(self.ttl, self.grace)

    @property
    def fits_all(self) -> bool:
        """True where no request can differ from it, as with `/*`: a normal path begins with a slash."""
        return not _words(self.host) and not {"*", "/*"}.isdisjoint(_words(self.path))

    def make_test(self) -> Callable[[str, str], bool]:
        """Return what tells from the normal path and the host's name whether it is about a request."""
        fits_path = compile_globs(_words(self.path)).fullmatch
        hosts = [name.lower() for name in _words(self.host)]
        if not hosts:
            return lambda path, host: fits_path(path) is not None
        fits_host = compile_globs(hosts).fullmatch
        return lambda path, host: fits_path(path) is not None and fits_host(host) is not None


def _complaints(rule: Rule) -> Iterator[str]:
    for name, words in (("path", rule.path), ("host", rule.host)):
        if not isinstance(words, Iterable):
            yield f"{name}: {words!r:.80} is neither a text nor a list"
        elif name == "path":
            for path in _words(words):
                if not path.startswith(("/", "*")):
                    yield f"path: {path!r:.80} does not begin with '/' or '*'"
    if rule.action not in ACTIONS:
        hint = find_hint(str(rule.action), ACTIONS)
        yield f"action: {rule.action!r:.80} is not one of {', '.join(ACTIONS)}{hint}"
    for name, value in (("ttl", rule.ttl), ("grace", rule.grace)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_S:
            yield f"{name}: {value!r:.80} is not a number of seconds from 0 to a year"
    if isinstance(rule.tags, str):
        yield f"tags: {rule.tags!r:.80} is one text, expected a list"
    elif not isinstance(rule.tags, Iterable) or not all(isinstance(tag, str) for tag in rule.tags):
        yield f"tags: {rule.tags!r:.80} is not a list of words"


def _read(rule: Rule | Mapping[str, Any]) -> Rule:
    """Return *rule*, made of its items if it is a mapping, where times may be texts such as `5m`."""
    if isinstance(rule, Rule):
        return rule
    if not isinstance(rule, Mapping):
        raise SettingError(f"rules: {rule!r:.80} is neither a Rule nor a mapping of what one has")
    known: dict[str, Any] = {
        name: _read_time(value) if name in TIMES else value for name, value in rule.items() if name in NAMES
    }
    where = f"rules: {rule.get('path', '*')!r:.80}"
    wrong = [
        f"{where}: '{name}' is not one of {', '.join(NAMES)}{find_hint(str(name), NAMES)}"
        for name in rule
        if name not in NAMES
    ]
    try:
        made = Rule(**known)
    except SettingError as error:
        wrong += [f"rules: {text.removeprefix('Rule ')}" for text in error.complaints]
    if wrong:
        raise SettingError(*wrong)
    return made


def _read_time(value: object) -> object:
    """Return the seconds of a text; what is none stays, for the rule to complain of."""
    try:
        return DURATION.parse(value) if isinstance(value, str) else value
    except ValueError:
        return value


NAMES = tuple(one.name for one in fields(Rule))
TIMES = ("ttl", "grace")


class RuleBook:
    """Rules in order, ready to be asked."""

    def __init__(self, rules: Iterable[Rule | Mapping[str, Any]]) -> None:
        if isinstance(rules, str | Mapping) or not isinstance(rules, Iterable):
            raise SettingError(f"rules: {rules!r:.80} is not a list of rules")
        read = gather(partial(_read, rule) for rule in rules)
        self._rules = [(rule.make_test(), rule) for rule in read]
        self._for_all = read[0] if read and read[0].fits_all else None

    def __bool__(self) -> bool:
        return bool(self._rules)

    def find(self, request: RequestView) -> Rule | None:
        """Return the first rule that is about *request*, None if none is."""
        if self._for_all is not None:
            return self._for_all
        path, host = normal_path(request.path), host_name(request.host)
        for fits, rule in self._rules:
            if fits(path, host):
                return rule
        return None


def told_of(voice: Voice, rule: Rule | None) -> Told:
    """Return what is said of freshness: by the application itself, else by a rule."""
    told = NOTHING_TOLD if rule is None else rule.told
    if voice.ttl_s is None:
        return told
    return Told(voice.ttl_s, told.grace_s if voice.grace_s is None else voice.grace_s)


def _words(given: str | Iterable[str]) -> list[str]:
    return given.split() if isinstance(given, str) else [str(word) for word in given]
