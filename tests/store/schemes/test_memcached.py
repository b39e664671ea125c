"""memcached:// reads its servers and options, and says what is wrong with them."""

import pytest

from wsgistack.errors import ConfigurationError
from wsgistack.store.memcached.store import MemcachedStore
from wsgistack.store.url import make_store


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("memcached://10.0.0.1", ["10.0.0.1:11211"]),
        ("memcached://10.0.0.1,10.0.0.2:11212", ["10.0.0.1:11211", "10.0.0.2:11212"]),
        ("memcached://[::1]:11211", ["[::1]:11211"]),
        ("memcached:///run/memcached.sock", ["/run/memcached.sock"]),
        ("memcached://10.0.0.1?ring=nginx&on_down=miss&prefix=site:&timeout=50ms", ["10.0.0.1:11211"]),
    ],
)
def test_a_url_names_servers(url: str, names: list[str]) -> None:
    store = make_store(url)
    assert isinstance(store, MemcachedStore)
    assert [node.name for node in store._cluster.nodes()] == names
    assert store.shared and not store.pins


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("memcached://", "has no servers"),
        ("memcached://10.0.0.1:x", "'x' is not a port"),
        ("memcached://10.0.0.1?ring=ketamma", "did you mean 'ketama'"),
        ("memcached://10.0.0.1?on_down=gutted", "did you mean 'gutter'"),
        ("memcached://10.0.0.1?timeout=0", "timeout"),
        ("memcached://10.0.0.1?timeuot=1", "did you mean 'timeout'"),
    ],
)
def test_what_is_wrong_is_named(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_store(url)
    assert words in str(caught.value)
