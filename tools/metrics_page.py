"""Write docs/metrics.md from the table of metrics; run by `make docs`."""

import argparse
import sys
from pathlib import Path

from wsgistack.balancer.exposition import PREFIX
from wsgistack.balancer.metric import Metric
from wsgistack.balancer.metrics import LIMITS, NODES, PROCESSES, SERVICES

__all__ = ["PAGE", "render"]

PAGE = Path(__file__).parent.parent / "docs" / "metrics.md"
SUFFIXES = {"counter": "_total", "histogram": "_bucket`, `_sum`, `_count", "info": "_info", "gauge": ""}
HEAD = """# All metrics

This page is written by `make docs` from the table in the code; a test compares it with a real scrape.
[monitoring.md](monitoring.md) says how to scrape them.
Counters are sums over all workers and outlive them; a node that two pools share is counted once, under both names with a comma between them.
"""
GROUPS = {"Nodes": NODES, "Services": SERVICES, "Limits": LIMITS, "Processes": PROCESSES}
COLUMNS = "\n| metric | kind | labels | meaning |\n|---|---|---|---|\n"


def render(groups: dict[str, list[Metric]]) -> str:
    """Return the page's text."""
    parts = [HEAD]
    for title, metrics in groups.items():
        parts.append(f"\n## {title}\n{COLUMNS}" + "".join(map(_line, metrics)))
    return "".join(parts)


def _line(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{PREFIX}{metric.name}{SUFFIXES[metric.kind]}` | {metric.kind} | {labels} | {metric.help} |\n"


def main() -> int:
    """Write the page, or say whether it is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the page instead of comparing it")
    text = render(GROUPS)
    if parser.parse_args().write:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        print(f"docs/{PAGE.name} is not current: make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
