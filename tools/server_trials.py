"""A killed worker, a reload and the end, under load, of each WSGI server that is here, with and without a stack.

Run by `make conformance-servers`.  The same is done to a plain Flask site and to that site inside of a whole
stack, one after the other, so that what a server itself loses is told from what a stack loses.  Exit status 1
where a limit admits another number than it says, and where only the stack loses requests.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterable, Sequence

from tools.server_events import SITES, Loss, Trial, try_memcached, try_server
from tools.server_lists import SHARING, TRIED, find_absent

__all__ = ["main", "render", "verdict"]

MEMCACHED = "memcached"
HEAD = (
    "Failed requests, of the bare site / inside of a stack (not told by log, metrics, metering):",
    "",
    "| server | a worker killed | a reload | memcached away | limits | ends after |",
    "|---|---|---|---|---|---|",
)
Row = dict[str, Trial]  # by the site, or MEMCACHED


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the servers; print the table."""
    options = _parse(arguments)
    rows: dict[str, Row] = {}
    for name in options.servers:
        reason = find_absent(name)
        if reason:
            print(f"server-trials: not tried: {name}: {reason}", file=sys.stderr)
            continue
        rows[name] = dict(_try(name, options.sites))
        print("\n".join([*(HEAD if len(rows) == 1 else []), render(name, rows[name])]), flush=True)
    bad = [f"{name}: {text}" for name, row in rows.items() for text in verdict(row)]
    print("\n".join(["", *bad]) if bad else "\nNo stack loses what the bare site does not.")
    return int(bool(bad))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="server_trials", description=(__doc__ or "").splitlines()[0])
    sites = [*SITES, MEMCACHED]
    parser.add_argument("--servers", type=_some(TRIED), default=list(TRIED), help="; ".join(TRIED))
    parser.add_argument("--sites", type=_some(sites), default=sites, help="; ".join(sites))
    return parser.parse_args(arguments)


def _some(names: Collection[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        chosen = text.split(";")  # names have commas
        for name in chosen:
            if name not in names:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {'; '.join(names)}")
        return chosen

    return parse


def _try(name: str, sites: Sequence[str]) -> Iterable[tuple[str, Trial]]:
    for site in sites:
        if site == MEMCACHED and name not in SHARING:
            continue
        print(f"-- {name}, {site}", file=sys.stderr, flush=True)
        trial = try_memcached(TRIED[name]) if site == MEMCACHED else try_server(TRIED[name], site)
        if trial.said:
            print(trial.said, file=sys.stderr)
        yield site, trial


def render(name: str, row: Row) -> str:
    """Return a row of the table: what a server lost with each site, side by side."""
    dressed = [trial for site, trial in row.items() if site != MEMCACHED]
    shared = row.get(MEMCACHED)
    limits = [text for trial in row.values() for text in trial.limits]
    cells = [
        " / ".join(_cell(trial.kill) for trial in dressed),
        " / ".join(_cell(trial.reload) for trial in dressed),
        _cell(shared.kill if shared else None),
        "; ".join(limits) or "exact",
        " / ".join(trial.trouble or trial.ends for trial in dressed),
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _cell(loss: Loss | None) -> str:
    if loss is None:
        return "-"
    return f"{loss} ({', '.join(map(str, loss.told.values()))})" if loss.told else str(loss)


def verdict(row: Row) -> list[str]:
    """Return what is wrong with one server's row: limits that are not exact, and what only the stack loses."""
    found = [f"limit {text}" for trial in row.values() for text in trial.limits]
    shared = row.get(MEMCACHED)
    if shared is not None and (shared.kill is None or shared.kill.failed or not shared.kill.is_back):
        found.append(f"memcached away: {shared.kill or shared.trouble}")
    bare, wrapped = row.get("bare"), row.get("wrapped")
    if bare is None or wrapped is None:
        return found
    if wrapped.trouble and not bare.trouble:
        found.append(wrapped.trouble)
    for event, with_it, without in (
        ("a worker killed", wrapped.kill, bare.kill),
        ("a reload", wrapped.reload, bare.reload),
    ):
        if with_it and without and _is_worse(with_it, without):
            found.append(f"{event}: {with_it} in a stack, {without} without")
    if wrapped.ends == "stayed" != bare.ends:
        found.append("does not end in a stack")
    return found


def _is_worse(with_it: Loss, without: Loss) -> bool:
    """Tell whether requests fail that have nothing to do with what was in flight, and do not without a stack."""
    if not without.is_back:
        return False
    return not with_it.is_back or with_it.late > without.late


if __name__ == "__main__":
    sys.exit(main())
