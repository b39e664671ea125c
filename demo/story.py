"""The story that `make demo ONCE=1` plays: every step says what was seen, or ends it with Trouble."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from demo.processes import Backend, Balancer, Trouble
from demo.telnet import Telnet
from demo.visitors import Answer, Load, ask

__all__ = ["Stage", "play"]

VISITS = 60
READERS = 20
VOTES, ADMITTED = 8, 5  # see the limit in demo.conf
PATIENCE_S = 60.0  # a bound for what health checks must notice first
TOLD = 12  # of the failures: what a log's reader sees at once
CALM_S = 1.0
STORM_S = 3.0


@dataclass(frozen=True, slots=True)
class Stage:
    """What the story is played with: three backends in the pool, a spare one, the balancer's ports."""

    site: str
    admin: str
    pool: list[Backend]
    spare: Backend
    balancer: Balancer


def play(stage: Stage, say: Callable[[str], None]) -> None:
    """Play all steps in order."""
    for step in (reach_all, share_the_news, purge_the_news, limit_votes, add_by_telnet, lose_one, end):
        step(stage, say)


def reach_all(stage: Stage, say: Callable[[str], None]) -> None:
    """Requests through the balancer reach all three backends, each under a name of its own."""
    seen: dict[str, int] = {}
    names: set[str | None] = set()
    for _ in range(VISITS):
        answer = ask(stage.site, "GET", "/")
        who = answer.who
        seen[who] = seen.get(who, 0) + 1
        names.add(answer.fields.get("X-Request-Id"))
    for backend in stage.pool:
        if not any(who.endswith(f" {backend.pid}") for who in seen):
            raise Trouble(f"{VISITS} requests, and none reached {backend.name}: {seen}")
    if None in names or len(names) != VISITS:
        raise Trouble(f"{VISITS} requests have the names {names}")
    counts = ", ".join(f"{who} {count}" for who, count in sorted(seen.items()))
    say(f"{VISITS} requests through {stage.site}: {counts}")


def share_the_news(stage: Stage, say: Callable[[str], None]) -> None:
    """A page that may be kept is made once; the balancer's cache has it for all others."""
    answers = [ask(stage.site, "GET", "/news") for _ in range(READERS)]
    bodies = {answer.body for answer in answers}
    hits = sum(map(_is_hit, answers))
    say(f"{READERS} visitors of /news: {hits} hits, all have the page of {answers[0].who}")
    if len(bodies) != 1 or hits != READERS - 1:
        raise Trouble(f"{READERS} visitors of /news: {hits} hits, {len(bodies)} different pages: {bodies}")


def purge_the_news(stage: Stage, say: Callable[[str], None]) -> None:
    """A page that is purged on the admin port is made anew for the next visitor, whichever worker has him."""
    command = f"cache purge http://{stage.site}/news"
    with Telnet(stage.admin) as telnet:
        reply = telnet.ask(command)
    if reply != ["OK"]:
        raise Trouble(f"{command}: the admin port answered {reply}")
    first, second = ask(stage.site, "GET", "/news"), ask(stage.site, "GET", "/news")
    say(f"telnet {stage.admin}: {command} -> OK; the next visitor: {first.fields.get('Cache-Status')}")
    if _is_hit(first) or not _is_hit(second):
        raise Trouble(f"after the purge /news was answered with {first.fields}, then with {second.fields}")


def limit_votes(stage: Stage, say: Callable[[str], None]) -> None:
    """Who votes too often is refused before a backend hears of it."""
    answers = [ask(stage.site, "POST", "/") for _ in range(VOTES)]
    statuses = [answer.status for answer in answers]
    say(f"{VOTES} votes, of which {ADMITTED} a minute are admitted: {' '.join(map(str, statuses))}")
    if statuses != [200] * ADMITTED + [429] * (VOTES - ADMITTED):
        raise Trouble(f"{VOTES} votes were answered {statuses}")
    say(f"the refused are told: Retry-After {answers[-1].fields.get('Retry-After')}")
    if not 0 < int(answers[-1].fields.get("Retry-After", "0")) <= 60:
        raise Trouble(f"the fields of a refusal are {answers[-1].fields}")


def add_by_telnet(stage: Stage, say: Callable[[str], None]) -> None:
    """A node added on the admin port gets traffic, without a restart."""
    stage.spare.start()
    stage.spare.wait()
    with Telnet(stage.admin) as telnet, Load(stage.site) as load:
        time.sleep(CALM_S)
        command = f"pool mypool add {stage.spare.address}"
        reply = telnet.ask(command)
        say(f"telnet {stage.admin}: {command} -> {' '.join(reply)}")
        if reply != ["OK"]:
            raise Trouble(f"the admin port answered {reply}")
        _must_reach(load, stage.spare)
        before = load.answers.total()
        time.sleep(CALM_S)
        lines = telnet.ask(f"nodes {stage.spare.address}")
    _must_be_clean(load)
    since = load.answers.total() - before
    say(f"the new node answered {load.count_of(_name(stage.spare))} of the next {since} requests")
    say(f"nodes {stage.spare.address} -> {'; '.join(lines[:3])}; ...")


def lose_one(stage: Stage, say: Callable[[str], None]) -> None:
    """A backend dies under load with no failed request, and gets traffic again once it is back."""
    victim = stage.pool[1]
    with Load(stage.site) as load:
        time.sleep(CALM_S)
        dead = _name(victim)
        victim.kill()
        before = load.answers.total()
        time.sleep(STORM_S)
        say(f"kill -9 {victim.pid} ({victim.name}): {load.answers.total() - before} requests since then")
        if load.reaches(dead, within_s=CALM_S):
            raise Trouble(f"{dead} was killed and still answers")
        _must_be_clean(load)
        victim.start()
        victim.wait()
        back_at = time.monotonic()
        _must_reach(load, victim)
        say(f"{victim.name} started again: the first answer came {time.monotonic() - back_at:.1f} s later")
    _must_be_clean(load)
    say(f"{load.answers.total()} requests under load while it died and came back: 0 failed")


def end(stage: Stage, say: Callable[[str], None]) -> None:
    """A graceful shutdown ends the balancer with status 0."""
    with Telnet(stage.admin) as telnet:
        telnet.ask("shutdown graceful")
    status = stage.balancer.wait()
    if status != 0:
        raise Trouble(f"the balancer ended with status {status}")
    say("shutdown graceful: the balancer ended with status 0")


def _is_hit(answer: Answer) -> bool:
    return "; hit" in answer.fields.get("Cache-Status", "")


def _name(backend: Backend) -> str:
    """Return what *backend*'s answers call it; the process makes it unique."""
    return f"{backend.name}, process {backend.pid}"


def _must_reach(load: Load, backend: Backend) -> None:
    if not load.reaches(_name(backend), within_s=PATIENCE_S):
        raise Trouble(f"no request reached {_name(backend)} within {PATIENCE_S:.0f} s: {dict(load.answers)}")


def _must_be_clean(load: Load) -> None:
    if load.failures:
        asked = load.answers.total() + len(load.failures)
        told = "\n".join(load.failures[:TOLD])
        raise Trouble(f"{len(load.failures)} of {asked} requests failed, the first of them:\n{told}")
