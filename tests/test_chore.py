"""What components do for every request, plain and compiled: the same."""

from __future__ import annotations

import os
from io import BytesIO
from types import ModuleType
from typing import Any

import pytest

from tests.wsgi_shapes import Application, FileWrapper, Shape
from wsgistack import chore, chore_cy, passage, passage_cy
from wsgistack.cache.voice import Voice

TWINS = [chore, chore_cy]
BOTH = pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])


def passage_of(twin: ModuleType, environ: dict[str, Any] | None = None) -> Any:
    """Return a request on its way, as the chores of *twin* get it."""
    module = passage if twin is chore else passage_cy
    return module.Passage(environ or {}, lambda *head: len, (), lambda: 0)


def said(twin: ModuleType, headers: list[tuple[str, str]], environ: dict[str, Any], **chores: Any) -> Any:
    """Return a passage whose application said 200 and *headers*; *chores*: settle, shape."""
    found = passage_of(twin, environ)
    found.settle, found.shape = chores.get("settle"), chores.get("shape")
    found.start_response("200 OK", headers)
    return found


@BOTH
@pytest.mark.parametrize(
    "given, accepts, name, left",
    [
        (None, True, "made 2", ["made 1"]),
        ("plain", True, "plain", ["made 1", "made 2"]),
        ("odd", True, "made 2", ["made 1"]),
        ("plain", False, "made 2", ["made 1"]),
    ],
)
def test_a_request_keeps_its_name_or_gets_one(
    twin: ModuleType, given: str | None, accepts: bool, name: str, left: list[str]
) -> None:
    made = ["made 1", "made 2"]
    names = twin.Names(accepts, True, is_plain="plain".__eq__, made=made, make=lambda: "made now")
    environ = {} if given is None else {"HTTP_X_REQUEST_ID": given}
    frame = passage_of(twin, environ)
    names.enter(environ, frame)
    assert environ == {"HTTP_X_REQUEST_ID": name, "wsgistack.request_id": name}
    assert (frame.request_id, made) == (name, left)


@BOTH
def test_more_names_are_made_where_none_is_left_and_told_only_where_that_is_asked_for(
    twin: ModuleType,
) -> None:
    names = twin.Names(True, False, is_plain=len, made=[], make=lambda: "made now")
    environ: dict[str, Any] = {}
    frame = passage_of(twin, environ)
    names.enter(environ, frame)
    assert (environ["wsgistack.request_id"], frame.request_id) == ("made now", "")


@BOTH
def test_a_step_that_derives_from_one_is_called_by_its_own_methods(twin: ModuleType) -> None:
    class Own(twin.Names):  # type: ignore[misc, name-defined]
        at_end = None

        def enter(self, environ: dict[str, Any], passage: Any, /) -> None:
            super().enter(environ, passage)
            environ["own"] = environ["wsgistack.request_id"]

    seen: dict[str, Any] = {}
    app = Application(Shape())
    names = Own(False, False, is_plain=len, made=["made"], make=str)
    module = passage if twin is chore else passage_cy
    module.Steps((names,)).run(app, seen, lambda *head: len)
    assert seen["own"] == "made"


def tags(twin: ModuleType, *, is_known: bool = False, most: int = 5) -> Any:
    return twin.Tags(
        most,
        is_known=lambda passage: is_known,
        voice=Voice,
        of_content=("content-type",),
    )


@BOTH
@pytest.mark.parametrize("method, is_asked", [("GET", True), ("HEAD", True), ("POST", False)])
def test_the_whole_response_is_asked_for_where_conditions_may_be_about_it(
    twin: ModuleType, method: str, is_asked: bool
) -> None:
    made, found = tags(twin), passage_of(twin)
    made.enter({"REQUEST_METHOD": method}, found)
    assert (found.settle == made.settle, found.settle is None) == (is_asked, not is_asked)


HELLO = '"b967890568b329e0e5f975c42d1181c4"'  # of its BLAKE2b


