"""Rules 1-27 of tests/live/rules.py by raw bytes: what of a request goes on, and how."""

from collections.abc import Iterator

import pytest

from tests.live.link import Link, ScriptNode, keep_requests, read_request
from tests.live.processes import eventually
from tests.live.stage import Stage, make_request

SETTINGS = "SET buffer_backend_connect = 0\nSET client_body_timeout = 5s\nSET trusted_upstream_proxies = 192.0.2.0/24"
CHUNKED = b"Transfer-Encoding: chunked"
CLOSE = b"Connection: close"
POST = b"POST / HTTP/1.1"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("rules"), SETTINGS)
    yield made
    made.end()


@pytest.fixture
def stage(whole: Stage) -> Stage:
    whole.serve(keep_requests)
    return whole


def post(body: bytes, *fields: bytes) -> bytes:
    return make_request(CHUNKED, CLOSE, *fields, line=POST, body=body)


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        pytest.param([b"Content-Length: \xef\xbc\x95"], b"hello", id="1 a wide digit"),
        pytest.param([b"Content-Length: \xa05"], b"hello", id="1 a no-break space"),
        pytest.param([b"Content-Length: 5\x85"], b"hello", id="1 a next-line"),
        pytest.param([b"Content-Length: 5_0"], b"hello", id="1 an underscore"),
        pytest.param([b"Transfer-Encoding: \x85chunked"], b"0\r\n\r\n", id="1 a next-line and chunked"),
        pytest.param([CHUNKED], b"5;a=\x01\r\nhello\r\n0\r\n\r\n", id="9 a control"),
        pytest.param([CHUNKED], b"5;\r\nhello\r\n0\r\n\r\n", id="9 no name"),
        pytest.param([CHUNKED], b'5;a="b\r\nhello\r\n0\r\n\r\n', id="9 an open quote"),
        pytest.param([CHUNKED], b"5;a=\nb\r\nhello\r\n0\r\n\r\n", id="9 a line feed"),
        pytest.param([CHUNKED], b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n", id="9 a long one"),
        pytest.param([CHUNKED], b"1;" + b"a" * 2000 + b"\r\nx\r\n", id="9 many"),
        pytest.param([CHUNKED], b"0\r\nA : b\r\n\r\n", id="10 a bad name"),
        pytest.param([CHUNKED], b"0\r\nA: b\n\r\n", id="10 a bare line feed"),
    ],
)  # fmt: skip
def test_a_body_in_doubt_is_refused_and_nothing_after_it_is_read(
    stage: Stage, fields: list[bytes], body: bytes
) -> None:
    body *= 10 if body.startswith(b"1;") else 1
    answer = stage.say(make_request(*fields, line=POST, body=body) + make_request(line=b"GET /next HTTP/1.1"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert not any(request.whole or b"/next" in request.head for request in stage.node.received)


@pytest.mark.rule(9, 11)
def test_chunks_are_written_anew_without_extensions(stage: Stage) -> None:
    answer = stage.say(post(b'0005;a=b;c="d;\\"e" ; f\r\nhello\r\n1\t;g\r\n!\r\n00;last=1\r\n\r\n'))
    assert answer.endswith(b"\r\n\r\nok")
    (request,) = stage.node.received
    data = b"".join(request.body.split(b"\r\n")[1::2])
    assert data == b"hello!"
    assert request.body.endswith(b"\r\n0\r\n\r\n")
    assert b";" not in request.body


@pytest.mark.rule(10)
def test_trailers_stay_trailers_and_forbidden_ones_are_dropped(stage: Stage) -> None:
    trailers = (
        b"X-Sum: 1\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\nHost: evil\r\nAuthorization: x\r\n"
        b"Cookie: a=b\r\nX_Under: 1\r\nX-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Last: 2\r\n"
    )
    stage.say(post(b"1\r\nx\r\n0\r\n" + trailers + b"\r\n", b"Trailer: X-Sum"))
    (request,) = stage.node.received
    assert request.body == b"1\r\nx\r\n0\r\nX-Sum: 1\r\nX-Last: 2\r\n\r\n"
    assert b"Trailer: X-Sum" in request.lines
    assert not any(
        line.lower().startswith((b"x-sum:", b"authorization:", b"cookie:")) for line in request.lines
    )


@pytest.mark.rule(10, 22)
def test_endless_trailers_are_refused(stage: Stage) -> None:
    answer = stage.say(post(b"1\r\nx\r\n0\r\n" + b"X: y\r\n" * 3000))
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert not any(request.whole for request in stage.node.received)


@pytest.mark.rule(11)
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"QUERY"])
def test_every_method_keeps_the_framing_of_its_body(stage: Stage, method: bytes) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    fields = b"Content-Length: %d" % len(smuggled)
    stage.say(make_request(fields, line=method + b" / HTTP/1.1", body=smuggled) + make_request(CLOSE))
    assert [(r.lines[0], r.body) for r in stage.node.received] == [
        (method + b" / HTTP/1.1", smuggled),
        (b"GET / HTTP/1.1", b""),
    ]


