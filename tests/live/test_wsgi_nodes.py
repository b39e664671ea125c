"""Real WSGI servers as nodes: gunicorn with each kind of worker, and waitress."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.live.link import Link
from tests.live.processes import ROOT, Backend, Balancer, choose_port, eventually, site
from tests.live.stage import make_request

APPLICATION = "tests.live.application:application"
GUNICORN = ["gunicorn", "--bind={address}", "--log-level=warning", "--no-control-socket"]
SERVERS = {
    "gunicorn sync": [*GUNICORN, "--worker-class=sync"],
    "gunicorn threads": [*GUNICORN, "--worker-class=gthread", "--threads=4"],
    "waitress": ["waitress", "--listen={address}", "--threads=4", "--no-clear-untrusted-proxy-headers"],
}
CHUNKED = b"Transfer-Encoding: chunked"
POST = b"POST /echo HTTP/1.1"


class Site:
    """A WSGI server and the balancer in front of it."""

    def __init__(self, words: list[str], folder: Path) -> None:
        port = choose_port()
        self.node = Backend(port=port)
        command = [word.format(address=self.node.address) for word in words]
        self.server = subprocess.Popen(
            [sys.executable, "-m", *command, APPLICATION], cwd=ROOT, stdin=subprocess.DEVNULL
        )
        try:
            eventually(self._accepts, what=f"{words[0]} does not accept")
            self.balancer = Balancer(folder, site([self.node], workers=1))
            self.balancer.start()
        except BaseException:
            self.server.terminate()
            raise

    def _accepts(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.node.port), timeout=1):
            return True
        return False

    def end(self) -> None:
        """End both; the server is asked first, as its process manager would."""
        assert self.balancer.stop() == 0
        self.server.terminate()
        self.server.wait(20)


@pytest.fixture(scope="module", params=list(SERVERS))
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(SERVERS[request.param], tmp_path_factory.mktemp("wsgi"))
    yield made
    made.end()


def test_an_application_is_told_who_asks(stage: Site) -> None:
    fields = [
        b"X-Forwarded-For: 6.6.6.6",
        b"X_Real_IP: 6.6.6.6",
        b"X-Real-IP: 6.6.6.6",
        b"Proxy: evil",
        b"Cookie: a=b",
    ]
    with Link.to(
        stage.balancer.site,
        make_request(*fields, line=b"GET /environ?a=%2f HTTP/1.1", host=b"www.example"),
    ) as link:
        status, _, body = link.response()
    lines = body.decode().splitlines()
    assert status == 200
    for line in (
        "HTTP_COOKIE=a=b", "HTTP_HOST=www.example", "HTTP_X_FORWARDED_FOR=127.0.0.1", "HTTP_X_FORWARDED_PROTO=http",
        "PATH_INFO=/environ", "QUERY_STRING=a=%2f", "REQUEST_METHOD=GET",
    ):  # fmt: skip
        assert line in lines
    assert "6.6.6.6" not in body.decode()
    assert not any(line.startswith("HTTP_PROXY=") for line in lines)


@pytest.mark.parametrize("size", [0, 5, 70_000, 1_000_000])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_a_body_goes_there_and_back(stage: Site, size: int, chunked: bool) -> None:
    body = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
    if chunked:
        pieces = [body[i : i + 30_000] for i in range(0, size, 30_000)]
        sent = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        data = make_request(CHUNKED, line=POST, body=sent)
    else:
        data = make_request(b"Content-Length: %d" % size, line=POST, body=body)
    with Link.to(stage.balancer.site, data) as link:
        assert link.response()[::2] == (200, body)


def test_many_requests_on_one_connection_are_answered_in_order(stage: Site) -> None:
    with Link.to(stage.balancer.site) as link:
        for number in range(20):
            body = b"%d" % number
            link.send(make_request(b"Content-Length: %d" % len(body), line=POST, body=body) * 2)
            assert link.response()[2] == body
            assert link.response()[2] == body


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_streamed_response_is_whole(stage: Site, version: bytes) -> None:
    data = make_request(b"Connection: close", line=b"GET /stream HTTP/" + version)
    with Link.to(stage.balancer.site, data) as link:
        head, _, body = link.rest().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert (b"chunked" in head) == (version == b"1.1")
    if version == b"1.1":
        assert body.endswith(b"0\r\n\r\n")
        body = unchunk(body)
    assert body == b"".join(b"%d\n" % i for i in range(1000))


def unchunk(body: bytes) -> bytes:
    out = b""
    while True:
        line, _, body = body.partition(b"\r\n")
        size = int(line, 16)
        if size == 0:
            return out
        out += body[:size]
        body = body[size + 2 :]


def test_responses_without_a_body_keep_the_connection(stage: Site) -> None:
    with Link.to(stage.balancer.site) as link:
        for line, status in ((b"HEAD /environ HTTP/1.1", b"200"), (b"GET /empty HTTP/1.1", b"204")):
            link.send(make_request(line=line))
            assert link.until(b"\r\n\r\n").split(b" ")[1] == status
        link.send(make_request(b"Content-Length: 2", b"Expect: 100-continue", line=POST))
        assert link.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        link.send(b"ok")
        assert link.response()[::2] == (200, b"ok")


def test_a_request_of_1_0_without_host_is_served(stage: Site) -> None:
    with Link.to(stage.balancer.site, b"GET /environ HTTP/1.0\r\n\r\n") as link:
        head, _, body = link.rest().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert f"HTTP_HOST={stage.balancer.site}\n".encode() in body
