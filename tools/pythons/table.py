"""What is printed of a run."""

from __future__ import annotations

from collections import Counter

from tools.pythons.running import Outcome

__all__ = ["format_failures", "format_table"]

HEAD = ("Python", "passed", "cannot run", "failed")


def format_table(outcomes: dict[str, Outcome]) -> list[str]:
    """Return the lines of the table, and of each version why how many cannot run."""
    rows: list[tuple[str, ...]] = [HEAD]
    for version, found in outcomes.items():
        rows.append((version, *(str(len(names)) for names in (found.passed, found.left_out, found.failed))))
    lines = ["  ".join(cell.rjust(len(title)) for cell, title in zip(row, HEAD, strict=True)) for row in rows]
    for version, found in outcomes.items():
        tests, modules = Counter[str](), Counter[str]()
        for name, reason in found.left_out.items():
            (tests if "::" in name else modules)[reason] += 1
        whys = [
            f"{reason} {tests[reason]} tests, {modules[reason]} modules" for reason in sorted(tests | modules)
        ]
        lines.append(f"cannot run in {version}: {'; '.join(whys) or 'none'}")
    return lines


def format_failures(outcomes: dict[str, Outcome]) -> list[str]:
    """Return what failed and its last words."""
    lines = []
    for version, found in outcomes.items():
        for name, words in sorted(found.failed.items()):
            lines += ["", f"{version} {name}", *(f"    {line}" for line in words.strip().splitlines()[-12:])]
    return lines
