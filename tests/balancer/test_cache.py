"""A page cache as a value: what workers and the keeper are told of it."""

from wsgistack.balancer.cache import Cache
from wsgistack.cache.texts import TEXTS

ASKS = ["if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range", "cache-control", "range", "pragma"]  # fmt: skip


def make_cache(**texts: str) -> Cache:
    """Return a cache with some settings."""
    settings = TEXTS.defaults() | {name: TEXTS.parse(name, text) for name, text in texts.items()}
    return Cache("pages", settings)


def test_workers_are_told_which_fields_make_a_request_somebodys_own() -> None:
    wire = make_cache().as_wire()
    assert set(ASKS) < set(wire["asks"])
    assert [name for name in wire["asks"] if name not in ASKS] == ["x-requested-with"]
    assert {"authorization", "client-cert", "remote-user", "x-api-key"} < set(wire["personal"])
    assert wire["settings"]["ignored_cookies"][:2] == ["_ga*", "_gid"]


def test_by_the_rfc_nothing_is_personal_and_the_keeper_decides_of_cookies() -> None:
    wire = make_cache(profile="rfc9111").as_wire()
    assert wire["personal"] == []
    assert wire["asks"][-2:] == ["authorization", "cookie"]
