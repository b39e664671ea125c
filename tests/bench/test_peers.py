"""bench/peers.py: each proxy gets the same work in its own language."""

from pathlib import Path

import pytest

from bench.peers import LOGGING, PEERS, Setup
from wsgistack.balancer import configuration

NODES = ("127.0.0.1:8001", "127.0.0.1:8002")


@pytest.mark.parametrize("name", PEERS)
def test_a_configuration_names_the_port_and_every_node(name: str, tmp_path: Path) -> None:
    PEERS[name].command(Setup(tmp_path, 8080, NODES))
    text = (tmp_path / f"{name}.conf").read_text()
    assert all(address in text for address in ("127.0.0.1:8080", *NODES))


def test_our_own_configuration_loads() -> None:
    text = PEERS["wsgistack"].configuration(Setup(Path("/tmp"), 8080, NODES, workers=2))
    assert configuration.load(text, "bench") == []


@pytest.mark.parametrize("form", ["combined", "json"])
def test_one_with_an_access_log_is_the_same_otherwise(form: str) -> None:
    setup = Setup(Path("/tmp"), 8080, NODES)
    plain, logging = (
        PEERS["wsgistack"].configuration(setup),
        LOGGING[f"wsgistack-{form}"].configuration(setup),
    )
    assert configuration.load(logging, "bench") == []
    assert logging == f"SERVER access_log = /tmp/access.log\nSERVER access_log_format = {form}\n{plain}"


def test_haproxy_splices_only_where_it_is_asked_to() -> None:
    def text(splice: bool) -> str:
        return PEERS["haproxy"].configuration(Setup(Path("/tmp"), 8080, NODES, splice=splice))

    assert "option splice-response" in text(True)
    assert "splice" not in text(False)


def test_an_absent_proxy_is_not_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bench.peers.SEARCH", str(tmp_path))
    assert [name for name, peer in PEERS.items() if name != "wsgistack" and peer.find()] == []
