"""The settings of the whole server that have a form of their own."""

import re

import pytest

from wsgistack.balancer import dns_package
from wsgistack.balancer.server_settings import SERVER_SETTINGS
from wsgistack.errors import ConfigurationError


@pytest.mark.parametrize(
    ("key", "text", "value", "shown"),
    [
        ("graphite", "10.0.0.1:2003", "10.0.0.1:2003", "10.0.0.1:2003"),
        ("graphite", "Graphite.example", "graphite.example:2003", "graphite.example:2003"),
        ("graphite", "[::1]:2004", "[::1]:2004", "[::1]:2004"),
        ("graphite", "none", "", "none"),
        ("graphite_prefix", "prod.lb-1.wsgi_stack", "prod.lb-1.wsgi_stack", "prod.lb-1.wsgi_stack"),
        ("graphite_prefix", "none", "", "none"),
        ("drain_delay", "500ms", 0.5, "500ms"),
        ("resolvers", "10.0.0.2 [::1]:5353", ("10.0.0.2:53", "[::1]:5353"), "10.0.0.2:53, [::1]:5353"),
        ("resolvers", "system", (), "system"),
    ],
)
def test_a_value_is_read_and_shown_so_that_it_is_read_again(
    key: str, text: str, value: object, shown: str
) -> None:
    parsed = SERVER_SETTINGS.parse(key, text)
    assert parsed == value
    assert SERVER_SETTINGS.show(key, parsed) == shown
    assert SERVER_SETTINGS.parse(key, shown) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("graphite", "unix:/run/graphite.sock"),
        ("graphite", "10.0.0.1:99999"),
        ("graphite", "a b"),
        ("graphite_prefix", "a b"),
        ("graphite_prefix", ".a"),
        ("graphite_prefix", "a..b"),
        ("graphite_prefix", "a\nb"),
        ("graphite_interval", "0"),
        ("drain_delay", "2h"),
    ],
)
def test_what_does_not_fit_is_refused(key: str, text: str) -> None:
    with pytest.raises(ConfigurationError):
        SERVER_SETTINGS.parse(key, text)


def test_without_dnspython_only_the_system_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_package, "INSTALLED", False)
    assert SERVER_SETTINGS.parse("resolvers", "system") == ()
    told = "resolvers: name servers other than the system's need the package dnspython: pip install 'wsgistack[dns]'"
    with pytest.raises(ConfigurationError, match="^" + re.escape(told) + "$"):
        SERVER_SETTINGS.parse("resolvers", "10.0.0.2")
