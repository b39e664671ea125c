"""Rules of the operator: which pages, and what is decided about them beside what they say themselves.

>>> rules = [Rule("/api/*", bypass), Rule("/news/*", ttl=60, grace=300)]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from wsgistack.cache.freshness import NOTHING_TOLD, Told
from wsgistack.errors import SettingError
from wsgistack.http.paths import compile_globs, host_name, normal_path
from wsgistack.http.request import RequestView
from wsgistack.registry import find_hint

__all__ = ["ACTIONS", "Rule", "RuleBook", "bypass", "cache"]

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
        for path in _words(self.path):
            if not path.startswith(("/", "*")):
                raise SettingError(f"Rule: path: {path!r} does not begin with '/' or '*'")
        if self.action not in ACTIONS:
            hint = find_hint(str(self.action), ACTIONS)
            raise SettingError(f"Rule: action: {self.action!r} is not one of {', '.join(ACTIONS)}{hint}")
        for name, value in (("ttl", self.ttl), ("grace", self.grace)):
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_S:
                raise SettingError(f"Rule: {name}: {value!r} is not a number of seconds from 0 to a year")
        if isinstance(self.tags, str):
            raise SettingError(f"Rule: tags: {self.tags!r} is one text, expected a list")

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


class RuleBook:
    """Rules in order, ready to be asked."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        rules = list(rules)
        for rule in rules:
            if not isinstance(rule, Rule):
                raise SettingError(f"rules: {rule!r} is not a Rule")
        self._rules = [(rule.make_test(), rule) for rule in rules]
        self._for_all = rules[0] if rules and rules[0].fits_all else None

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


def _words(given: str | Iterable[str]) -> list[str]:
    return given.split() if isinstance(given, str) else [str(word) for word in given]
