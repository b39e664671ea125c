"""bench/chaos: what its targets make of what clients saw, and that they can be missed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.chaos.__main__ import judge_posts, render
from bench.chaos.load import Load, Seen
from bench.chaos.node import MODES
from bench.chaos.site import NodeProcess
from bench.chaos.trials import Finding, _no_failed_gets, _nothing_failed, _quiet_after, _share
from bench.rig import ask


def seen(
    method: str = "GET", ident: str = "1", began: float = 1.0, status: int = 200, node: str = "a"
) -> Seen:
    return Seen(method, ident, began, began + 0.01, status, node)


class FakeLoad(Load):
    """A load that has seen what a test says."""

    def __init__(self, *requests: Seen) -> None:
        self.seen = list(requests)


def measured(findings: list[Finding]) -> dict[str, bool | None]:
    return {one.what: one.met for one in findings}


@pytest.mark.parametrize(
    ("posts", "executed", "missed"),
    [
        pytest.param([seen("POST")], {"1": 1}, set(), id="well"),
        pytest.param([seen("POST")], {"1": 2}, {"executed twice"}, id="twice"),
        pytest.param([seen("POST")], {}, {"answered 200, not executed"}, id="a phantom"),
        pytest.param([seen("POST", status=502)], {"1": 1}, set(), id="lost in a node, and told"),
        pytest.param([seen("POST", status=504)], {}, set(), id="never sent, and told"),
        pytest.param(
            [seen("POST", status=0)],
            {"1": 1},
            {"failed and not told by 502, 503 or 504"},
            id="lost without a word",
        ),
        pytest.param(
            [seen("POST", "kill_a_worker-1", status=0)], {}, set(), id="in flight in a killed worker"
        ),
        pytest.param([], {}, {"executed twice"}, id="none were made"),
    ],
)
def test_posts_are_judged_by_what_the_nodes_logged(
    posts: list[Seen], executed: dict[str, int], missed: set[str]
) -> None:
    assert {what for what, met in measured(judge_posts(posts, executed)).items() if met is False} == missed


@pytest.mark.parametrize(
    ("requests", "met"),
    [([seen()], True), ([seen(), seen(status=502)], False), ([seen(status=0)], False), ([], False)],
)
def test_a_failed_request_misses_the_target_and_so_does_none_at_all(requests: list[Seen], met: bool) -> None:
    load = FakeLoad(*requests)
    assert _no_failed_gets("x", load, 0.0).met is met
    assert _nothing_failed("x", load, 0.0).met is met


def test_a_share_is_of_what_began_in_the_window() -> None:
    load = FakeLoad(seen(began=1.0), seen(began=1.5, node="b"), seen(began=9.0))
    assert _share(load, "a", 1.0, 2.0) == 0.5
    assert _share(load, "b", 8.0, 10.0) == 0.0


@pytest.mark.parametrize(
    ("until", "quiet"),
    [pytest.param(0, 0.0, id="at once"), pytest.param(3, 3.0, id="later"), pytest.param(6, 6.0, id="never")],
)
def test_quiet_is_when_its_share_stays_below_the_bound(until: int, quiet: float) -> None:
    requests = [seen(began=t / 100, node="a" if t % 2 and t < until * 100 else "b") for t in range(600)]
    assert _quiet_after(FakeLoad(*requests), "a", 0.0, 6.0) == pytest.approx(quiet, abs=0.5)


def test_the_table_has_a_column_for_each_proxy_and_names_what_was_missed() -> None:
    text = render(
        {"wsgistack": [Finding("e", "w", "1", "0", False)], "nginx": [Finding("e", "w", "2", "0", False)]}
    )
    assert "| e | w | 1 | 2 | 0 | **missed** |" in text


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    made = NodeProcess("a", tmp_path)
    made.start()
    yield made
    made.end()


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [("ok", 200), ("error", 500), ("slow", 200), ("half", Exception), ("refuse", ConnectionRefusedError)],
)
def test_a_node_behaves_as_it_is_told(node: NodeProcess, mode: str, outcome: Any) -> None:
    assert mode in MODES
    node.become(mode)
    if isinstance(outcome, int):
        assert ask(node.port, "/")[0] == outcome
        assert ask(node.port, "/health")[0] == 200
    else:
        with pytest.raises(outcome):
            ask(node.port, "/")
    node.become("ok")
    assert ask(node.port, "/") == (200, b"a")
