"""What was metered, for people and programs."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from wsgistack.ratelimit.__main__ import main
from wsgistack.ratelimit.meter import HOUR_US, Meter
from wsgistack.ratelimit.rows import Usage
from wsgistack.ratelimit.usage import show_key, to_csv, to_json, to_prometheus

ROWS = [
    Usage(498_886, "api", b"*", (0, 9, 0, 0, 0, 0, 0)),
    Usage(498_887, "api", b"*", (0, 9, 0, 0, 0, 0, 0)),
    Usage(498_888, "api", bytes([192, 0, 2, 1]), (0, 5, 0, 2, 0, 1, 0)),
    Usage(498_888, "login", b'=x"\n', (0, 1, 0, 0, 0, 0, 3)),
]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (bytes([192, 0, 2, 1]), "192.0.2.1"),
        (bytes.fromhex("20010db8000100ff"), "2001:db8:1:ff::/64"),
        (b"*", "*"),
        (b"(others)", "(others)"),
        (bytes(range(200, 216)), "c8c9cacbcccdcecfd0d1d2d3d4d5d6d7"),
        (b"\xff", "ff"),
    ],
)
def test_a_key_is_shown_as_people_read_it(key: bytes, text: str) -> None:
    assert show_key(key) == text


def test_json_names_every_count() -> None:
    assert json.loads(to_json(ROWS))["usage"][2] == {
        "hour": "2026-11-30T00:00Z",
        "rule": "api",
        "key": "192.0.2.1",
        "1xx": 0,
        "2xx": 5,
        "3xx": 0,
        "4xx": 2,
        "5xx": 0,
        "refused": 1,
        "would_refuse": 0,
    }


def test_csv_is_read_back_and_holds_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(ROWS))))
    assert [row["2xx"] for row in rows] == ["9", "9", "5", "1"]
    assert rows[3]["key"] == "61.120.34.10"
    formula = Usage(1, "r", b"=1+1+1", (0,) * 7)
    (row,) = csv.DictReader(io.StringIO(to_csv([formula])))
    assert row["key"] == "'=1+1+1"


def test_prometheus_has_one_series_for_each_hour_and_few_keys() -> None:
    text = to_prometheus(ROWS)
    lines = text.splitlines()
    assert 'wsgistack_ratelimit_requests_total{rule="api",hour="2026-11-30T00:00Z",status="4xx"} 2' in lines
    assert 'wsgistack_ratelimit_requests_total{rule="api",hour="2026-11-29T23:00Z",status="2xx"} 9' in lines
    assert 'wsgistack_ratelimit_refused_total{rule="api",hour="2026-11-30T00:00Z"} 1' in lines
    assert 'wsgistack_ratelimit_would_refuse_total{rule="login",hour="2026-11-30T00:00Z"} 3' in lines
    assert 'wsgistack_ratelimit_key_requests{rule="api",key="192.0.2.1"} 7' in lines
    assert "2026-11-29T22" not in text
    sample = re.compile(r'[a-z_]+\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\} [0-9]+')
    assert all(sample.fullmatch(line) for line in lines if not line.startswith("#"))
    many = [Usage(5, "api", b"%d" % i, (0, i, 0, 0, 0, 0, 0)) for i in range(100)]
    assert to_prometheus(many).count("key_requests{") == 20
    assert to_prometheus([]).startswith("# HELP")


def test_the_program_shows_what_a_folder_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import time

    meter = Meter(tmp_path)
    meter.count(int(time.time()) * 1_000_000, [("api", b"*")], 200)
    assert main(["usage", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("Z,api,*,0,1,0,0,0,0,0")
    assert main(["usage", "--format", "json", "--hours", "2", str(tmp_path), str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["usage"][0]["2xx"] == 2, "of two machines, say"
    assert main(["usage", str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err
    assert HOUR_US == 3_600_000_000
