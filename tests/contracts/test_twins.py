"""A stack of compiled parts and one of their plain twins: whatever an application does, nobody sees a difference."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from greenlet import GreenletExit
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.twins import DOES, SETTINGS, Environ, Plan, Text, World, load_plain
from tests.wsgi_shapes import Broken, FileWrapper
from wsgistack import stack

BODIES = [
    *("list", "tuple", "generator", "without close", "with close", "write", "write and more", "file"),
    *("a list of one's own", "None", "number", "text"),
]
HEADS = ["first", "late", "never", "twice", "with exc_info", "again after a block", "in close"]
STATUSES = [
    "200 OK",
    "200 OK",
    "304 Not Modified",
    "204 No",
    "404 No",
    "206 Part",
    "",
    Text("200 OK"),
    None,
    200,
]
FIELDS = [
    ("Content-Type", "text/html"),
    ("Content-Length", "5"),
    ("content-length", "five"),
    ("Cache-Control", "max-age=60"),
    ("Cache-Control", "no-store"),
    ("ETag", '"a"'),
    ("Vary", "Accept-Encoding"),
    ("Set-Cookie", "a=b"),
    ("X-Request-Id", "own"),
    (Text("X-Own"), Text("\udcff")),
    ("X" * 70, "\u20ac\0"),
]
ODD_FIELDS = [("X-None", None), (None, "a"), (b"X-Bytes", b"a"), ("one",), ("a", "b", "c"), "ab", 7]
BLOCKS = [b"", b"hello", b"x" * 3000, bytearray(b"array"), memoryview(b"view"), "text", None, 7]
ERRORS = [Broken, KeyboardInterrupt, GreenletExit, GeneratorExit, StopIteration, MemoryError, SystemExit]
VALUES: dict[str, list[Any]] = {
    "REQUEST_METHOD": ["GET", "HEAD", "POST", Text("GET"), "get", "\udcff", None, 7],
    "REMOTE_ADDR": [
        "192.0.2.1",
        "10.0.0.1",
        "",
        Text("192.0.2.1"),
        "2001:db8::1",
        "\0",
        "\udcff",
        None,
        b"a",
        7,
    ],
    "PATH_INFO": ["/", "/metrics", "/usage", "", "/\xff\0", "/\udcff", Text("/"), "/" + "a" * 3000, None, 7],
    "QUERY_STRING": ["", "a=b", "\xff", "\udcff", None],
    "RAW_URI": ["/a?b", "\udcff", "/" + "a" * 3000, None, 7],
    "HTTP_COOKIE": [
        *("a=b", "sessionid=1", "_ga=1; sessionid=1", "a=" + "b" * 70_000, "=;=", "\0\udcff", "\u20ac=1"),
        *("wsgistack_bucket=00.00", "wsgistack_bucket", Text("sessionid=1"), None, b"a", 7),
    ],
    "HTTP_X_FORWARDED_FOR": ["198.51.100.7", "unknown, \udcff", "", None, 7],
    "HTTP_X_REQUEST_ID": ["mine", "\n", Text("mine"), None, 7],
    "HTTP_ACCEPT_ENCODING": ["gzip", "br", "gzip;q=0", "\udcff", Text("gzip"), None, 7],
    "HTTP_IF_NONE_MATCH": ['"a"', "*", '"b"', "\udcff", None],
    "HTTP_IF_MODIFIED_SINCE": ["Thu, 01 Jan 2026 00:00:00 GMT", "never", None],
    "HTTP_USER_AGENT": ["a", '"\\\x7f', "\u20ac\udcff\0", "a" * 3000, Text("a"), None, 7],
    "HTTP_REFERER": ["a", "\n", "a" * 3000, None],
    "HTTP_AUTHORIZATION": ["Basic a", None],
    "REMOTE_USER": ["ann", "\udcff", Text("ann"), b"a", 7, None],
    "HTTP_TRACEPARENT": ["00-a", None],
    "SERVER_PROTOCOL": ["HTTP/1.1", None, 7],
    "wsgi.url_scheme": ["http", "https", None, 7],
    "HTTP_HOST": ["example.com", "\udcff", None],
}
USUAL = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/",
    "QUERY_STRING": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "192.0.2.1",
    "wsgi.url_scheme": "http",
    "wsgi.file_wrapper": FileWrapper,
}


@st.composite
def environs(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = dict(USUAL)
    for name in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=4)):
        made[name] = draw(st.sampled_from(VALUES[name]))
    for name in draw(st.sets(st.sampled_from(sorted(USUAL)), max_size=draw(st.integers(0, 1)))):
        made.pop(name, None)
    return made


fields = st.lists(st.sampled_from(FIELDS), max_size=4)
plans = st.builds(
    Plan,
    head=st.sampled_from(["first", "first", *HEADS]),
    status=st.sampled_from(STATUSES),
    headers=st.one_of(
        fields.map(tuple),
        fields.map(tuple),
        st.lists(st.sampled_from(FIELDS + ODD_FIELDS), max_size=3).map(tuple),
        st.sampled_from([None, 7, "ab", {"X": "1"}]),
    ),
    body=st.sampled_from(BODIES),
    blocks=st.lists(st.sampled_from([*BLOCKS[:3], *BLOCKS[:3], *BLOCKS]), max_size=3).map(tuple),
    does=st.sampled_from(["nothing", "nothing", *DOES]),
    breaks=st.sampled_from([None, None, None, "call", "head", 0, 1, "close"]),
    error=st.sampled_from(ERRORS),
    server_fails=st.sampled_from([False, False, False, True]),
    leaves_after=st.sampled_from([None, None, 0, 1]),
)
kinds: list[type[Any]] = [dict, dict, Environ]
asked = st.lists(st.tuples(plans, environs(), st.sampled_from(kinds)), min_size=3, max_size=9)


@pytest.fixture(scope="module")
def plain() -> ModuleType:
    return load_plain()


def test_one_stack_is_compiled_and_the_other_is_plain(plain: ModuleType) -> None:
    found = [
        module.wrap(print, buckets=SETTINGS["buckets"]).layer("buckets")._steps for module in (stack, plain)
    ]
    assert [type(steps).__module__ for steps in found] == ["wsgistack.passage_cy", "wsgistack.passage"]


@given(asked=asked)
@settings(max_examples=examples(8))
def test_whatever_happens_both_show_the_same(
    plain: ModuleType, tmp_path_factory: pytest.TempPathFactory, asked: list[Any]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    worlds = [World(module, folder / f"{name}.log") for name, module in (("c", stack), ("p", plain))]
    for plan, environ, kind in asked:
        compiled, other = (world.ask(plan, environ, kind) for world in worlds)
        assert compiled == other
    counted, otherwise = (world.counts() for world in worlds)
    assert counted == otherwise
