"""What runs within the WebAssembly: stand-ins for what is not there, and pytest, whose outcomes are noted at once.

The process may be killed at any time, so each note is a line of its own in a file outside.
"""

from __future__ import annotations

import importlib
import importlib.abc
import json
import sys
import types
from collections.abc import Generator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from tools.pythons.left_out import LeftOut

__all__ = ["Notes", "StandIns", "work"]

# Of the standard library and of what the tests import: a name is there, whatever is done with it fails.
ABSENT = ("_multiprocessing", "brotli", "fcntl", "grp", "pwd", "resource", "sqlite3", "ssl", "termios")
COMPILED = ("wsgistack.balancer.plane.", "wsgistack.store.shm.")
# A compiled module that stands for more than the plain one of its name.
BESIDES = {"wsgistack.chore_cy": ["wsgistack.codings"]}


class _Nothing(type):
    """The type of what is absent: neither an attribute nor an order is to be had of it."""

    def __getattr__(cls, name: str) -> object:
        raise AttributeError(f"not in wasm: {cls.__module__}")

    def __lt__(cls, other: object) -> bool:
        raise OSError(f"not in wasm: {cls.__module__}")

    __le__ = __gt__ = __ge__ = __lt__


class _Absent(Exception, metaclass=_Nothing):
    """What can be named and caught, and never made."""

    def __init__(self, *_: object, **__: object) -> None:
        raise OSError(f"not in wasm: {type(self).__module__}")


class _Empty(importlib.abc.Loader):
    """Makes a module of which every name is something absent."""

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        module = types.ModuleType(spec.name)
        module.__path__ = []

        def get(name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            made = _Nothing(name, (_Absent,), {"__module__": spec.name})
            setattr(module, name, made)
            return made

        module.__getattr__ = get  # type: ignore[method-assign]
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        if module.__name__ == "fcntl":  # nobody else is there to hold a lock
            vars(module).update(LOCK_SH=1, LOCK_EX=2, LOCK_NB=4, LOCK_UN=8)
            vars(module).update(flock=lambda *_: None, lockf=lambda *_: None)
        if module.__name__ == "resource":  # prometheus_client asks when it is imported
            vars(module).update(getpagesize=lambda: 65536)


class _Plain(importlib.abc.Loader):
    """Makes a compiled module of its plain twin."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        name = module.__name__
        for twin in [*BESIDES.get(name, []), name.removesuffix("_cy")]:
            for key, value in vars(importlib.import_module(twin)).items():
                if not key.startswith("__") or key == "__all__":
                    setattr(module, key, value)


class StandIns(importlib.abc.MetaPathFinder):
    """Finds what a WebAssembly does not have."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        if name.partition(".")[0] in ABSENT:
            return ModuleSpec(name, _Empty(), is_package=True)
        if name.startswith(COMPILED):
            return ModuleSpec(name, _Empty())
        if name.startswith("wsgistack.") and name.endswith("_cy"):
            return ModuleSpec(name, _Plain())
        return None


class Notes:
    """The plugin: leaves out what cannot run, and notes what becomes of the rest."""

    def __init__(self, path: Path, left_out: LeftOut) -> None:
        self.path = path
        self.left_out = left_out

    def note(self, kind: str, name: str, words: str = "") -> None:
        with self.path.open("a") as file:
            file.write(json.dumps([kind, name, words]) + "\n")

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        """Know what pyproject.toml says to pytest-benchmark and pytest-timeout, which are not here."""
        parser.addoption("--benchmark-disable", action="store_true")
        for name in ("timeout", "timeout_method"):
            parser.addini(name, "of pytest-timeout")

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "timeout(seconds): of pytest-timeout")

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        if isinstance(collector, pytest.Module):
            self.note("began", collector.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.note("failed", report.nodeid, str(report.longrepr))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        gone = [item for item in items if self.left_out.reason_of(item.nodeid)]
        for item in gone:
            self.note("left out", item.nodeid, self.left_out.reason_of(item.nodeid) or "")
        items[:] = [item for item in items if item not in set(gone)]
        config.hook.pytest_deselected(items=gone)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self.note("began", item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.note("failed", report.nodeid, str(report.longrepr))
        elif report.when == "teardown":
            self.note("ended", report.nodeid)


def work(out: str) -> int:
    """Run the modules of *out*/orders.json; what becomes of them is in *out*/notes.jsonl."""
    orders = json.loads(Path(out, "orders.json").read_text())
    sys.meta_path.append(StandIns())
    notes = Notes(Path(out, "notes.jsonl"), LeftOut.parse(orders["left out"]))
    how = ["-q", "--tb=short", "--capture=sys", "-p", "no:cacheprovider"]
    how += ["--continue-on-collection-errors", f"--rootdir={Path.cwd()}"]
    status = int(pytest.main([*how, *orders["modules"]], plugins=[notes]))
    notes.note("finished", "", str(status))
    return status
