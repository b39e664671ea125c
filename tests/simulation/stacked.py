"""Visitors of a site in whole stacks, and what each of them may get: the stack without its cache says it."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Callable
from typing import Any

from tests.simulation.mirror import EPOCH, MARK, Answer, Environ, Site, fetch
from tests.simulation.visitors import Asking, Visitors, as_guest
from wsgistack import wrap

__all__ = ["Story", "make_stack"]

SECRET = "the site's own, nobody else's"
SPLIT = "button: green 40%, red 30%; page: beta 50%"
FOR_OTHER_FORMS = (
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_RANGE",
    "HTTP_IF_RANGE",
    "HTTP_ACCEPT_ENCODING",
)
AGING = "/short"  # its pages may be of a version that is no more: they are used while fetched anew


def make_stack(site: Any, clock: Callable[[], float], *, cached: bool, **more: Any) -> Any:
    """Return *site* in a stack of everything, or of what changes what it sees."""
    parts: dict[str, Any] = {
        "trust": {"trusted": ["10.0.0.0/8", "unix"], **more.pop("trust", {})},
        "buckets": {"split": SPLIT, "secret": SECRET},
    }
    if cached:
        parts |= {
            "request_id": True,
            "access_log": True,
            "metrics": {"allow": ["127.0.0.1"]},
            "metering": True,
            "rate_limit": "1000000/minute",
            "page_cache": {"now": clock, "coalesce": False, **more.pop("page_cache", {})},
            "compression": {"codings": ["gzip"], "least_bytes": 1},
            "conditional": True,
            **more,
        }
    return wrap(site, parts)


class Story:
    """Visitors of a site that is served by several stacks over what they share; *check* fails where one got what is not his.

    *races*: now and then another stack takes a change of a page while one is having it made.
    """

    def __init__(
        self, seed: int, stacks: Callable[[Site, Callable[[], float]], list[Any]], *, races: bool = False
    ) -> None:
        self.races = races
        self.raced = 0
        self.rng = random.Random(seed)
        self.now = float(EPOCH)
        self.site = Site()
        self.bare_site = Site()
        self.bare_site.versions = self.site.versions
        self.stacks = stacks(self.site, lambda: self.now)
        self.bare = make_stack(self.bare_site, lambda: self.now, cached=False)
        self.visitors = Visitors(self.rng, tells_raw=seed % 2 == 0)
        self.hits = self.matched = 0
        self.asked: list[int] = [0] * len(self.stacks)

    def step(self) -> None:
        """Let somebody ask, or time pass."""
        rng = self.rng
        self.now += 0.001
        if rng.random() < 0.01:
            self.now += rng.choice([1.0, 4.0, 70.0])
        which = rng.randrange(len(self.stacks))
        asking = self.visitors.ask()
        self.asked[which] += 1
        raced = self.raced
        if self.races and asking.method == "GET" and rng.random() < 0.2:
            self.site.meanwhile = lambda: self._change(which, asking)
        answer = fetch(self.stacks[which], asking.make())
        self.site.meanwhile = None
        said = {**asking.environ}
        for name in FOR_OTHER_FORMS:
            said.pop(name, None)
        self._remember_cookie(said, str(answer.field("set-cookie")))
        if not self.is_personal(answer):
            said = as_guest(said)
        right = None
        is_now = self.raced == raced  # else it was asked for before the change
        if asking.method in ("GET", "HEAD") and is_now:
            right = fetch(self.bare, said | {"wsgi.input": io.BytesIO(asking.body), "REQUEST_METHOD": "GET"})
        self.check(asking, answer, right)

    def _change(self, which: int, asking: Asking) -> None:
        """Let another stack than *which* take a change of what is asked for."""
        other = (which + 1) % len(self.stacks)
        self.asked[other] += 1
        self.raced += 1
        fetch(self.stacks[other], asking.make(REQUEST_METHOD="POST"))

    def _remember_cookie(self, said: Environ, set_cookie: str) -> None:
        """Let a visitor who came without a bucket's cookie be the same one when the reference is asked."""
        given = re.search("wsgistack_bucket=([^;]+)", set_cookie)
        if given is None:
            return
        self.visitors.own = [*self.visitors.own[-4:], given[1]]
        others = [
            one
            for one in said.pop("HTTP_COOKIE", "").split(";")
            if one.partition("=")[0].strip() != "wsgistack_bucket"
        ]
        said["HTTP_COOKIE"] = "; ".join([one for one in [";".join(others).strip("; "), given[0]] if one])

    def check(self, asking: Asking, answer: Answer, right: Answer | None) -> None:
        """Check an answer by what the site says to the same request, *right*; None where asking changes something."""
        told = str(answer.field("cache-status"))
        where = f"{asking.environ}\n{answer}\n{right}"
        whole = repr(answer.fields) + answer.content.decode("latin-1")
        strangers = {int(found) for found in MARK.findall(whole)} - {asking.number}
        assert not strangers, f"{asking.number} got what {strangers} said: {where}"
        is_hit = "; hit" in told
        self.hits += is_hit
        if asking.signs:
            assert not is_hit and "stored" not in told, where
        assert (answer.field("age") is not None) <= (
            is_hit or "fwd=stale" in told or "fwd=request" in told
        ), where
        if right is None or asking.method == "HEAD" or "only-if-cached" in told:
            return
        if answer.status == 304:
            self._check_known(asking, answer, right, where)
        elif answer.status == 206:
            self.matched += 1
            self._check_part(asking, answer, right, where)
        elif answer.status == 416:
            assert "HTTP_RANGE" in asking.environ
        else:
            assert answer.status == right.status, where
            self._check_same(answer, right, where)

    @staticmethod
    def _check_part(asking: Asking, answer: Answer, right: Answer, where: str) -> None:
        found = re.fullmatch("bytes ([0-9]+)-([0-9]+)/([0-9]+)", str(answer.field("content-range")))
        condition = asking.environ.get("HTTP_IF_RANGE")
        if condition is not None:
            assert condition == answer.field("etag"), where
        if found is None:  # several parts
            assert "multipart" in str(answer.field("content-type")), where
        elif answer.field("content-encoding") is None and AGING not in where:
            first, last, size = map(int, found.groups())
            assert (answer.body, size) == (right.body[first : last + 1], len(right.body)), where

    def _check_same(self, answer: Answer, right: Answer, where: str) -> None:
        one, other = json.loads(answer.content)["seen"], json.loads(right.content)["seen"]
        if self.is_personal(answer):
            if not answer.field("content-encoding"):
                assert answer.body == right.body, where
        else:
            one, other = self.norm(one), self.norm(other)
        assert one == other, where
        tag = answer.field("etag")
        if tag is not None:
            self.visitors.tags.setdefault(tag, []).append(json.dumps(other, sort_keys=True))

    @staticmethod
    def is_personal(answer: Answer) -> bool:
        return "fwd=bypass" in str(answer.field("cache-status"))

    def norm(self, seen: Environ) -> Environ:
        """Return what a page shows, without what means nothing."""
        made = dict(seen)
        if AGING in made["at"][0] + made["at"][1]:
            made["version"] = 0
        return made

    def _check_known(self, asking: Asking, answer: Answer, right: Answer, where: str) -> None:
        self.matched += 1
        given = asking.environ.get("HTTP_IF_NONE_MATCH")
        if given is None:
            since = right.field("last-modified")
            assert since is not None and "HTTP_IF_MODIFIED_SINCE" in asking.environ, where
            return
        assert right.status == 200, where
        if given == "*":
            return
        seen = json.loads(right.content)["seen"]
        texts = {json.dumps(one, sort_keys=True) for one in (seen, self.norm(seen))}
        known = {shown for tag in given.split(", ") for shown in self.visitors.tags.get(tag, [])}
        assert texts & known, f"{where}\n{known}"

    def end(self) -> None:
        """Check what has to hold at the end of the story."""
        assert self.site.opened == self.site.closed
        for asked, stack in zip(self.asked, self.stacks, strict=True):
            assert sum(stack.layer("buckets").counts.values()) == 2 * asked
