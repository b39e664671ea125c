"""The result of a run as Markdown: what was compared, one table a figure, targets met or missed."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from bench.figures import Figure, Plan, Sample

__all__ = ["Machine", "Result", "machine", "render", "verdicts", "write_between_markers"]

MARKERS = "<!-- {}: begin, written by the command below -->", "<!-- {}: end -->"
BEGIN, END = (marker.format("bench-proxy") for marker in MARKERS)
US = "wsgistack"
DISTURBED = 10.0  # percent of a core


@dataclass(slots=True)
class Result:
    """What one figure gave: the rounds of each proxy in step, None for a round that failed."""

    figure: Figure
    rounds: dict[str, list[Sample | None]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)  # proxies without this figure, and why
    failures: list[str] = field(default_factory=list)  # rounds that could not be trusted

    def median(self, peer: str, quantity: str) -> float | None:
        """Return the median of *quantity* over the rounds of *peer* that succeeded."""
        values = [sample[quantity] for sample in self.rounds.get(peer, []) if sample]
        return statistics.median(values) if values else None

    def spread(self, peer: str) -> tuple[float, float] | None:
        """Return the least and the greatest of the compared quantity."""
        values = [sample[self.figure.main] for sample in self.rounds.get(peer, []) if sample]
        return (min(values), max(values)) if values else None

    def ratio(self, peer: str) -> float | None:
        """Return the median over the rounds of wsgistack's value by that of *peer* in the same round."""
        main = self.figure.main
        pairs = zip(self.rounds.get(US, []), self.rounds.get(peer, []), strict=False)
        ratios = [ours[main] / theirs[main] for ours, theirs in pairs if ours and theirs and theirs[main] > 0]
        return statistics.median(ratios) if ratios else None


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a run was made, for its reader."""

    cores: int
    kernel: str
    processor: str
    python: str

    def __str__(self) -> str:
        return f"{self.cores} cores, {self.processor}, Linux {self.kernel}, Python {self.python}"


def machine() -> Machine:
    """Describe this machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.machine()
    return Machine(os.cpu_count() or 1, platform.release(), processor, platform.python_version())


def verdicts(result: Result) -> list[tuple[str, float, float, bool]]:
    """Return (what, measured, target, met) for every target of the figure that could be judged."""
    found = []
    for peer, target in result.figure.at_most.items():
        ratio = result.ratio(peer)
        if ratio is not None:
            found.append((f"ratio to {peer}", ratio, target, ratio <= target))
    value = result.median(US, result.figure.main)
    if result.figure.limit is not None and value is not None:
        found.append(
            (f"{US}, {result.figure.unit}", value, result.figure.limit, value <= result.figure.limit)
        )
    return found


def render(results: Sequence[Result], header: Sequence[str], plan: Plan) -> str:
    """Return the whole result as Markdown."""
    parts = ["\n".join(f"- {line}" for line in header)]
    parts += [_targets(results), *(_table(result, plan) for result in results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_between_markers(path: Path, text: str, bench: str = "bench-proxy") -> None:
    """Replace what stands between the markers of *bench* on the page *path*; make the page when there is none."""
    begin, end = (marker.format(bench) for marker in MARKERS)
    page = path.read_text() if path.exists() else f"# Performance\n\n{begin}\n{end}\n"
    if begin not in page or end not in page:
        raise ValueError(f"{path}: expected the lines {begin!r} and {end!r}")
    before, rest = page.split(begin, 1)
    after = rest.split(end, 1)[1]
    path.write_text(f"{before}{begin}\nMeasured on {date.today().isoformat()}.\n\n{text}\n{end}{after}")


def number(value: float | None) -> str:
    """Return *value* with three or four meaningful digits; a dash for None."""
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _targets(results: Sequence[Result]) -> str:
    rows = [
        _row([result.figure.title, what, number(value), f"<= {target:g}", "met" if met else "**missed**"])
        for result in results
        for what, value, target, met in verdicts(result)
    ]
    if not rows:
        return ""
    return "\n".join(
        ["### Targets", "", _row(["figure", "what", "measured", "target", ""]), "|---" * 5 + "|", *rows]
    )


def _table(result: Result, plan: Plan) -> str:
    figure = result.figure
    title = figure.title
    if figure.name == "p99" and plan.half_rate:
        title += f" ({plan.half_rate:,.0f} requests/s)"
    heads = ["", *(heading for _, heading in figure.columns), f"{figure.main} min-max", f"{US} / it"]
    rows = [_peer_row(result, peer) for peer in result.rounds if any(result.rounds[peer])]
    notes = [f"- {peer}: {reason}" for peer, reason in result.left_out.items()]
    others = [
        sample["others"]
        for rounds in result.rounds.values()
        for sample in rounds
        if sample and "others" in sample
    ]
    if others and statistics.median(others) > DISTURBED:
        notes.append(f"- other processes took {statistics.median(others):.0f} % of a core meanwhile")
    notes += [f"- {failure}" for failure in result.failures]
    table = [f"### {title}", "", _row(heads), "|---" * len(heads) + "|", *rows]
    return "\n".join([*table, "", *notes] if notes else table)


def _peer_row(result: Result, peer: str) -> str:
    values = [number(result.median(peer, quantity)) for quantity, _ in result.figure.columns]
    spread = result.spread(peer)
    between = f"{number(spread[0])}-{number(spread[1])}" if spread else "-"
    ratio = result.ratio(peer)
    return _row([peer, *values, between, f"{ratio:.2f}" if ratio is not None and peer != US else "-"])


def stated_fields(heads: Mapping[str, bytes]) -> str:
    """Return which fields each proxy added on the way to the node, from what the node received."""
    said = []
    for peer, head in heads.items():
        names = [line.split(b":")[0].decode("latin-1") for line in head.splitlines()[1:] if b":" in line]
        about = [name for name in names if name.lower().startswith(("x-", "forwarded", "via"))]
        said.append(f"{peer}: {', '.join(about) or 'none'}")
    return "; ".join(said)
