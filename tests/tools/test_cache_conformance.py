"""The floors of the HTTP caching cases are what the page says."""

import re
from pathlib import Path

import pytest

from tools import cache_conformance
from tools.cache_conformance import EDGES

ROW = re.compile(
    r"^\| `(\w+)`, (in the balancer|WSGI edge) \| (\d+) of (\d+) \| (\d+) of (\d+) \|$", re.MULTILINE
)


def test_the_page_tells_the_floors() -> None:
    told = {
        f"{'WSGI' if edge == 'WSGI edge' else 'balancer'}, {profile}": (int(required), int(optimal))
        for profile, edge, required, _, optimal, _ in ROW.findall(Path("docs/page-cache.md").read_text())
    }
    assert told == {edge.name: (edge.required, edge.optimal) for edge in EDGES}


def test_without_cases_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["cache_conformance", str(tmp_path)])
    assert cache_conformance.main() == 1
    assert "run_cache_cases.py is not there; name the directory of the cases" in capsys.readouterr().err


def test_an_edge_below_its_floor_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "run_cache_cases.py").write_text(
        "import sys\nprint('required 1/103; optimal 1/71')\nsys.exit('--wsgi' in sys.argv)\n"
    )
    monkeypatch.setattr("sys.argv", ["cache_conformance", str(tmp_path)])
    assert cache_conformance.main() == 1
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == "conformance-cache: below its floor: WSGI, rfc9111; WSGI, anonymous"
    assert "balancer, rfc9111: required 1/103; optimal 1/71" in told
