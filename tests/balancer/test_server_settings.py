"""The settings of the whole server that have a form of their own."""

import pytest

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
