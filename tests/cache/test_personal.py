"""Who is anonymous: what tells visitors apart is personal, keyed, or withheld."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.cache.personal import Anonymous, Personal, Visitors, parse_cookies
from wsgistack.errors import ConfigurationError
from wsgistack.wsgi import EnvironRequest

NOT_KEYED = (("x-forwarded-proto", None), ("x-requested-with", None))
NOBODY = Anonymous(NOT_KEYED, None)
BETA = Visitors(key_cookies={"beta": ["on"], "bucket": ["a", "b"]})


def asked(**environ: Any) -> EnvironRequest:
    return EnvironRequest({"REQUEST_METHOD": "GET", "PATH_INFO": "/"} | environ)


def decide(
    cookie: str | None = None, visitors: Visitors | None = None, **environ: Any
) -> Anonymous | Personal:
    if cookie is not None:
        environ["HTTP_COOKIE"] = cookie
    return (visitors or Visitors()).decide(asked(**environ))


def test_a_request_that_tells_nothing_is_anonymous() -> None:
    assert decide() == NOBODY
    assert decide("") == NOBODY


@pytest.mark.parametrize(
    "cookie",
    [
        "_ga=GA1.2.3.4",
        "_ga_ABC=GS1; _gid=x; _gat_gtag=1; _gcl_au=2",
        "__utma=1; _fbp=fb.1; _fbc=fb.2; _hjid=x; _pk_id.1.a=b; _clck=x; _clsk=y",
        "OptanonConsent=a&b; cookieconsent_status=dismiss; __cf_bm=x",
        "_ga=1; _ga=2",
        '_ga="quoted"; _gid=with spaces and \xe9',
        " _ga=1 ;; _gid=2;",
    ],
)
def test_cookies_of_analytics_are_ignored_and_withheld(cookie: str) -> None:
    assert decide(cookie) == NOBODY


@pytest.mark.parametrize(
    ("cookie", "why"),
    [
        ("sessionid=x", "cookie:sessionid"),
        ("_ga=1; session=x", "cookie:session"),
        ("PHPSESSID=x", "cookie:PHPSESSID"),
        ("JSESSIONID=x", "cookie:JSESSIONID"),
        ("auth_token=x", "cookie:auth_token"),
        ("wordpress_logged_in_abc=x", "cookie:wordpress_logged_in_abc"),
        ("sessionid=", "cookie:sessionid"),
        ("theme=dark", "cookie:theme"),
        ("csrftoken=x", "cookie:csrftoken"),
        ("_gax=1; x_ga=1", "cookie:x_ga"),
        ("_GID=x", "cookie:_GID"),
        ("n" * 100 + "=1", "cookie:" + "n" * 64),
    ],
)
def test_any_other_cookie_is_personal(cookie: str, why: str) -> None:
    assert decide(cookie) == Personal(why)


@pytest.mark.parametrize(
    "cookie",
    [
        "nameless",
        "=value",
        "_ga=1; nameless",
        "a b=1",
        "_ga =1",
        "_ga=1,sessionid=2",
        "_ga=1, sessionid=2",
        "\x00=1",
        "n\xe4me=1",
        '"_ga"=1',
    ],
)
def test_a_cookie_field_that_can_be_read_in_two_ways_is_personal(cookie: str) -> None:
    assert decide(cookie) == Personal("cookie:malformed")


def test_a_quote_hides_no_cookie() -> None:
    assert decide('_ga="x; sessionid=1"') == Personal("cookie:sessionid")


def test_a_key_cookie_with_an_allowed_value_is_keyed_and_shown() -> None:
    dimensions = (*NOT_KEYED, ("cookie:beta", "on"), ("cookie:bucket", None))
    assert decide("_ga=1; beta=on", BETA) == Anonymous(dimensions, "beta=on")


def test_key_cookies_are_shown_in_one_order() -> None:
    both = Anonymous((*NOT_KEYED, ("cookie:beta", "on"), ("cookie:bucket", "b")), "beta=on; bucket=b")
    assert decide("beta=on; bucket=b", BETA) == both
    assert decide("bucket=b;_ga=2;beta=on", BETA) == both


@pytest.mark.parametrize("cookie", ["beta=off", "beta=", 'beta="on"', "beta=on ,x", "beta=ON"])
def test_any_other_value_of_a_key_cookie_is_as_none(cookie: str) -> None:
    assert decide(cookie, BETA) == decide(None, BETA)


def test_a_key_cookie_that_stands_twice_is_personal() -> None:
    assert decide("beta=on; beta=off", BETA) == Personal("cookie:beta")


def test_key_cookies_excuse_no_other_cookie() -> None:
    assert decide("beta=on; sessionid=1", BETA) == Personal("cookie:sessionid")


def test_when_not_strict_only_identity_is_personal_and_others_are_withheld() -> None:
    visitors = Visitors(strict=False)
    assert decide("theme=dark; csrftoken=x", visitors) == NOBODY
    assert decide("theme=dark; sessionid=x", visitors) == Personal("cookie:sessionid")


@pytest.mark.parametrize(
    "name",
    [
        "__Host-sessionid",
        "__Secure-session",
        "__host-session_id",
        "__Secure-authjs.session-token",
        "next-auth.session-token",
        "_mastodon_session",
        "connect.sid",
    ],
)
def test_a_session_under_a_prefix_or_of_another_house_is_personal_also_when_not_strict(name: str) -> None:
    assert decide(f"{name}=x", Visitors(strict=False)) == Personal(f"cookie:{name}")


def test_an_ignored_name_does_not_make_a_session_anonymous() -> None:
    assert decide("sessionid=1", Visitors(ignored_cookies=["*"])) == Personal("cookie:sessionid")


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"HTTP_AUTHORIZATION": "Basic x"}, "field:authorization"),
        ({"HTTP_AUTHORIZATION": ""}, "field:authorization"),
        ({"HTTP_CLIENT_CERT": ":abc:"}, "field:client-cert"),
        ({"HTTP_X_FORWARDED_CLIENT_CERT": "x"}, "field:x-forwarded-client-cert"),
        ({"HTTP_X_REMOTE_USER": "joe"}, "field:x-remote-user"),
        ({"HTTP_TAILSCALE_USER_LOGIN": "joe"}, "field:tailscale-user-login"),
        ({"HTTP_CF_ACCESS_JWT_ASSERTION": "x"}, "field:cf-access-jwt-assertion"),
        ({"HTTP_X_AMZN_OIDC_DATA": "x"}, "field:x-amzn-oidc-data"),
        ({"HTTP_X_FORWARDED_EMAIL": "joe@x"}, "field:x-forwarded-email"),
        ({"HTTP_X_AUTH_TOKEN": "x"}, "field:x-auth-token"),
        ({"HTTPS_DN": "CN=joe"}, "variable:HTTPS_DN"),
        ({"REMOTE_USER": "joe"}, "variable:REMOTE_USER"),
        ({"SSL_CLIENT_CERT": "-----BEGIN"}, "variable:SSL_CLIENT_CERT"),
        ({"SSL_CLIENT_VERIFY": "SUCCESS"}, "variable:SSL_CLIENT_VERIFY"),
        ({"SSL_CLIENT_VERIFY": "FAILED:expired"}, "variable:SSL_CLIENT_VERIFY"),
        ({"CONTENT_LENGTH": "5"}, "body"),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, "body"),
        ({"HTTP_UPGRADE": "websocket"}, "upgrade"),
        ({"HTTP_X_FORWARDED_TLS_CLIENT_CERT": "x"}, "field:x-forwarded-tls-client-cert"),
        ({"HTTP_X_AMZN_MTLS_CLIENTCERT_SUBJECT": "CN=joe"}, "field:x-amzn-mtls-clientcert-subject"),
        ({"HTTP_SSL_CLIENT_SUBJECT_DN": "CN=joe"}, "field:ssl-client-subject-dn"),
        ({"HTTP_X_SSL_CLIENT_S_DN": "CN=joe"}, "field:x-ssl-client-s-dn"),
        ({"HTTP_X_ARR_CLIENTCERT": "x"}, "field:x-arr-clientcert"),
        ({"HTTP_X_POMERIUM_JWT_ASSERTION": "x"}, "field:x-pomerium-jwt-assertion"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_who_shows_a_sign_of_who_he_is_is_personal(environ: dict[str, Any], why: str) -> None:
    assert decide(**environ) == Personal(why)


def test_no_certificate_and_no_body_are_anonymous() -> None:
    assert decide(SSL_CLIENT_VERIFY="NONE", CONTENT_LENGTH="0", REMOTE_USER="") == NOBODY


def test_keyed_fields_tell_pages_apart() -> None:
    assert decide(HTTP_X_FORWARDED_PROTO="https") == Anonymous(
        (("x-forwarded-proto", "https"), ("x-requested-with", None)), None
    )
    assert decide(HTTP_X_FORWARDED_PROTO="gopher") == NOBODY


def test_the_application_sees_of_keyed_fields_what_the_key_carries() -> None:
    visitors = Visitors()
    assert visitors.shown("x-forwarded-proto", "https") == "https"
    assert visitors.shown("x-forwarded-proto", "gopher") is None


@pytest.mark.parametrize(
    "name",
    [
        "forwarded",
        "proxy",
        "proxy-authorization",
        "x-forwarded-host",
        "x-original-url",
        "x-http-method-override",
        "x-forwarded-ssl",
        "front-end-https",
        "x-url-scheme",
        "x-script-name",
    ],
)
def test_fields_that_make_a_request_mean_another_one_are_withheld(name: str) -> None:
    assert Visitors().shown(name, "evil") is None
    assert Visitors().withholds(name)


def test_other_fields_are_shown() -> None:
    assert Visitors().shown("user-agent", "curl") == "curl"


def test_a_withheld_field_that_is_keyed_is_shown() -> None:
    visitors = Visitors(keyed_fields={"X-Forwarded-Host": ["a.example", "b.example"]})
    assert visitors.shown("x-forwarded-host", "a.example") == "a.example"
    assert visitors.shown("x-forwarded-host", "evil.example") is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(False, NOBODY), (None, NOBODY), (True, Personal("callable")), ("vip", Personal("callable:vip"))],
    ids=repr,
)
def test_a_callable_may_know_more(answer: object, expected: Anonymous | Personal) -> None:
    assert decide(visitors=Visitors(is_personal=lambda request: answer)) == expected


def test_a_callable_that_fails_makes_the_request_personal(caplog: pytest.LogCaptureFixture) -> None:
    def fails(request: object) -> bool:
        raise ValueError("no")

    assert decide(visitors=Visitors(is_personal=fails)) == Personal("callable-failed")
    assert "is-personal-failed" in caplog.text


def test_a_callable_is_not_asked_about_who_is_personal_already() -> None:
    seen: list[object] = []
    decide("sessionid=1", Visitors(is_personal=seen.append))
    assert seen == []


def test_an_edge_that_knows_that_a_request_tells_nothing_gets_the_same_answer() -> None:
    assert BETA.decide(asked(), tells_nothing=True) == decide(None, BETA)


@pytest.mark.parametrize("cookie", [None, "beta=on; _ga=1", "beta=off", "sessionid=1"])
@pytest.mark.parametrize("scheme", [None, "https", "gopher"])
def test_an_edge_that_knows_that_a_request_tells_its_kind_alone_gets_the_same_answer(
    cookie: str | None, scheme: str | None
) -> None:
    said = {"HTTP_COOKIE": cookie, "HTTP_X_FORWARDED_PROTO": scheme}
    environ = {name: value for name, value in said.items() if value is not None}
    assert BETA.decide(asked(**environ), tells_kind=True) == BETA.decide(asked(**environ))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key_cookies": {"sessionid": ["1"]}}, "key_cookies: 'sessionid' is one of identity_cookies"),
        ({"key_cookies": {"beta": "on"}}, "key_cookies: the values of 'beta' are one text, expected a list"),
        ({"key_cookies": {"be ta": ["on"]}}, "key_cookies: 'be ta' is not a name"),
        ({"key_cookies": {"beta": ["o;n"]}}, "key_cookies: 'beta' can not have the value 'o;n'"),
        ({"key_cookies": {"beta": [""]}}, "key_cookies: 'beta' can not have the value ''"),
        ({"key_cookies": ["beta"]}, "key_cookies: ['beta'] is not {name: the values that count}"),
        ({"ignored_cookies": "_ga"}, "ignored_cookies: '_ga' is one text, expected a list of names"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value),
)
def test_rules_that_cannot_be_meant_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as met:
        Visitors(**options)
    assert str(met.value) == message


def test_cookies_are_read_in_order() -> None:
    assert parse_cookies("b=1; a=2=3; c=") == [("b", "1"), ("a", "2=3"), ("c", "")]


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_cookie_field_raises_or_shows_more_than_key_cookies(text: str) -> None:
    found = decide(text, BETA)
    assert isinstance(found, Personal) or found.cookie in (
        None,
        "beta=on",
        "bucket=a",
        "bucket=b",
        "beta=on; bucket=a",
        "beta=on; bucket=b",
    )


PIECES = [
    "_ga=1",
    "_gid=a b",
    "_ga",
    "=",
    "sessionid=2",
    "beta=on",
    "beta=no",
    "; ",
    ";",
    ",",
    " ",
    "\t",
    '"',
]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_names_that_were_met_before_change_no_answer(text: str) -> None:
    seasoned = Visitors(key_cookies={"beta": ["on"]})
    for cookie in ("_ga=1; _gid=2", "sessionid=3", "beta=on"):
        seasoned.judge_cookies(cookie)
    assert seasoned.judge_cookies(text) == decide(text, Visitors(key_cookies={"beta": ["on"]}))


@pytest.mark.parametrize("cookie", ["_ga=1;sessionid=2", "_ga=1, sessionid=2", "_ga=1; _gid=2;sessionid=2"])
def test_nothing_hides_behind_a_name_that_was_ignored_before(cookie: str) -> None:
    visitors = Visitors()
    assert visitors.judge_cookies("_ga=1; _gid=2") == visitors.nobody
    assert isinstance(visitors.judge_cookies(cookie), Personal)


@pytest.mark.parametrize(
    "value", ["sid=1", "sid=1;", "sid=1; sid=2", "sid=a,b=c", "sid=a, b=c", "sid", "sid=1;;"]
)
def test_a_cookie_that_is_known_already_is_judged_as_it_was_at_first(value: str) -> None:
    known = Visitors(identity_cookies=["sid"])
    known.judge_cookies("sid=1")
    assert known.judge_cookies(value) == Visitors(identity_cookies=["sid"]).judge_cookies(value)
    assert isinstance(known.judge_cookies(value), Personal)


def test_what_a_cookie_says_comes_first_and_the_first_cookie_that_says_something() -> None:
    visitors = Visitors()
    request = EnvironRequest({"HTTP_AUTHORIZATION": "Basic x", "HTTP_COOKIE": "_ga=1; sessionid=2; nameless"})
    assert visitors.decide(request) == Personal("cookie:sessionid")


def test_who_is_known_is_told_apart_by_all_that_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsgistack.cache.personal.MOST_KNOWN", 2)
    for _ in range(2):
        for cookie, scheme in (
            ("beta=on", "http"),
            ("beta=on", "https"),
            ("beta=off", "http"),
            ("_ga=1", "http"),
        ):
            found = decide(cookie, BETA, HTTP_X_FORWARDED_PROTO=scheme)
            shown = cookie if cookie == "beta=on" else None
            assert isinstance(found, Anonymous)
            assert found.dimensions[0] == ("x-forwarded-proto", scheme)
            assert (dict(found.dimensions)["cookie:beta"], found.cookie) == (shown and "on", shown)