@BOTH
@pytest.mark.parametrize(
    ("headers", "method", "kind", "blocks", "tag"),
    [
        ([], "GET", list, (b"hello",), HELLO),
        ([], "GET", tuple, (b"hel", b"", b"lo"), HELLO),
        ([("Content-Length", "5")], "GET", iter, (b"hel", b"lo"), HELLO),
        ([], "GET", iter, (b"hello",), None),
        ([("Content-Length", "6")], "GET", iter, (b"hello!",), None),
        ([("Content-Length", "five")], "GET", iter, (b"hello",), None),
        ([], "GET", list, (b"hello", b"!"), None),
        ([], "HEAD", list, (b"hello",), None),
        ([("Cache-Control", "No-Store")], "GET", list, (b"hello",), None),
        ([("Content-Range", "bytes 0-4/9")], "GET", list, (b"hello",), None),
        ([("ETag", '"own"')], "GET", list, (b"hello",), '"own"'),
    ],
    ids=[
        *("list", "tuple", "told", "not told", "told long", "told ill", "long", "head", "no-store", "range"),
        "own",
    ],
)
def test_a_tag_is_made_of_a_short_whole_body(
    twin: ModuleType, headers: list[tuple[str, str]], method: str, kind: Any, blocks: Any, tag: str | None
) -> None:
    chores, voice = tags(twin), Voice()
    environ = {"REQUEST_METHOD": method, "wsgistack.cache": voice}
    found = said(twin, headers, environ, settle=chores.settle)
    rest = chores.settle(found, kind(blocks))
    assert dict(found.headers).get("ETag") == tag
    assert voice.has_made_tag == (tag == HELLO)
    assert b"".join(rest) == b"".join(blocks)


@BOTH
@pytest.mark.parametrize(
    ("blocks", "tag"),
    [
        ((), '"3ccef6c701261dd4dfc9466cdc0b7b99"'),
        ((memoryview(b"hello"),), HELLO),
        ((b"x" * 8192,), '"a289096712b70ccf299c0ede6d6afc9d"'),
        ((b"x", b"x" * 8192), '"9648939de3891cd7c33ed5d2a3d025b0"'),  # the beginning of its SHA-1
    ],
    ids=["empty", "no bytes", "a page", "longer"],
)
def test_a_body_of_any_length_has_a_tag(twin: ModuleType, blocks: Any, tag: str) -> None:
    chores = tags(twin, most=10_000)
    found = said(twin, [], {"REQUEST_METHOD": "GET"}, settle=chores.settle)
    chores.settle(found, blocks)
    assert found.headers == [("ETag", tag)]


@BOTH
@pytest.mark.parametrize(
    ("wrapper", "is_made"),
    [(FileWrapper, False), (iter, True), (None, True)],
    ids=["file", "function", "none"],
)
def test_a_file_is_left_to_a_server_that_has_a_wrapper_for_it(
    twin: ModuleType, wrapper: Any, is_made: bool
) -> None:
    chores = tags(twin)
    environ = {"REQUEST_METHOD": "GET", "wsgi.file_wrapper": wrapper}
    found = said(twin, [("Content-Length", "5")], environ, settle=chores.settle)
    rest = chores.settle(found, FileWrapper(BytesIO(b"hello")))
    assert (len(found.headers) == 2, type(rest) is list) == (is_made, is_made)


@BOTH
def test_no_tag_is_made_where_another_status_was_said(twin: ModuleType) -> None:
    chores = tags(twin, is_known=True)
    found = said(twin, [], {"REQUEST_METHOD": "GET", "HTTP_IF_NONE_MATCH": "*"}, settle=chores.settle)
    found.head = "404 Not Found"
    body = [b"hello"]
    assert chores.settle(found, body) is body
    assert found.headers == []


@BOTH
def test_an_application_may_empty_its_environ(twin: ModuleType) -> None:
    chores = tags(twin)
    found = said(twin, [("Content-Type", "a/b")], {}, settle=chores.settle)
    assert chores.settle(found, [b"hello"]) == [b"hello"]
    assert found.headers == [("Content-Type", "a/b")]


