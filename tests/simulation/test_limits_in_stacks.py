"""Stories of an application with many limits: each decision, and what is told, is what plain logs say."""

from __future__ import annotations

import io
import random
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.counted import About, Application, Claim, Failed, Log
from tests.simulation.seeds import make_seeds
from wsgistack import wrap
from wsgistack.clocks import SteadyClock
from wsgistack.ratelimit.clients import client_ip, environ_key, everybody
from wsgistack.ratelimit.meter import HOUR_US
from wsgistack.ratelimit.middleware import RateLimit
from wsgistack.ratelimit.rates import Rate, parse_rates
from wsgistack.ratelimit.rows import COLUMNS
from wsgistack.ratelimit.rules import Rule

SEEDS = make_seeds(3)
STEPS = 400
HOUR_NS = HOUR_US * 1000
EPOCH_NS = 1_795_000_000_000_000_000
RATES = [
    "7/minute",
    "7/second burst 3",
    "5/10 s fixed",
    "9/minute sliding",
    "6/20 s exact",
    "12/calendar minute",
    "30/calendar hour",
    "4 concurrent",
    "20/minute; 3/second",
    "6/minute burst 9; 8/30 s exact; 3 concurrent",
]
PAGES = ["/", "/login", "/api/users", "/api/export", "/static/a.css", "/news/", "/Login", "/login."]
HOSTS = {"a.example": ["a.example", "A.Example:8080", "a.example."], "b.example": ["b.example", "B.EXAMPLE"]}
PEERS = [  # spellings of clients
    ["192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201"],
    ["192.0.2.2"],
    ["2001:db8::1", "2001:db8::ffff", "2001:0db8:0:0:1::7"],
    ["2001:db8:0:1::1"],
    ["198.51.100.9", "::ffff:198.51.100.9"],  # exempt
    ["203.0.113.5", "::ffff:203.0.113.5"],  # denied
]
EXEMPT, DENIED = 4, 5
ITEM = re.compile(r'"([^"]+)";r=([0-9]+)(?:;t=([0-9]+))?')
CHARGE = {"404": 2, "5xx": -1}
GIVES = {"2xx": -1}  # what comes back when the response is over


