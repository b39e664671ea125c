"""Sets of networks, and files of them that change."""

from __future__ import annotations

import logging
import os
from ipaddress import ip_address
from pathlib import Path

import pytest

from wsgistack.errors import SettingError
from wsgistack.ratelimit.networks import NetworkFile, parse_networks


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def write(path: Path, text: str) -> None:
    """Write as an editor does: another file takes the name."""
    draft = path.with_suffix(".new")
    draft.write_text(text)
    os.replace(draft, path)


@pytest.mark.parametrize(
    ("address", "is_in"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8:1::9", True),
        ("2001:db9::", False),
        ("0.0.0.10", False),
    ],
)
def test_an_address_is_in_the_networks_that_hold_it(address: str, is_in: bool) -> None:
    networks = parse_networks(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"], setting="exempt")
    assert [ip_address(address) in networks for _ in range(2)] == [is_in] * 2
    assert None not in networks


def test_everybody_and_nobody() -> None:
    assert ip_address("203.0.113.9") in parse_networks(["0.0.0.0/0"], setting="exempt")
    assert ip_address("::1") not in parse_networks(["0.0.0.0/0"], setting="exempt")
    nobody = parse_networks([], setting="exempt")
    assert not nobody and ip_address("::1") not in nobody


def test_ipv4_within_ipv6_is_ipv4() -> None:
    networks = parse_networks(["::ffff:10.0.0.0/104"], setting="exempt")
    assert ip_address("10.1.2.3") in networks and ip_address("11.1.2.3") not in networks


def test_what_is_no_network_is_told() -> None:
    with pytest.raises(SettingError, match=r"exempt: '10\.0\.0\.0/33' is not a network such as"):
        parse_networks(["10.0.0.0/33"], setting="exempt")


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    path, clock = tmp_path / "deny", Clock()
    path.write_text("# our list\n10.0.0.0/8   # the office\n\n  2001:db8::/32\r\n")
    networks = NetworkFile(path, setting="deny_file", monotonic=clock)
    first, second = ip_address("10.1.1.1"), ip_address("192.0.2.1")
    assert (first in networks, second in networks, ip_address("2001:db8::1") in networks) == (
        True,
        False,
        True,
    )
    write(path, "192.0.2.0/24\n")
    clock.now += 0.9
    assert first in networks, "it is looked at once a second"
    clock.now += 0.2
    assert (first in networks, second in networks) == (False, True)
    write(path, "")
    clock.now += 1
    assert second not in networks and networks


def test_a_bad_line_keeps_the_old_list_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = tmp_path / "deny", Clock()
    path.write_text("10.0.0.0/8\n")
    networks = NetworkFile(path, setting="deny_file", monotonic=clock)
    write(path, "192.0.2.0/24\n\n10.0.0.0/99\n")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            clock.now += 1
            assert ip_address("10.1.1.1") in networks
            assert ip_address("192.0.2.1") not in networks
    assert len(caplog.records) == 1
    expected = f"deny_file: {path}:3: '10.0.0.0/99' is not a network such as 10.0.0.0/8 or 2001:db8::/32"
    assert networks.trouble == expected
    assert expected in caplog.text
    write(path, "192.0.2.0/24\n")
    clock.now += 1
    assert (ip_address("192.0.2.1") in networks, networks.trouble) == (True, "")


def test_a_file_that_is_gone_keeps_its_list(tmp_path: Path) -> None:
    path, clock = tmp_path / "deny", Clock()
    path.write_text("10.0.0.0/8\n")
    networks = NetworkFile(path, setting="deny_file", monotonic=clock)
    path.unlink()
    clock.now += 1
    assert ip_address("10.1.1.1") in networks
    assert networks.trouble == f"deny_file: {path}: No such file or directory"


@pytest.mark.parametrize("text", ["10.0.0.0/8\nnonsense\n", "\x00", "10.0.0.1-10.0.0.9"])
def test_a_file_that_is_bad_at_first_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "deny"
    path.write_text(text)
    with pytest.raises(SettingError, match=f"deny_file: {path}:[12]: "):
        NetworkFile(path, setting="deny_file")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(SettingError, match=f"deny_file: {path}: "):
            NetworkFile(path, setting="deny_file")
