"""A page cache's settings as text: what is read, shown and refused."""

import pytest

from wsgistack import PageCache
from wsgistack.cache.rules import Rule
from wsgistack.cache.texts import TEXTS, arguments, check_together
from wsgistack.errors import ConfigurationError, SettingError


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("rules", "/api/* bypass;/news/*  ttl=1m grace=300", "/api/* bypass; /news/* ttl=60 grace=300"),
        ("rules", "/* ttl=60 tags=a,b host=*.example.com", "/* ttl=60 host=*.example.com tags=a,b"),
        ("rules", "none", "none"),
        ("key_cookies", "beta=on|off lang=en", "beta=on|off, lang=en"),
        ("key_cookies", '""', "none"),
        ("hosts", "*.example.com, a.b", "*.example.com, a.b"),
        ("purge_from", "10.0.0.1/8", "10.0.0.0/8"),
        ("profile", "RFC9111", "rfc9111"),
        ("max_bytes", "10m", "10m"),
        ("codings", "BR gzip", "br, gzip"),
        ("codings", "none", "none"),
        ("codings", '""', "none"),
    ],
)
def test_a_value_is_read_and_shown_so_that_it_is_read_again(name: str, text: str, shown: str) -> None:
    value = TEXTS.parse(name, text)
    assert TEXTS.show(name, value) == shown
    assert TEXTS.parse(name, shown) == value


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("rules", "/a tll=5", "rules: 'tll=5' is not one of bypass, cache, ttl, grace, tags, host (did you mean 'ttl'?)"),
        ("rules", "/a ttl=soon", "rules: ttl: 'soon' is no time such as 60, 5m or 1h"),
        ("rules", "a ttl=5", "rules: 'a': path: 'a' does not begin with '/' or '*'"),
        ("rules", "/a bypas", "(did you mean 'bypass'?)"),
        ("rules", ";".join(["/a ttl=1"] * 65), "rules: 65 rules; at most 64 fit"),
        ("key_cookies", "beta", "key_cookies: 'beta' is not like beta=on|off"),
        ("key_cookies", "b=1, b=2", "key_cookies: 'b' is listed twice"),
        ("key_cookies", "b a=1", "key_cookies: 'b' is not like beta=on|off"),
        ("key_cookies", "b=a\\c", "key_cookies: 'b' can not have the value"),
        ("codings", "gzip, brr", "codings: 'brr' is not one of br, deflate, gzip, zstd (did you mean 'br'?)"),
        ("codings", "gzip gzip", "codings: 'gzip' is listed twice"),
        ("profile", "anonymos", "profile: 'anonymos' is no profile (did you mean 'anonymous'?)"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_what_was_expected(name: str, text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        TEXTS.parse(name, text)
    assert complaint in str(error.value)


def test_the_defaults_are_those_of_the_middleware() -> None:
    made = arguments(TEXTS.defaults())
    default = PageCache.__init__.__kwdefaults__
    assert default is not None
    assert {name: value for name, value in made.items() if name != "key_cookies"} == {
        name: [] if name == "rules" else default[name] for name in made if name != "key_cookies"
    }
    assert (made["key_cookies"], default["key_cookies"]) == ({}, None)


def test_texts_become_what_the_middleware_takes() -> None:
    made = arguments(
        TEXTS.defaults()
        | {
            "rules": TEXTS.parse("rules", "/api/* bypass; /news/* ttl=1m grace=2m tags=a,b host=x.y"),
            "key_cookies": TEXTS.parse("key_cookies", "beta=on|off"),
        }
    )
    assert made["rules"] == [
        Rule("/api/*", "bypass"),
        Rule("/news/*", ttl=60.0, grace=120.0, tags=("a", "b"), host=("x.y",)),
    ]
    assert made["key_cookies"] == {"beta": ["on", "off"]}
    PageCache(lambda environ, start_response: [], **made)


def test_settings_that_contradict_each_other_are_refused() -> None:
    settings = TEXTS.defaults() | {"key_cookies": ("sessionid=1",)}
    with pytest.raises(SettingError, match="key_cookies: 'sessionid' is one of identity_cookies"):
        check_together(settings)
