"""A compiled module that has a plain twin offers the same, and one suite runs over both."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT, find_files, module_name

COMPILED = find_files("*_cy.pyx", rooms=["wsgistack"])
# Where the rest of the package finds whichever of the two is there.
CHOOSERS = {
    "wsgistack.store.memcached.calls_cy": "from wsgistack.store.memcached.wire import Call as chosen",
    "wsgistack.store.memcached.channel_cy": "from wsgistack.store.memcached.links import Channel as chosen",
    "wsgistack.store.memcached.direct_cy": "from wsgistack.store.memcached.coop import ask as chosen",
    "wsgistack.store.memcached.gauges_cy": "from wsgistack.store.memcached.wire import Patience as chosen",
    "wsgistack.store.memcached.batches_cy": "from wsgistack.store.memcached.named import sort_names as chosen",
    "wsgistack.store.memcached.talks_cy": "from wsgistack.store.memcached.plain import talk as chosen",
    "wsgistack.cache.shortcut_cy": "from wsgistack.cache.shortcuts import Shortcut as chosen",
    "wsgistack.account_cy": "from wsgistack.accounts import Door as chosen",
    "wsgistack.chore_cy": "from wsgistack.chores import Tags as chosen",
    "wsgistack.clock_cy": "from wsgistack.clocks import SteadyClock as chosen",
    "wsgistack.line_cy": "from wsgistack.lines import Lines as chosen",
    "wsgistack.lot_cy": "from wsgistack.lots import Lots as chosen",
    "wsgistack.passage_cy": "from wsgistack.steps import Passage as chosen",
    "wsgistack.ratelimit.taking_cy": "from wsgistack.ratelimit.takers import Taker as chosen",
    "wsgistack.ratelimit.telling_cy": "from wsgistack.ratelimit.tellers import Teller as chosen",
    "wsgistack.store.continuum_cy": "from wsgistack.store.circle import Continuum as chosen",
    "wsgistack.store.memcached.replies_cy": "from wsgistack.store.memcached.wire import Replies as chosen",
    "wsgistack.store.memcached.storing_cy": "from wsgistack.store.memcached.wire import write_stores as chosen",
}


def test_there_are_twins() -> None:
    assert COMPILED != []


@pytest.mark.parametrize("path", COMPILED, ids=module_name)
def test_the_plain_twin_offers_what_the_compiled_one_does(path: Path) -> None:
    name = module_name(path)
    compiled, plain = importlib.import_module(name), importlib.import_module(name.removesuffix("_cy"))
    assert set(compiled.__all__) <= set(plain.__all__)
    for offered in compiled.__all__:
        if not isinstance(getattr(plain, offered), type):
            assert callable(getattr(compiled, offered))
            continue
        public = {word for word in dir(getattr(compiled, offered)) if not word.startswith("_")}
        assert public - {"fault"} == {
            word for word in dir(getattr(plain, offered)) if not word.startswith("_")
        } - {"fault"}


@pytest.mark.parametrize("path", COMPILED, ids=module_name)
def test_one_suite_runs_over_both(path: Path) -> None:
    relative = path.relative_to(ROOT / "wsgistack")
    plain = relative.stem.removesuffix("_cy")
    suite = (ROOT / "tests" / relative.parent / f"test_{plain}.py").read_text()
    assert re.search(rf"\bTWINS = \[{plain}, {relative.stem}\]", suite)


@pytest.mark.parametrize("path", COMPILED, ids=module_name)
def test_without_the_compiled_one_the_plain_one_is_used(path: Path) -> None:
    name = module_name(path)
    program = f"import sys; sys.modules[{name!r}] = None\n{CHOOSERS[name]}\nprint(chosen.__module__)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == name.removesuffix("_cy")
