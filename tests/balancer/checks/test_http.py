"""An http check: what is asked, and every kind of answer."""

import pytest

from wsgistack.balancer.checks import Talk
from wsgistack.balancer.checks.http import prepare
from wsgistack.balancer.model import HealthCheck
from wsgistack.balancer.pool_settings import POOL_SETTINGS


def plan(connect: str = "127.0.0.1:8001", **chosen: object) -> Talk:
    settings = POOL_SETTINGS.defaults()
    for name, value in chosen.items():
        settings[name] = POOL_SETTINGS.parse(name, str(value))
    return prepare(HealthCheck("http", "mypool", connect, settings))


FIELDS = b"User-Agent: wsgistack\r\nAccept: */*\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("chosen", "connect", "lines"),
    [
        ({}, "127.0.0.1:8001", b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8001\r\n"),
        (
            {"health_method": "OPTIONS", "health_path": "/Health?x", "health_host": "shop.example"},
            "[::1]:8001",
            b"OPTIONS /Health?x HTTP/1.1\r\nHost: shop.example\r\n",
        ),
        (
            {"health_method": "HEAD"},
            "unix:/run/app.sock",
            b"HEAD / HTTP/1.1\r\nHost: localhost\r\n",
        ),
    ],
    ids=["by default", "as it is set", "a Unix socket"],
)
def test_what_is_asked(chosen: dict[str, object], connect: str, lines: bytes) -> None:
    assert plan(connect, **chosen).send == lines + FIELDS


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 200\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", ""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 Oh\r\n\r\n", "status 500"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "status 404"),
        (b"", "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nX: y\r\n", "no HTTP response"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "no HTTP response"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP response"),
        (b"HTTP/2 200\r\n\r\n", "no HTTP response"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "no HTTP response"),
        (b"HTTP/1.1  200 OK\r\n\r\n", "no HTTP response"),
        (b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n", "a faulty field in the head"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "a faulty Content-Length"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "a faulty Content-Length",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "an unknown transfer coding"),
        (b"\0" * 3, "no HTTP response"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 20000, "a head of more than 16384 bytes"),
        (b"HTTP/1.1 200 " + b"b" * 20000, "a head of more than 16384 bytes"),
    ],
)
def test_a_head_is_judged(answer: bytes, said: str) -> None:
    hear = plan().hear
    verdict = hear(answer, False)
    assert (hear(answer, True) if verdict is None else verdict) == said


@pytest.mark.parametrize("begun", [b"", b"H", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nA: b\r\n"])
def test_a_head_that_is_not_all_there_is_waited_for(begun: bytes) -> None:
    assert plan().hear(begun, False) is None


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (b"Content-Length: 9\r\n\r\nall is ok", ""),
        (b"Content-Length: 7\r\n\r\nall is ok", "body does not contain 'is ok'"),
        (b"Content-Length: 90\r\n\r\nall is ok", None),
        (b"\r\nall is ok", None),
        (b"Transfer-Encoding: chunked\r\n\r\n6\r\nall is\r\n3\r\n ok\r\n0\r\n\r\n", ""),
        (b"Transfer-Encoding: Chunked\r\n\r\n9;x=y\r\nall is ok\r\n0\r\n\r\n", ""),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", "body does not contain 'is ok'"),
        (b"Transfer-Encoding: chunked\r\n\r\n9\r\nall is", None),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "a faulty chunk"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nnoXX", "a faulty chunk"),
        (b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 1024, "a faulty chunk"),
        (b"\r\n" + b"x" * 100, "body does not contain 'is ok'"),
        (b"Content-Length: 999999999999999\r\n\r\n" + b"x" * 100, "body does not contain 'is ok'"),
    ],
)
def test_a_body_is_judged(rest: bytes, said: str | None) -> None:
    hear = plan(health_expect="is\\sok", health_expect_bytes="100b").hear
    expected = None if said is None else said.replace("'is ok'", "'is\\sok'")
    assert hear(HEAD + rest, False) == expected


def test_a_body_that_ends_with_the_connection_is_judged_then() -> None:
    hear = plan(health_expect="~^all.*ok$").hear
    assert hear(HEAD + b"\r\nall is ok", False) is None
    assert hear(HEAD + b"\r\nall is ok", True) == ""
    assert hear(HEAD + b"\r\nall is bad", True) == "body does not match '^all.*ok$'"


def test_a_status_without_a_body_is_not_waited_for() -> None:
    hear = plan(health_expect="x", health_status="204").hear
    assert hear(b"HTTP/1.1 204 No Content\r\n\r\n", False) == "body does not contain 'x'"


def test_only_the_listed_statuses_pass() -> None:
    hear = plan(health_status="200,401").hear
    answers = {status: hear(b"HTTP/1.1 %d x\r\n\r\n" % status, False) for status in (200, 204, 401)}
    assert answers == {200: "", 204: "status 204", 401: ""}