@pytest.mark.rule(12)
@pytest.mark.parametrize("how", ["finish", "reset", "bad chunk"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_half_an_upload_never_looks_whole(stage: Stage, framing: str, how: str) -> None:
    chunked = framing == "chunks" or how == "bad chunk"
    field = CHUNKED if chunked else b"Content-Length: 100"
    before = stage.node.begun
    with stage.open(make_request(field, line=POST, body=b"5\r\nhello\r\n" if chunked else b"hello")) as link:
        eventually(lambda: stage.node.begun > before, what="the upload did not begin")
        if how == "reset":
            link.reset()
        elif how == "finish":
            link.finish()
        else:
            link.send(b"zz\r\n")
        eventually(lambda: len(stage.node.received) == 1, what="the node is not told")
    assert not stage.node.received[0].whole
    assert stage.node.received[0].body in (b"", b"5\r\nhello\r\n", b"hello")


@pytest.mark.rule(13)
def test_after_a_framing_fault_nothing_more_is_parsed(stage: Stage) -> None:
    good = make_request(line=b"GET /first HTTP/1.1")
    bad = make_request(b"Content-Length: 5", b"Content-Length: 6", line=POST)
    answer = stage.say(good + bad + make_request(line=b"GET /third HTTP/1.1") * 3)
    assert [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]] == [200, 400]
    assert [r.lines[0] for r in stage.node.received] == [b"GET /first HTTP/1.1"]


@pytest.mark.rule(14)
def test_a_clients_faults_do_not_count_against_a_node(stage: Stage) -> None:
    for _ in range(20):
        assert stage.say(post(b"1\r\nx\r\nzz\r\n")).startswith(b"HTTP/1.1 400 ")
    assert stage.say(make_request(CLOSE)).startswith(b"HTTP/1.1 200 ")
    assert "node_failed" not in stage.balancer.log
    assert not any(" failures " in line for line in stage.balancer.admin("nodes"))


@pytest.mark.rule(18, 17)
@pytest.mark.parametrize(
    ("target", "line", "host"),
    [
        (b"http://www.example/a?b", b"GET /a?b HTTP/1.1", b"www.example"),
        (b"HTTP://www.example:81", b"GET / HTTP/1.1", b"www.example:81"),
        (b"https://[2001:db8::1]?q", b"GET /?q HTTP/1.1", b"[2001:db8::1]"),
    ],
)
def test_an_absolute_target_goes_on_as_origin_form(
    stage: Stage, target: bytes, line: bytes, host: bytes
) -> None:
    stage.say(make_request(CLOSE, line=b"GET " + target + b" HTTP/1.1", host=b"other"))
    (request,) = stage.node.received
    assert request.lines[:2] == [line, b"Host: " + host]
    assert b"X-Forwarded-Host: " + host in request.lines
    assert b"other" not in request.head


@pytest.mark.rule(18, 17)
def test_an_absolute_target_needs_a_host_field_all_the_same(stage: Stage) -> None:
    answer = stage.say(make_request(line=b"GET http://a/ HTTP/1.1", host=b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert stage.node.received == []


@pytest.mark.rule(17, 20)
def test_a_1_0_request_without_host_reaches_a_strict_node_with_one(stage: Stage) -> None:
    assert stage.say(b"GET / HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\nok")
    (request,) = stage.node.received
    assert request.lines[:2] == [b"GET / HTTP/1.1", b"Host: " + stage.balancer.site.encode()]
    assert b"Via: 1.0 wsgistack" in request.lines


@pytest.mark.rule(19)
@pytest.mark.parametrize("target", [b"//a/../b/./c;d=%2e%2E/%0d%0a", b"/a?b=/../?c&%00", b'/{"a"}|<b>\\^`'])
def test_a_target_is_never_rewritten(stage: Stage, target: bytes) -> None:
    stage.say(make_request(CLOSE, line=b"GET " + target + b" HTTP/1.1"))
    assert stage.node.received[0].lines[0] == b"GET " + target + b" HTTP/1.1"


@pytest.mark.rule(21)
@pytest.mark.parametrize("method", [b"get", b"Post", b"M-SEARCH", b"X!#$%&'*+.^_`|~1"])
def test_a_method_keeps_its_case(stage: Stage, method: bytes) -> None:
    stage.say(make_request(CLOSE, line=method + b" / HTTP/1.1"))
    assert stage.node.received[0].lines[0] == method + b" / HTTP/1.1"


@pytest.mark.rule(22)
def test_a_line_of_8000_bytes_and_an_empty_line_before_it_are_fine(stage: Stage) -> None:
    target = b"/" + b"a" * 8000
    stage.say(b"\r\n" + make_request(CLOSE, line=b"GET " + target + b" HTTP/1.1"))
    assert stage.node.received[0].lines[0] == b"GET " + target + b" HTTP/1.1"


@pytest.mark.rule(23)
def test_fields_keep_order_case_and_value(stage: Stage) -> None:
    fields = [b"B: 1", b"a: \xe9\xff", b"B: 2", b"C:", b"cookie: x=y", b"Accept: a , b", b"B: 3"]
    stage.say(make_request(*fields, CLOSE))
    assert stage.node.received[0].lines[2:9] == fields


@pytest.mark.rule(24, 25)
def test_what_connection_names_goes_no_further_but_not_what_matters(stage: Stage) -> None:
    named = b"Connection: close, Host, Content-Length, X-Forwarded-For, Via, X-Hop, x-HOP2"
    stage.say(
        make_request(
            named, b"X-Hop: 1", b"Content-Length: 2", b"X-Hop2: 2", b"X-Stays: 3", line=POST, body=b"hi"
        )
    )
    (request,) = stage.node.received
    assert request.lines == [
        b"POST / HTTP/1.1", b"Host: a", b"X-Stays: 3", b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: a", b"Forwarded: for=127.0.0.1;host=a;proto=http", b"Via: 1.1 wsgistack",
        b"Content-Length: 2",
    ]  # fmt: skip
    assert request.body == b"hi"


@pytest.mark.rule(24, 25)
def test_what_a_nodes_connection_names_goes_no_further(stage: Stage) -> None:
    def serve(link: Link, node: ScriptNode) -> None:
        node.received.append(read_request(link))
        link.send(
            b"HTTP/1.1 200 OK\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n"
            b"Upgrade: h2c\r\nX-Stays: 1\r\nContent-Length: 2\r\n\r\nok"
        )

    stage.serve(serve)
    with stage.open(make_request()) as link:
        assert link.response()[1] == b"HTTP/1.1 200 OK\r\nX-Stays: 1\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.rule(26, 27)
@pytest.mark.parametrize(
    ("settings", "forwarded"),
    [
        pytest.param(
            "trusted_upstream_proxies = 10.0.0.0/8, 2001:db8::/32",
            [b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: http", b"X-Forwarded-Host: a",
             b"Forwarded: for=127.0.0.1;host=a;proto=http"],
            id="a stranger",
        ),
        pytest.param(
            "trusted_upstream_proxies = 10.0.0.0/8, 127.0.0.0/31",
            [b"X-Forwarded-Proto: https", b"X-Real-IP: 6.6.6.6", b"X-Forwarded-For: 6.6.6.6, 7.7.7.7, 127.0.0.1",
             b"X-Forwarded-Host: a"],
            id="trusted by its network",
        ),
        pytest.param(
            "trusted_upstream_proxies = 127.0.0.1\nSET blind_proxy = on",
            [b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-Proto: https", b"X-Real-IP: 6.6.6.6",
             b"x-forwarded-for: 7.7.7.7"],
            id="trusted and blind",
        ),
        pytest.param(
            "trusted_upstream_proxies = 127.0.0.2\nSET blind_proxy = on",
            [b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: http", b"X-Forwarded-Host: a",
             b"Forwarded: for=127.0.0.1;host=a;proto=http"],
            id="blind for others only",
        ),
    ],
)  # fmt: skip
def test_forwarded_fields_are_those_of_trusted_peers(
    tmp_path_factory: pytest.TempPathFactory, settings: str, forwarded: list[bytes]
) -> None:
    stage = Stage(tmp_path_factory.mktemp("trust"), f"SET {settings}")
    fields = [
        b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-Proto: https", b"X-Real-IP: 6.6.6.6", b"x-forwarded-for: 7.7.7.7",
        b"X_Forwarded_For: 8.8.8.8", b"Proxy: http://evil",
    ]  # fmt: skip
    stage.say(make_request(*fields, CLOSE))
    (request,) = stage.node.received
    assert request.lines == [b"GET / HTTP/1.1", b"Host: a", *forwarded, b"Via: 1.1 wsgistack"]
    stage.end()
