"""A store's URL: what is accepted, and what is said about everything else."""

import pytest

import wsgistack
from wsgistack.errors import ConfigurationError, SettingError, UnknownName
from wsgistack.store.memory import MemoryStore
from wsgistack.store.schemes import SCHEMES
from wsgistack.store.url import check_store, make_store


def test_a_url_makes_a_store() -> None:
    store = wsgistack.make_store("memory://?max_bytes=2m")
    assert isinstance(store, MemoryStore)
    assert store.stats()["max_bytes"] == 2 * 1024 * 1024


def test_options_have_defaults() -> None:
    assert make_store("memory://").stats()["max_bytes"] == 64 * 1024 * 1024


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("memory", ConfigurationError, "store 'memory' is not a URL such as"),
        ("", ConfigurationError, "store '' is not a URL such as"),
        (None, ConfigurationError, "store None is not a URL such as"),
        ("memori://", UnknownName, "did you mean 'memory'"),
        ("redis://host", UnknownName, "store 'redis' is not one of"),
        ("memory://place", ConfigurationError, "memory:// has no place: 'place'"),
        ("memory://?max_byte=1m", UnknownName, "did you mean 'max_bytes'"),
        ("memory://?size=1m", UnknownName, "memory:// has no option 'size'; it has max_bytes"),
        ("memory://?max_bytes", SettingError, "'max_bytes' is not an option of the form name=value"),
        ("memory://?max_bytes=1m&max_bytes=2m", SettingError, "'max_bytes' stands there twice"),
        (
            "memory://?max_bytes=nan",
            SettingError,
            "memory://: Expecting size unit value for parameter 'max_bytes'",
        ),
        ("memory://?max_bytes=-1", SettingError, "Expecting size unit value"),
        ("memory://?max_bytes=inf", SettingError, "Expecting size unit value"),
        ("memory://?max_bytes=", SettingError, "Expecting size unit value"),
        ("memory://?max_bytes=10", SettingError, "max_bytes: 10 is below 64k"),
    ],
)
def test_a_url_that_cannot_be_meant_says_what_is_wrong(url: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as met:
        make_store(url)
    assert words in str(met.value)
    assert "\n" not in str(met.value)


@pytest.mark.parametrize("name", SCHEMES.names())
def test_a_scheme_says_what_it_is(name: str) -> None:
    scheme = SCHEMES.get(name)
    assert scheme.help
    assert scheme.example.startswith(f"{name}://")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("memory://place", "memory:// has no place"),
        ("shm://host/name", "shm:// has no host"),
        ("shm:///a%20b", "name: 'a%20b' is not 1 to 64 letters"),
        ("shm:///a/b", "name: 'a/b' is not 1 to 64 letters"),
        ("memcached://", "memcached:// has no servers"),
        ("memcached://,", "servers: there is not even one"),
        ("memcached://10.0.0.1:x", "'x' is not a port"),
        ("memcached://10.0.0.1,10.0.0.1", "10.0.0.1:11211 stands there twice"),
        ("memcached://10.0.0.1?prefix=a b", "prefix"),
        ("tiered://", "tiered:// has no servers"),
        ("tiered://10.0.0.1:x", "'x' is not a port"),
    ],
)
def test_a_url_is_checked_without_making_a_store(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as met:
        check_store(url)
    assert words in str(met.value)
    with pytest.raises(ConfigurationError) as at_start:
        make_store(url)
    assert str(at_start.value) == str(met.value)


@pytest.mark.parametrize("name", SCHEMES.names())
def test_a_url_that_is_in_order_is_not_refused(name: str) -> None:
    check_store(SCHEMES.get(name).example)
