"""limit: what limits have counted, whom they refuse, and what an operator does about it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from itertools import accumulate

from wsgistack.balancer.address import is_numeric
from wsgistack.balancer.foresight import Left, key_of_address, look, show_key, show_wait
from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.grammar import NAME, Line
from wsgistack.balancer.language.replies import Lines, Ok, Reply
from wsgistack.balancer.limit import Limit
from wsgistack.balancer.limit_settings import LIMIT_SETTINGS
from wsgistack.balancer.limit_states import NOTHING, pack_ban, read_state
from wsgistack.balancer.outside import DecisionTimes
from wsgistack.balancer.shedding import LEVELS
from wsgistack.errors import CommandError, NotAllowed, RateError
from wsgistack.ratelimit.meter import OTHERS
from wsgistack.ratelimit.rates import parse_window
from wsgistack.ratelimit.statistics import BOUNDS_US, near_ratio
from wsgistack.ratelimit.usage import FORMATS
from wsgistack.ratelimit.usage import show_key as show_usage_key
from wsgistack.registry import find_nearest

__all__ = ["COMMANDS"]

USUAL_BAN = "1 hour"
USUAL_TOP = 10
MOST_TIMES = 500  # plane/limit_kernels.pyx


def limit_(desk: Desk, line: Line) -> Reply:
    """Do one of ACTIONS."""
    found = line.match(r"(\w+)(?: (.+))?")
    action = found[1].lower()
    if action not in ACTIONS:
        nearest = find_nearest(action, ACTIONS)
        raise CommandError(
            f"limit {action}: one of {', '.join(ACTIONS)} is meant", met=action, nearest=nearest
        )
    reads, run = ACTIONS[action]
    if desk.session.readonly and not reads:
        raise NotAllowed(f"this session is read-only, and 'limit {action}' changes something")
    if desk.session.source == "file" and action != "set":
        raise CommandError(f"'limit {action}' has no place in a file")
    return run(desk, Line(f"limit {action}", found[2] or ""))


def _show(desk: Desk, line: Line) -> Reply:
    first, key = line.match(r"(\S+)?(?: (.+))?").groups()
    limits = desk.estate.limits.publish()
    if first is None:
        return Lines((*(_summary(desk, limit) for _, limit in sorted(limits.items())), _tell_table(desk)))
    if key is None and first.lower() not in limits and is_numeric(first):
        by_address = [one for _, one in sorted(limits.items()) if one.by[0] in ("ip", "header")]
        return Lines(tuple(text for one in by_address for text in _state(desk, one, first)))
    limit = desk.estate.limits.get(first.lower())
    return Lines(tuple(_state(desk, limit, key) if key is not None else _settings(desk, limit)))


def _summary(desk: Desk, limit: Limit) -> str:
    counts = desk.estate.limits.ledger.counts(limit.slot)
    told = " ".join(f"{name} {counts[name]}" for name in ("allowed", "refused", "banned", "watched"))
    return f"{limit.name} {limit.settings['rate']} by {limit.settings['key']}: {told}"


def _tell_table(desk: Desk) -> str:
    use = desk.estate.limits.ledger.use()
    return f"table: {use.used} of {use.keys} keys in use, {use.shared} counts shared for want of room"


def _settings(desk: Desk, limit: Limit) -> list[str]:
    users = sorted(s.name for s in desk.estate.services.publish().values() if limit.name in s.limits)
    shown = [f"{row.name} {row.kind.show(limit.settings[row.name])}" for row in LIMIT_SETTINGS]
    counts = desk.estate.limits.ledger.counts(limit.slot)
    return [
        *shown,
        *(f"{name} {count}" for name, count in counts.items() if isinstance(count, int)),
        f"near_ratio {near_ratio((counts['allowed'] - counts['near'], counts['near'])):.4f}",
        _tell_times(counts["decisions"]),
        *(_levels(desk, limit) if limit.sheds else ()),
        f"services {' '.join(users) or 'none'}",
    ]


def _tell_times(times: DecisionTimes) -> str:
    total, told = sum(times["within"]), ""
    if total:
        half, most = (_within(times["within"], share * total) for share in (0.5, 0.99))
        told = f": mean {times['ns'] / total / 1000:.2f} us, half {half}, 99 % {most}"
    return f"decisions {total}{told}"


def _within(counts: Sequence[int], wanted: float) -> str:
    reached = list(accumulate(counts))
    bucket = next(i for i, count in enumerate(reached) if count >= wanted)
    return f"within {BOUNDS_US[bucket]} us" if bucket < len(BOUNDS_US) else f"above {BOUNDS_US[-1]} us"


def _levels(desk: Desk, limit: Limit) -> list[str]:
    counts = desk.estate.limits.ledger.counts(limit.slot)
    rates = {step.level: step.engine.rate for step in limit.steps}
    return [
        f"{level} {rates[level]}: served {counts['served'][level]} shed {counts['shed'][level]}"
        for level in reversed(LEVELS)
    ]


def _state(desk: Desk, limit: Limit, text: str) -> list[str]:
    key = _parse_key(desk, limit, text)
    return [
        f"{limit.name} {show_key(limit, key)}: {_tell(one)}"
        for one in look(limit, [key], desk.estate.limits.ledger)
    ]


def _tell(one: Left) -> str:
    if one.step.kind == "ban":
        return f"banned, ends {show_wait(one.more_us)}" if one.more_us else "not banned"
    more = f", more {show_wait(one.more_us)}" if one.more_us else ""
    level = f"{one.step.level} " if one.step.level else ""
    return f"{level}{one.step.engine.rate}: {one.left} left{more}"


def _set(desk: Desk, line: Line) -> Reply:
    found = line.match(rf"({NAME}) (.+)")
    desk.estate.limits.set(found[1].lower(), "rate", found[2])
    return Ok()


def _reset(desk: Desk, line: Line) -> Reply:
    found = line.match(rf"({NAME})(?: (.+))?")
    limit = desk.estate.limits.get(found[1].lower())
    if found[2] is None:
        desk.estate.limits.reset(limit.name)
        return Ok()
    key = _parse_key(desk, limit, found[2])
    ledger = desk.estate.limits.ledger
    for step in limit.steps:
        if step.kind == "exact":
            ledger.forget_stamps(key, step.id, step.engine.rate.amount)
        else:
            ledger.put(key, step.id, NOTHING)
    return Ok()


def _top(desk: Desk, line: Line) -> Reply:
    found = line.match(rf"(?:([0-9]{{1,4}})|({NAME})(?: ([0-9]{{1,4}}))?)?")
    count = int(found[1] or found[3] or USUAL_TOP)
    limits = desk.estate.limits.publish()
    chosen = [desk.estate.limits.get(found[2].lower())] if found[2] else list(limits.values())
    rows = [
        (refusals, limit.name, show_key(limit, key))
        for limit in chosen
        for key, refusals in desk.estate.limits.ledger.top(limit.slot).items()
    ]
    rows.sort(key=lambda row: (-row[0], row[1:]))
    return Lines(tuple(f"{name} {key} {refusals}" for refusals, name, key in rows[:count]))


def _usage(desk: Desk, line: Line) -> Reply:
    found = line.match(r"([A-Za-z]+)?(?: ?([0-9]{1,5}))?")
    folder, form = str(desk.estate.server["usage_folder"]), (found[1] or "json").lower()
    if form not in FORMATS and form != "top":
        forms = (*FORMATS, "top")
        text = f"limit usage {form}: one of {', '.join(forms)} is meant"
        raise CommandError(text, met=form, nearest=find_nearest(form, forms))
    if not folder:
        raise CommandError("nothing is metered: SERVER usage_folder names no folder")
    if form == "top":
        return Lines(tuple(_heaviest(desk, folder)[: int(found[2] or USUAL_TOP)]))
    rows = desk.estate.limits.ledger.usage(folder, int(found[2] or 1))
    return Lines(tuple(FORMATS[form][1](rows).splitlines()))


def _heaviest(desk: Desk, folder: str) -> list[str]:
    """Return lines of limit, client and requests of this hour, the heaviest first; estimates are marked."""
    ledger = desk.estate.limits.ledger
    rows = [
        (sum(row.counts[:5]), row.rule, show_usage_key(row.key))
        for row in ledger.usage(folder, 1)
        if row.key != OTHERS
    ]
    rows += [
        (requests, limit.name, f"{show_key(limit, key)} (at most)")
        for limit in desk.estate.limits.publish().values()
        for key, requests in ledger.heavy(limit.slot).items()
    ]
    rows.sort(key=lambda row: (-row[0], row[1:]))
    return [f"{name} {key} {requests}" for requests, name, key in rows]


def _ban(desk: Desk, line: Line) -> Reply:
    found = line.match(rf"({NAME}) (.+?)(?: for (.+))?")
    limit, ledger = desk.estate.limits.get(found[1].lower()), desk.estate.limits.ledger
    try:
        length_us = parse_window(found[3] or USUAL_BAN)
    except RateError as error:
        raise CommandError(str(error)) from None
    key, step, now = _parse_key(desk, limit, found[2]), limit.steps[0], ledger.now()
    before = read_state(step.kind, step.engine.rate, ledger.get(key, step.id), now)
    times = min((before[3] if before else 0) + 1, MOST_TIMES)
    assert step.engine.ban is not None
    ledger.look_at_bans()
    if not ledger.put(key, step.id, pack_ban(now + length_us, times, step.engine.ban.longest_us)):
        raise CommandError("the table of limits is full: nobody was banned")
    return Ok()


def _unban(desk: Desk, line: Line) -> Reply:
    found = line.match(rf"({NAME}) (.+)")
    limit, ledger = desk.estate.limits.get(found[1].lower()), desk.estate.limits.ledger
    ledger.put(_parse_key(desk, limit, found[2]), limit.steps[0].id, NOTHING)
    return Ok()


def _parse_key(desk: Desk, limit: Limit, text: str) -> bytes:
    """Return the key that *text* means: an address, or a credential where the limit counts by one."""
    kind = limit.by[0]
    if kind == "global":
        raise CommandError(f"limit {limit.name} counts everybody together: limit reset {limit.name}")
    if kind == "service":
        return b"s" + desk.estate.services.get(text.lower()).slot.to_bytes(4, "little")
    if is_numeric(text):
        address = ipaddress.ip_address(text)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return key_of_address(limit, mapped or address)
    if kind == "header":
        return desk.estate.limits.ledger.credential(text)
    raise CommandError(f"'{text}' is not the IP address of a client")


# Whether it only reads, and what it does.
ACTIONS: dict[str, tuple[bool, Callable[[Desk, Line], Reply]]] = {
    "show": (True, _show),
    "top": (True, _top),
    "usage": (True, _usage),
    "set": (False, _set),
    "reset": (False, _reset),
    "ban": (False, _ban),
    "unban": (False, _unban),
}

COMMANDS = (
    Command(
        "limit",
        "limit {show|set|reset|top|usage|ban|unban} [<limit>] [<client>] [<rate>|for <time>|<n>]",
        "what limits counted, whom they refuse most, who uses how much (json, csv, prometheus, top); change a rate, forget or shut out a client",
        limit_,
        example="limit show",
        reads=True,
    ),
)
