"""The state page: every key that scripts may read."""

import json

from tests.balancer.pictures import TOKEN, make_picture
from wsgistack.balancer.state import describe


def test_the_keys_are_those_that_are_promised() -> None:
    states = [
        {"kind": "node", "service": "mysite", "state": "bored", "count": 2},
        {"kind": "client", "service": "mysite", "state": "wait_res", "count": 1},
        {"kind": "client", "service": "mysite", "state": "wait_res", "count": 3},
    ]
    page = describe(make_picture(), states=states, silent={1})
    assert list(page) == [
        "version", "started_at", "unready", "uptime_s", "snapshot", "server", "processes", "services", "limits", "limit_table", "caches", "pools", "nodes",
        "silent_workers",
    ]  # fmt: skip
    assert (page["version"], page["uptime_s"], page["silent_workers"]) == ("1.0", 10.5, [1])
    assert page["processes"][1] == {
        "number": 0, "pid": 8, "state": "accepting", "starts": 2, "deaths": 1, "acknowledged": 5,
        "user_s": 2.0, "system_s": 1.0, "memory_bytes": 8192, "kind": "worker",
    }  # fmt: skip
    service = page["services"]["mysite"]
    assert list(service) == [
        "role", "enabled", "listen", "pool", "split", "limits", "cache", "settings", "insert", "remove", "counts", "queue", "connections"
    ]  # fmt: skip
    assert (service["role"], service["enabled"], service["pool"]) == ("reverse_proxy", True, "mypool")
    assert service["listen"] == ["127.0.0.1:8080"]
    assert service["split"] == "beta 5% cookie"
    assert service["counts"]["buckets"] == {"-": 0, "beta": 0}
    assert service["settings"]["buffer_size"] == 120 * 1024
    assert (service["insert"], service["remove"]) == ([["X-A", "b"]], ["x-c"])
    assert service["counts"]["responses"] == {"1xx": 0, "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0}
    assert service["queue"]["highpri"] == {"count": 0, "oldest_s": 0.0}
    assert "queue" not in service["counts"]
    assert service["connections"] == {"client": {"wait_res": 4}, "node": {"bored": 2}}
    pool = page["pools"]["mypool"]
    assert list(pool) == ["settings", "services", "admits_percent", "nodes"]
    assert pool["services"] == ["mysite"]
    assert {key: pool["nodes"][0][key] for key in ("address", "weight", "up", "health")} == {
        "address": "127.0.0.1:8001", "weight": 1, "up": True, "health": "unchecked"
    }  # fmt: skip
    assert page["nodes"]["127.0.0.1:8001"]["responsecodes"] == {"200": 8, "404": 1}


def test_it_is_json_and_gives_no_token_away() -> None:
    page = describe(make_picture(), states=[], silent=())
    text = json.dumps(page)
    assert page["services"]["admin"]["settings"]["admin_token"] is True
    assert page["services"]["admin"]["settings"]["readonly_token"] is False
    assert TOKEN not in text
    assert "sha256:" not in text