class Story:
    """Visitors of one site; its clock is set forward and back."""

    store = "process"

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = rng = random.Random(seed)
        # Five minutes before a full hour, at some moment.
        self.wall_ns, self.steady_ns = EPOCH_NS // HOUR_NS * HOUR_NS - rng.randrange(HOUR_NS // 12), 10**15
        self.clock = SteadyClock(lambda: self.wall_ns, lambda: self.steady_ns)
        self.now = self.clock.read()
        self.file, deny = folder / "rules", folder / "denied"
        deny.write_text("203.0.113.0/24\n")
        self.fixed = [self.make_rule("own-0"), self.make_wide("own-1")]
        self.kept = [self.make_rule(f"file-{number}") for number in range(3)]
        self.file.write_text("\n".join(one.table() for one in self.kept))
        self.logs: dict[tuple[str, str, object], Log] = {}
        self.open: list[tuple[Any, list[Claim], str, Any]] = []
        self.told: dict[str, str] = {}
        self.outcomes = {200: 0, 403: 0, 429: 0}
        self.metered: Counter[tuple[int, str, str]] = Counter()
        self.hour = 0
        keys = {"ip": client_ip, "everybody": everybody, "environ:REMOTE_USER": environ_key()}
        rules = [Rule("static", "unlimited", path="/static/*")] + [
            Rule(
                one.name,
                one.rate,
                path=one.pages,
                methods=one.methods,
                host=one.host,
                key=keys[one.by],
                cost=one.cost,
                charge=one.charge,
            )
            for one in self.fixed
        ]
        limits = {
            "rules": rules,
            "rules_file": str(self.file),
            "exempt": ["198.51.100.0/24"],
            "deny_file": str(deny),
            "now": lambda: self.now,
            "store": self.store,
            "meter": str(folder / "usage"),
        }
        self.site = wrap(Application(), {"request_id": True, "metering": True, "rate_limit": limits})
        self.limits: RateLimit = self.site.layer("rate_limit")
        self.asked = 0

    def make_rule(self, name: str) -> About:
        rng = self.rng
        return About(
            name,
            rng.choice(RATES),
            rng.choice([[], ["/login"], ["/api/*"], ["/login", "/api/export"], ["/news/"]]),
            rng.choice([[], [], ["POST"], ["GET"], ["GET", "POST"]]),
            rng.choice(["", "", "a.example"]),
            rng.choice(["ip", "ip", "everybody", "environ:REMOTE_USER"]),
            rng.choice([1, 1, 2, 3, 0]),
            rng.choice([{}, CHARGE, GIVES]),
        )

    def make_wide(self, name: str) -> About:
        """Return a rule that is about everything, so that somebody is refused."""
        return About(name, self.rng.choice(["7/minute", "5/10 s fixed"]), [], [], "", "ip", 1, {})

    def step(self) -> None:
        rng = self.rng
        passes_ns = rng.choice([0, 1000, 10**6, 3 * 10**8, 10**9, 7 * 10**9])
        self.steady_ns += passes_ns
        self.wall_ns += passes_ns
        if rng.random() < 0.02:
            self.wall_ns += rng.choice([-7200, -5, 3, 3600]) * 10**9  # somebody sets the clock
        before, self.now = self.now, self.clock.read()
        assert self.now >= before + passes_ns // 1000
        if rng.random() < 0.02:
            self.change_rules()
        if self.open and rng.random() < 0.3:
            self.end(*self.open.pop(rng.randrange(len(self.open))))
        self.ask()

    def change_rules(self) -> None:
        """Give rules of the file other rates; what is counted otherwise begins anew."""
        rng, number = self.rng, self.rng.randrange(3)
        self.kept[number].rate = rng.choice(RATES)
        self.file.write_text("\n".join(one.table() for one in self.kept))
        file = self.limits.rules_file
        assert file is not None
        file.forget()
        are = {
            (policy, str(rate)) for one in [*self.fixed, *self.kept] for policy, rate in self.limits_of(one)
        }
        self.logs = {place: log for place, log in self.logs.items() if place[:2] in are}

    @staticmethod
    def limits_of(one: About) -> list[tuple[str, Rate]]:
        rates = parse_rates(one.rate)
        return [(f"{one.name}-{n}" if n > 1 else one.name, rate) for n, rate in enumerate(rates, 1)]

    def spell(self, page: str) -> str:
        """Return the path of a target that leads to the page, as an application gets it."""
        rng = self.rng
        rest = page[1:]
        ways = [page, page, f"/{page}", f"/.{page}", f"/x/..{page}", f"/x/;y/.././..{page}", f"//./{rest}"]
        return rng.choice([*ways, f"{page};v=1"] if page[-1] != "/" else ways)

    def claims(self, page: str, method: str, host: str, who: int, user: str) -> list[Claim]:
        keys = {"ip": who, "everybody": "*", "environ:REMOTE_USER": user or who}
        return [
            Claim(policy, one, self.logs.setdefault((policy, str(rate), keys[one.by]), Log(rate)))
            for one in [*self.fixed, *self.kept]
            if one.is_about(page, method, host)
            for policy, rate in self.limits_of(one)
        ]

    def make_environ(self, path: str, method: str, host: str, who: int, user: str) -> dict[str, Any]:
        """Return a request of somebody, in one of its spellings."""
        rng = self.rng
        return {
            "REQUEST_METHOD": rng.choice([method, method.lower(), method.title()]),
            "PATH_INFO": path,
            "HTTP_HOST": rng.choice(HOSTS[host]),
            "REMOTE_ADDR": rng.choice(PEERS[who]),
            "wsgi.input": io.BytesIO(),
            "story.does": rng.choice(["list", "list", "streams", "begins late", "fails"]),
            "story.status": rng.choice(["200 OK", "200 OK", "404 Not Found", "503 Oh"]),
            "story.settles": rng.choice([[], [], [], [-1], [2], [-1, 1, -5]]),
            **({"REMOTE_USER": user} if user else {}),
        }

    def ask(self) -> None:
        rng = self.rng
        page, who = rng.choice(PAGES), rng.randrange(len(PEERS))
        method, host = rng.choice(["GET", "HEAD", "POST"]), rng.choice([*HOSTS])
        user = rng.choice(["", "", "ann", "bob"])
        path = self.spell(page)
        environ = self.make_environ(path, method, host, who, user)
        self.told = {}
        status = ""

        def start_response(line: str, fields: Any, exc_info: Any = None) -> Any:
            nonlocal status
            status = line
            self.told = dict(fields)
            return lambda block: None

        claims = self.claims(page, method, host, who, user)
        if page.startswith("/static/") and (path.startswith("/static/") and ".." not in path):
            claims = []
        body: Any = ()
        self.asked += 1
        with suppress(Failed):
            body = self.site(environ, start_response)
        where = f"{environ}\n{self.told}\n{[(one.policy, one.about) for one in claims]}"
        if who in (EXEMPT, DENIED):
            assert ("wsgistack.ratelimit" not in environ) and (who == EXEMPT or status[:3] == "403"), where
            self.outcomes[403] += who == DENIED
            self.finish(body)
            return
        decision = environ["wsgistack.ratelimit"]
        if not self.decide(claims, decision, where):
            assert (status[:3], b"".join(body) == b"") == (
                self.refusal_of(decision),
                method == "HEAD" and environ["REQUEST_METHOD"] == "HEAD",
            ), where
            self.outcomes[429] += 1
            self.check_told(claims, where)
            self.finish(body)
            self.count(claims, status, self.now)
            refused = decision.refused.rule.name
            self.metered[self.hour, refused, "refused"] += any(one.about.name == refused for one in claims)
            return
        self.outcomes[200] += 1
        if status:
            self.check_told(claims, where)
        if environ["story.does"] != "begins late":
            self.count(claims, status or "500", self.now)
        self.settle(claims, environ["story.settles"], decision)
        self.open.append((body, claims, status[:3], environ))
        if environ["story.does"] == "fails" or len(self.open) > 9 or rng.random() < 0.4:
            self.end(*self.open.pop())

    @staticmethod
    def refusal_of(decision: Any) -> str:
        return "503" if decision.refused.rate.algorithm == "concurrent" else "429"

    def decide(self, claims: list[Claim], decision: Any, where: str) -> bool:
        """Check the decision by the logs, and count what passed."""
        now = self.now
        self.seen = [(one, one.about.cost) for one in claims]
        for one, cost in self.seen:
            if not one.log.has_room(now, cost):
                assert decision.refused is not None and decision.refused.policy == one.policy, where
                self.check_wait(one.log, cost, decision.wait_us, where)
                self.left = [(each.policy, each.log.left(now), each.log) for each in claims]
                return False
        assert decision.refused is None, where
        for one, cost in self.seen:
            one.taken, one.rest = one.log.take(now, cost), cost
        self.left = [(each.policy, each.log.left(now), each.log) for each in claims]
        return True

    def check_wait(self, log: Log, cost: int, wait_us: int, where: str) -> None:
        if cost > log.most:
            assert wait_us == -1, where
        elif log.rate.algorithm != "concurrent":  # where it is a guess
            assert log.has_room(self.now + wait_us, cost), where
            assert not log.has_room(self.now + wait_us - 1, cost), where

    def count(self, claims: list[Claim], status: str, at: int) -> None:
        """Count a response, in the hour that is."""
        for name in {one.about.name for one in claims}:
            self.hour = max(self.hour, at // HOUR_US)
            self.metered[self.hour, name, f"{status[0]}xx"] += 1

    def check_metered(self) -> None:
        """Let all that is in flight end, and check that each request was counted once."""
        while self.open:
            self.end(*self.open.pop())
        found: Counter[tuple[int, str, str]] = Counter()
        assert self.limits.meter is not None
        for row in self.limits.meter.usage():
            for column, count in zip(COLUMNS, row.counts, strict=True):
                found[row.hour, row.rule, column] += count
        assert +found == +self.metered
        assert len({hour for hour, _, _ in found}) > 1
        assert sum(sum(row.counts[:5]) for row in self.site.layer("metering").meter.usage()) == self.asked

    def check_told(self, claims: list[Claim], where: str) -> None:
        """Check RateLimit: what is left, and that there is more when it says so."""
        found = ITEM.findall(self.told.get("RateLimit", ""))
        assert [(name, int(left)) for name, left, _ in found] == [
            (name, left) for name, left, _ in self.left
        ], where
        for (_, _, after), (_, left, log) in zip(found, self.left, strict=True):
            if log.rate.algorithm == "concurrent":
                continue
            assert bool(after) is (log.used(self.now) > 0), where
            if after:
                assert log.left(self.now + int(after) * 1_000_000) > left, where

    def settle(self, claims: list[Claim], settles: list[int], decision: Any) -> None:
        for units in settles:
            for one in claims:
                if one.log.rate.algorithm == "concurrent":
                    continue
                if units > 0:
                    one.log.take(self.now, units)
                else:
                    self.give_back(one, -units)

    def give_back(self, one: Claim, units: int) -> None:
        units = min(units, one.rest)
        one.rest -= units
        assert one.taken is not None
        if units:
            one.log.give_back(self.now, one.taken, units)

    def end(self, body: Any, claims: list[Claim], status: str, environ: dict[str, Any]) -> None:
        """Let a response end: whole, left by its client, or failed."""
        late = environ["story.does"] == "begins late"
        self.finish(body)
        if late:
            status = environ["story.status"][:3]
        if environ["story.does"] == "fails" or (late and self.is_left):
            status = "500"
        if late:
            self.count(claims, status, environ["wsgistack.ratelimit"].decided_at)
        for one in claims:
            if one.log.rate.algorithm == "concurrent":
                self.give_back(one, one.rest)
                continue
            units = one.about.charge.get(status, one.about.charge.get(f"{status[0]}xx", 0))
            if units > 0:
                one.log.take(self.now, units)
            elif units < 0:
                self.give_back(one, -units)

    def finish(self, body: Any) -> None:
        takes = self.rng.choice([0, 1, 9, 9, 9])
        self.is_left = takes == 0
        with suppress(Failed):
            for _ in zip(range(takes), body, strict=False):
                pass
        if hasattr(body, "close"):
            body.close()
        if takes == 9 and hasattr(body, "close"):
            body.close()  # some servers close twice


@pytest.mark.parametrize("seed", SEEDS)
def test_every_decision_is_what_the_logs_say(seed: int, tmp_path: Path) -> None:
    story = Story(seed, tmp_path)
    for _ in range(STEPS):
        story.step()
    assert all(story.outcomes.values()), story.outcomes
    story.check_metered()
