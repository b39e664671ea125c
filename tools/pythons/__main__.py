"""Run the tests under Python 3.12, 3.13 and 3.14; see the package.

    make conformance-python                                   all of it, in all three (an hour of two cores)
    make conformance-python ARGS='--python 3.14 tests/http'   some of it, in one
    make conformance-python ARGS=--write                      and leave out from now on what a WebAssembly cannot do

Exit status 1: a test failed that left_out.txt does not name, or nothing passed.  2: there is no node or npm here.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from tools.pythons.fetch import CACHE, ROOT, VERSIONS, fetch_packages, fetch_pyodide
from tools.pythons.left_out import LIST, LeftOut, extend
from tools.pythons.running import Outcome, run_modules
from tools.pythons.table import format_failures, format_table

__all__ = ["find_modules", "main", "run_python"]

BOOT = Path(__file__).with_name("boot.mjs")
AT_ONCE = 2  # processes, of some 500 MB
TESTS = ["tests"]


def find_modules(root: Path, paths: list[str]) -> list[str]:
    """Return the test modules that *paths* are or have below them, as pytest names them."""
    found = [root / path for path in paths if (root / path).is_file()]
    for path in paths:
        found += (root / path).rglob("test_*.py")
    return sorted(file.relative_to(root).as_posix() for file in found)


def by_room(modules: list[str]) -> dict[str, list[str]]:
    """Return the modules of each folder below tests/, which one process runs one after another."""
    rooms: dict[str, list[str]] = {}
    for name in modules:
        rooms.setdefault("/".join(name.split("/")[:-1][:2]), []).append(name)
    return rooms


def run_python(version: str, modules: list[str], text: str) -> Outcome:
    """Run *modules* under Python *version*, without what the list *text* leaves out."""
    pyodide, site = fetch_pyodide(version), fetch_packages(version)
    listed = LeftOut.parse(text)
    outcome = Outcome(left_out={name: why for name in modules if (why := listed.reason_of(name))})

    def run_room(modules: list[str]) -> Outcome:
        found = Outcome()
        run_modules(modules, text, found, partial(_command, pyodide, site))
        return found

    wanted = by_room([name for name in modules if name not in outcome.left_out])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started = {pool.submit(run_room, names): room for room, names in wanted.items()}
        for done in as_completed(started):
            found = done.result()
            print(f"   {started[done]}: {len(found.passed)} passed, {len(found.failed)} failed", flush=True)
            outcome.add(found)
            write(version, outcome)
    return outcome


def write(version: str, outcome: Outcome) -> None:
    """Keep what became of the tests below .cache, each with its words, for whoever wants to read more of them."""
    kept = {"passed": sorted(outcome.passed), "failed": outcome.failed, "left out": outcome.left_out}
    (CACHE / f"outcome-{version}.json").write_text(json.dumps(kept, indent=1))


def _command(pyodide: Path, site: Path, folder: Path) -> list[str]:
    return ["node", *map(str, (BOOT, pyodide, site, ROOT, folder))]


def main(arguments: list[str]) -> int:
    """Run what is asked for, print a table and what failed; return the exit status."""
    parser = argparse.ArgumentParser("python -m tools.pythons")
    parser.add_argument("--python", action="append", choices=VERSIONS, help="one or more, instead of all")
    parser.add_argument(
        "--write", action="store_true", help="leave out what fails of what a WebAssembly lacks"
    )
    parser.add_argument("paths", nargs="*", metavar="path", help="tests, instead of all")
    asked = parser.parse_args(arguments)
    absent = [name for name in ("node", "npm") if shutil.which(name) is None]
    if absent:
        print(f"No {' and no '.join(absent)} on this machine: no other Python was tried.", file=sys.stderr)
        return 2
    modules = find_modules(ROOT, asked.paths or TESTS)
    outcomes = {}
    for version in asked.python or VERSIONS:
        print(f"-- Python {version}, pyodide {VERSIONS[version]}", flush=True)
        text = LIST.read_text()
        try:
            found = outcomes[version] = run_python(version, modules, text)
        except subprocess.CalledProcessError as error:
            print(f"Nothing was tried, this failed: {' '.join(error.cmd[:2])}", file=sys.stderr)
            return 1
        if asked.write:
            LIST.write_text(extend(text, found.failed, found.passed))
    print("\n".join([*format_failures(outcomes), "", *format_table(outcomes)]))
    return 0 if all(found.passed and not found.failed for found in outcomes.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
