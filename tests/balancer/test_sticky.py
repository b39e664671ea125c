"""What a sticky cookie says for a node."""

import re

import pytest

from tests.balancer.stage import Stage
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.balancer.sticky import make_tokens
from wsgistack.errors import SettingError

NODES = ["127.0.0.1:8001", "127.0.0.1:8002", "[::1]:80", "unix:/run/app.sock"]


def test_each_node_has_a_token_of_its_own_that_names_no_address() -> None:
    tokens = make_tokens(b"secret", "mypool", NODES)
    assert list(tokens) == NODES
    assert len(set(tokens.values())) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{16}", token) for token in tokens.values())
    assert tokens == make_tokens(b"secret", "mypool", NODES)


def test_another_secret_or_pool_makes_other_tokens() -> None:
    ours = set(make_tokens(b"secret", "mypool", NODES).values())
    assert ours.isdisjoint(make_tokens(b"secre", "mypool", NODES).values())
    assert ours.isdisjoint(make_tokens(b"", "mypool", NODES).values())
    assert ours.isdisjoint(make_tokens(b"x" * 200, "mypool", NODES).values())
    assert ours.isdisjoint(make_tokens(b"secret", "yourpool", NODES).values())


@pytest.mark.parametrize("text", ["", '""', "a b", "a;b", "a=b", "a,b", "ä", "x" * 61])
def test_what_is_no_name_of_a_cookie_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="Expecting the name of a cookie"):
        SERVICE_SETTINGS.parse("sticky_cookie", text)


def test_a_way_to_be_sticky_that_does_not_exist_names_the_nearest() -> None:
    with pytest.raises(SettingError, match=r"Unknown way to be sticky: 'cooky' \(did you mean 'cookie'\?\)"):
        SERVICE_SETTINGS.parse("sticky", "cooky")


def test_the_snapshot_has_tokens_for_services_with_such_cookies_only() -> None:
    stage = Stage()
    for line in (
        "CREATE POOL p",
        "POOL p ADD 127.0.0.1:8001",
        "CREATE SERVICE s",
        "SET role = reverse_proxy",
        "SET pool = p",
    ):
        stage.do(line)
    assert stage.control.snapshot.services["s"].tokens == {}
    stage.do("SET s.sticky = cookie")
    unkeyed = stage.control.snapshot.services["s"].tokens
    assert list(unkeyed) == ["127.0.0.1:8001"]
    stage.do("SET s.sticky_secret = mine")
    assert stage.control.snapshot.services["s"].tokens["127.0.0.1:8001"] != unkeyed["127.0.0.1:8001"]
    stage.do("POOL p ADD 127.0.0.1:8002")
    assert list(stage.control.snapshot.services["s"].tokens) == ["127.0.0.1:8001", "127.0.0.1:8002"]
