"""Snapshots on the wire."""

import json

from tests.balancer.stage import Stage


def test_the_manuals_site_is_this_on_the_wire() -> None:
    stage = Stage()
    stage.make_site()
    wire = json.loads(json.dumps(stage.control.snapshot.as_wire()))
    assert wire["version"] == 1
    assert wire["server"]["max_connections"] == 20000
    settings = wire["pools"]["mypool"].pop("settings")
    assert settings["health_interval"] == 1.0
    assert wire["pools"]["mypool"] == {
        "slot": 0,
        "algorithm": "two_choices",
        "admits": 100,
        "nodes": [
            {
                "address": "127.0.0.1:8001",
                "slot": 0,
                "weight": 1,
                "up": True,
                "connect": "127.0.0.1:8001",
                "backup": False,
                "max_connections": 0,
                "draining": False,
                "warm_from": None,
            },
            {
                "address": "127.0.0.1:8002",
                "slot": 1,
                "weight": 1,
                "up": True,
                "connect": "127.0.0.1:8002",
                "backup": False,
                "max_connections": 0,
                "draining": False,
                "warm_from": None,
            },
        ],
    }
    service = wire["services"]["mysite"]
    settings = service.pop("settings")
    assert service == {
        "slot": 0,
        "role": "reverse_proxy",
        "enabled": True,
        "pool": "mypool",
        "listen": ["127.0.0.1:8080"],
        "insert": [],
        "remove": [],
        "tokens": {},
        "limits": [],
        "throttle": None,
        "cache": None,
        "split": None,
    }
    assert (settings["verify_backend"], settings["buffer_size"]) == (True, 122880)
    assert settings["trusted_upstream_proxies"] == []


def test_networks_are_a_list_on_the_wire() -> None:
    stage = Stage()
    stage.make_site()
    stage.do("set mysite.trusted_upstream_proxies = 10.0.0.0/8 2001:db8::1")
    settings = stage.control.snapshot.as_wire()["services"]["mysite"]["settings"]
    assert settings["trusted_upstream_proxies"] == ["10.0.0.0/8", "2001:db8::1/128"]
