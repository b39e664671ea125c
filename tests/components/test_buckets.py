"""Who is in which bucket: the right share, always the same, and nobody can choose."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest

from tests.wsgi_shapes import Seen, serve
from wsgistack.balancer.split import find_visitor, parse_rule
from wsgistack.components.buckets import Buckets, for_others
from wsgistack.errors import ConfigurationError, SettingError
from wsgistack.splits import make_key
from wsgistack.stack import wrap

SECRET = "0123456789abcdef"


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgistack.bucket"].encode()]


def make(split: str = "beta 50%", **options: Any) -> Buckets:
    return Buckets(app, split=split, **{"secret": SECRET, **options})


def cookie_of(seen: Seen) -> str:
    values = [value for name, value in seen.headers if name == "Set-Cookie"]
    return values[0].partition(";")[0] if values else ""


def test_a_visitor_stays_where_he_is() -> None:
    buckets = make()
    for _ in range(50):
        first = serve(buckets)
        again = [serve(buckets, {"HTTP_COOKIE": f"a=b; {cookie_of(first)}; c=d"}) for _ in range(3)]
        assert [seen.body for seen in again] == [first.body] * 3
        assert [cookie_of(seen) for seen in again] == [""] * 3


def test_a_response_says_that_it_depends_on_the_cookie() -> None:
    # Else a cache on the way, which knows nothing of buckets, would give the page of one to another.
    buckets = make(by="REMOTE_USER")
    first = serve(buckets)
    for variables in ({}, {"HTTP_COOKIE": cookie_of(first)}, {"REMOTE_USER": "ann"}):
        assert [value for name, value in serve(buckets, variables).headers if name == "Vary"] == ["Cookie"]


def test_another_machine_with_the_same_secret_agrees() -> None:
    first = serve(make())
    assert serve(make(), {"HTTP_COOKIE": cookie_of(first)}).body == first.body


@pytest.mark.parametrize(
    "tampered", ["", "x", "{token}.{mark}0", "{token}0.{mark}", "{token}", ".{mark}", "{token}.é"]
)
def test_a_cookie_that_is_not_ours_is_replaced(tampered: str) -> None:
    token, _, mark = cookie_of(serve(make())).partition("=")[2].partition(".")
    value = tampered.format(token=token, mark=mark)
    assert cookie_of(serve(make(), {"HTTP_COOKIE": f"wsgistack_bucket={value}"})) not in (
        "",
        f"wsgistack_bucket={value}",
    )


def test_another_secret_does_not_know_the_cookie() -> None:
    assert (
        cookie_of(serve(make(secret="another secret of ours"), {"HTTP_COOKIE": cookie_of(serve(make()))}))
        != ""
    )


def test_the_cookie_is_kept_from_scripts_and_from_plain_http() -> None:
    for scheme, secure in (("http", ""), ("https", True)):
        (line,) = (v for n, v in serve(make(), {"wsgi.url_scheme": scheme}).headers if n == "Set-Cookie")
        morsel = SimpleCookie(line)["wsgistack_bucket"]
        assert (morsel["httponly"], morsel["samesite"], morsel["path"], morsel["secure"]) == (
            True,
            "Lax",
            "/",
            secure,
        )
        assert morsel["max-age"] == "1000000"


def test_all_are_in_and_all_are_out() -> None:
    assert {serve(make("beta 100%")).body for _ in range(20)} == {b"beta"}
    assert {serve(make("beta 0%")).body for _ in range(20)} == {b""}


def test_a_known_user_needs_no_cookie() -> None:
    seen = [serve(make(by="REMOTE_USER"), {"REMOTE_USER": "ann"}) for _ in range(5)]
    assert len({one.body for one in seen}) == 1
    assert [cookie_of(one) for one in seen] == [""] * 5
    assert cookie_of(serve(make(by="REMOTE_USER"))) != ""


@pytest.mark.parametrize("name", ["ann", "J\xc3\xb6rg", "\xff", "\u0416", "\udcff"])
def test_a_name_is_drawn_as_the_balancer_draws_it(name: str) -> None:
    split = parse_rule("beta 50% header X-User")
    assert split is not None
    key = make_key(SECRET)
    visitor = find_visitor(split, key, "c", address=None, field=lambda field: name)
    wire = (
        visitor.as_bytes
        if name.isascii() or max(name) < "\u0100"
        else b"by " + name.encode("utf-8", "surrogatepass")
    )
    buckets = make(by="REMOTE_USER")
    assert serve(buckets, {"REMOTE_USER": name}).body.decode() == split.split.bucket(key, wire)


def test_buckets_are_counted() -> None:
    buckets = make("button: green 100%; beta 0%")
    for _ in range(3):
        serve(buckets)
    assert buckets.counts == {("button", "green"): 3, ("beta", ""): 3}


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("", "wsgistack_bucket=green~-"),
        ("a=b; c=d", "a=b; c=d; wsgistack_bucket=green~-"),
        ("a=b; wsgistack_bucket=x.y; c=d", "a=b; c=d; wsgistack_bucket=green~-"),
        ("wsgistack_bucket=red~beta; wsgistack_bucket; wsgistack_bucket=-", "wsgistack_bucket=green~-"),
        ("wsgistack_bucket2=x", "wsgistack_bucket2=x; wsgistack_bucket=green~-"),
    ],
)
def test_the_application_sees_the_buckets_in_the_place_of_the_signed_cookie(sent: str, seen: str) -> None:
    kept: list[str] = []

    def look(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        kept.append(environ["HTTP_COOKIE"])
        return app(environ, start_response)

    buckets = Buckets(look, split="button: green 100%; beta 0%", secret=SECRET)
    serve(buckets, {"HTTP_COOKIE": sent})
    assert kept == [seen]
    assert set(buckets.labels) == {"green~beta", "green~-", "-~beta", "-~-"}


def test_the_page_cache_keeps_a_page_for_each_bucket() -> None:
    made: list[str] = []

    def page(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        made.append(environ["wsgistack.bucket"])
        start_response("200 OK", [("Content-Type", "text/plain"), ("Cache-Control", "max-age=60")])
        return [environ["wsgistack.bucket"].encode() or b"none"]

    stack = wrap(page, buckets={"split": "green 50%", "secret": SECRET}, page_cache=True)
    for _ in range(40):
        first = serve(stack)
        again = serve(stack, {"HTTP_COOKIE": cookie_of(first)})
        assert again.body == first.body
        assert "hit" in dict(again.headers)["Cache-Status"]
        assert cookie_of(again) == ""  # a stored page carries nobody's cookie
    assert sorted(made) == ["", "green"]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (
            {"page_cache": "rfc9111"},
            "wrap: buckets needs the page cache's profile anonymous: rfc9111 has no key cookies",
        ),
        ({"page_cache": True}, None),
    ],
)
def test_buckets_need_a_cache_with_key_cookies(parts: dict[str, Any], told: str | None) -> None:
    config = {"buckets": {"split": "green 50%", "secret": SECRET}, **parts}
    if told is None:
        assert [name for name, _ in wrap(app, config).layers] == ["buckets", "page_cache"]
        return
    with pytest.raises(ConfigurationError) as caught:
        wrap(app, config)
    assert str(caught.value) == told


def test_every_split_is_told() -> None:
    kept: list[dict[str, str]] = []

    def look(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        kept.append(environ["wsgistack.buckets"])
        return app(environ, start_response)

    serve(Buckets(look, split="button: green 100%; beta 0%", secret=SECRET))
    assert kept == [{"button": "green", "beta": ""}]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"secret": "short"}, "secret: 5 characters; it takes 16 that nobody can guess"),
        ({"secret": "s" * 15}, "secret: 15 characters; it takes 16 that nobody can guess"),
        ({"cookie": "a b"}, "cookie: 'a b' is not a name of letters, digits, '_', '.' and '-'"),
        ({"by": "HTTP_X_USER"}, "by: HTTP_X_USER is written by the client"),
    ],
)
def test_settings_that_can_not_be_meant_are_refused(options: dict[str, str], told: str) -> None:
    with pytest.raises(SettingError) as caught:
        make(**options)
    assert str(caught.value) == told


def test_a_page_is_kept_in_at_most_64_forms() -> None:
    names = [f"b{number} 1%" for number in range(64)]
    told = for_others({"split": ", ".join(names[:63])})
    assert len(told["page_cache"]["key_cookies"]["wsgistack_bucket"]) == 64
    with pytest.raises(SettingError, match="split: 65 combinations of buckets; the page cache keeps at most"):
        for_others({"split": ", ".join(names)})
