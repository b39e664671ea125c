"""bench/proxy.py: its options, and what it says about who is absent."""

import pytest

from bench import proxy
from bench.peers import PEERS, Peer


def test_an_unknown_figure_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        proxy.main(["--figures", "smal"])
    assert "'smal': choose from small, 10k, c1000" in capsys.readouterr().err


def test_who_is_absent_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ghost = Peer("ghost", lambda: None, "-v", lambda setup: "", lambda path: [], "never here")
    monkeypatch.setitem(PEERS, "ghost", ghost)
    assert proxy.main(["--only", "ghost"]) == 2
    assert capsys.readouterr().err == (
        "ghost is not here; the figures are made without it\nnone of the proxies is here\n"
    )


def test_figures_keep_their_order_whatever_the_order_of_asking() -> None:
    assert proxy._names(["small", "10k", "big"])("big, small") == ["small", "big"]
