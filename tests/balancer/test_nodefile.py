"""Nodefiles: Perlbal's lines, our options, and garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer import dns_package
from wsgistack.balancer.address import parse_member
from wsgistack.balancer.nodefile import parse_nodefile, parse_options
from wsgistack.errors import CommandError


@pytest.mark.parametrize(
    ("line", "node"),
    [
        ("10.0.0.1", "10.0.0.1:80"),
        ("  10.0.0.1:8001\t# a comment\r", "10.0.0.1:8001"),
        ("web1 10.0.0.1:8001 rack 7", "10.0.0.1:8001"),
        ("server=10.0.0.1", "10.0.0.1:80"),
        ("10.0.0.1:8001 weight=3 max=20 backup", "10.0.0.1:8001 weight=3 max=20 backup"),
        ("[::1]:8001 Weight=2", "[::1]:8001 weight=2"),
        ("unix:/run/10.0.0.1/app.sock", "unix:/run/10.0.0.1/app.sock"),
        ("app.example", "app.example:80"),
        ("localhost:8001", "localhost:8001"),
        ("srv:_http._tcp.app.example backup", "srv:_http._tcp.app.example backup"),
    ],
)
def test_a_line_is_a_node(line: str, node: str) -> None:
    entries, problems = parse_nodefile(line)
    assert ([str(entry) for entry in entries], problems) == ([node], [])


@pytest.mark.parametrize("line", ["", "   ", "# 10.0.0.1"])
def test_a_line_may_be_nothing(line: str) -> None:
    assert parse_nodefile(line) == ([], [])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("garbage", "'garbage': in a nodefile a host name has a dot or a port"),
        ("300.0.0.1", "'300.0.0.1': 300 is not between 0 and 255"),
        ("10.0.0.1:80 wieght=2", "wieght=2 (did you mean 'weight'?)"),
        ("10.0.0.1:80 xyz", "xyz (one of weight=, max=, backup)"),
        ("10.0.0.1:80 weight=257", "weight: '257' is not a number from 1 to 256"),
        ("10.0.0.1:80 max=-1", "max: '-1' is not a number from 0 to 1000000"),
        ("10.0.0.1:80 backup=1", "backup=1: backup takes no value"),
        ("10.0.0.1:80 weight", "weight: a number is missing, as in weight=2"),
        ("srv:nope", "'srv:nope': expected srv: and the name of SRV records, as in srv:_http._tcp.app.internal"),
    ],
)  # fmt: skip
def test_garbage_is_told_and_passed_over(line: str, problem: str) -> None:
    entries, problems = parse_nodefile(f"10.0.0.9\n{line}\n10.0.0.8\n")
    assert [str(entry) for entry in entries] == ["10.0.0.9:80", "10.0.0.8:80"]
    assert problems == [(2, line, problem)]


def test_without_dnspython_a_line_of_srv_records_is_told_and_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dns_package, "INSTALLED", False)
    line = "srv:_http._tcp.app.example max=50"
    entries, problems = parse_nodefile(f"app.example\n{line}\n10.0.0.8\n")
    assert [str(entry) for entry in entries] == ["app.example:80", "10.0.0.8:80"]
    told = "srv:_http._tcp.app.example: SRV records need the package dnspython: pip install 'wsgistack[dns]'"
    assert problems == [(2, line, told)]


def test_of_two_lines_with_one_address_the_last_counts() -> None:
    assert [str(entry) for entry in parse_nodefile("10.0.0.1\n10.0.0.1:80 weight=2")[0]] == [
        "10.0.0.1:80 weight=2"
    ]


@given(st.text())
def test_no_text_is_too_much(text: str) -> None:
    entries, problems = parse_nodefile(text)
    assert len(entries) + len(problems) <= text.count("\n") + 1


def test_a_refusal_begins_with_what_the_caller_says() -> None:
    with pytest.raises(CommandError, match=r"^Oh: mux=2") as caught:
        parse_options(parse_member("10.0.0.1"), ["mux=2"], complaint="Oh: ")
    assert (caught.value.met, caught.value.nearest) == ("mux", "max")
