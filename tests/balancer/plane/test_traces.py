"""W3C Trace Context on the way to a node: we make no span, so it goes on as it came."""

import pytest

from wsgistack.balancer.plane.wire import rewrite_request

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
TRACE = b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([TRACE, b"tracestate: rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"], id="valid"),
        pytest.param([TRACE, b"TraceState: a=1", b"tracestate: b=2"], id="a state in two lines"),
        pytest.param([b"Traceparent: cc" + TRACE[15:] + b"-later"], id="of a later version"),
        pytest.param([b"tracestate: a=1"], id="a state alone"),
        pytest.param([b"traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01"], id="zeros"),
        pytest.param([b"traceparent: rubbish", b"traceparent: again"], id="rubbish, twice"),
        pytest.param([], id="absent"),
    ],
)
def test_a_trace_goes_on_as_it_came(fields: list[bytes]) -> None:
    lines = b"".join(line + b"\r\n" for line in fields)
    rewritten = rewrite_request(HEAD + lines + b"\r\n")
    assert rewritten.startswith(HEAD + lines + b"X-Forwarded-For: 192.0.2.1\r\n")
    assert rewritten.lower().count(b"\r\ntrace") == len(fields)