@BOTH
def test_who_has_it_is_told_so(twin: ModuleType) -> None:
    chores = tags(twin, is_known=True)
    environ = {"REQUEST_METHOD": "GET", "HTTP_IF_NONE_MATCH": "*"}
    found = said(twin, [("Content-Type", "a/b"), ("X-Own", "1")], environ, settle=chores.settle)
    assert chores.settle(found, [b"hello"]) == []
    assert (found.head, found.headers) == ("304 Not Modified", [("X-Own", "1"), ("ETag", HELLO)])


def shares(twin: ModuleType, by: str = "") -> Any:
    return twin.Shares(
        lambda cookies: (cookies.partition("v=")[2], "a=1; "),
        lambda visitor: ((("beta", visitor[:1]), ("color", "red")), f"b={visitor[:1]}~red"),
        by,
        lambda environ, passage: "new",
    )


@BOTH
@pytest.mark.parametrize(
    ("environ", "bucket"),
    [
        ({"HTTP_COOKIE": "v=ann"}, "a"),
        ({}, "n"),
        ({"HTTP_COOKIE": None}, "n"),
        ({"HTTP_COOKIE": "v=ann", "REMOTE_USER": "carl"}, "b"),
        ({"HTTP_COOKIE": "v=ann", "REMOTE_USER": ""}, "a"),
        ({"HTTP_COOKIE": "v=ann", "REMOTE_USER": ["carl"]}, "b"),
    ],
    ids=["cookie", "nobody", "no text", "by a variable", "by an empty one", "by what is no text"],
)
def test_the_application_is_told_the_buckets(twin: ModuleType, environ: dict[str, Any], bucket: str) -> None:
    found = shares(twin, "REMOTE_USER")
    for _ in range(2):
        asked = dict(environ)
        found.enter(asked, passage_of(twin))
        assert asked["wsgistack.buckets"] == {"beta": bucket, "color": "red"}
        asked["wsgistack.buckets"].clear()  # which is the application's own to change
    assert (asked["wsgistack.bucket"], asked["HTTP_COOKIE"]) == (bucket, f"a=1; b={bucket}~red")
    assert found.counts == {("beta", bucket): 2, ("color", "red"): 2}


@BOTH
def test_other_caches_are_told_that_the_page_depends_on_the_cookie(twin: ModuleType) -> None:
    passage = passage_of(twin)
    shares(twin).enter({"HTTP_COOKIE": "v=ann"}, passage)
    passage.start_response("200 OK", [("Content-Type", "a/b")])
    assert passage.headers == [("Content-Type", "a/b"), ("Vary", "Cookie")]


@BOTH
def test_the_buckets_of_cookies_are_looked_for_once_but_not_kept_of_long_ones(
    twin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chore, "REMEMBERED", 2)
    read: list[str] = []

    def read_cookies(cookies: str) -> tuple[str, str]:
        read.append(cookies[-3:])
        return cookies[2:4], ""

    found = twin.Shares(
        read_cookies,
        lambda visitor: ((("beta", ""),), "b=-"),
        "",
        pytest.fail,
    )
    for cookies in ("v=ann", "v=bob", "v=ann", "v=ann" + "x" * 1024, "v=ann" + "x" * 1024):
        found.enter({"HTTP_COOKIE": cookies}, passage_of(twin))
    assert read == ["ann", "bob", "xxx", "xxx"]
    for name in ("carl", "dora", "eve", "ann"):
        found.enter({"HTTP_COOKIE": f"v={name}"}, passage_of(twin))
    assert read[4:] == ["arl", "ora", "eve", "ann"]
    assert found.counts == {("beta", ""): 9}


@BOTH
def test_a_fork_counts_its_own_visitors(twin: ModuleType) -> None:
    found = shares(twin)
    found.enter({}, passage_of(twin))
    pid = os.fork()
    if pid == 0:
        before = len(found.counts)
        found.enter({}, passage_of(twin))
        os._exit(10 * before + found.counts["beta", "n"])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert len(found.counts) == 2
