"""A node for the live tests: `python backend.py PORT NAME`, a threaded HTTP/1.1 server.

GET /              the name, or what /behave said
GET /behave/CODE/SECONDS   answer `GET /` with that status after that time from now on
GET /count         how many times `GET /` was asked for
GET /pid           the process
GET /headers       the request head as it arrived, one field a line
GET /slow/SECONDS  the name, after that time
GET /bytes/N       N bytes
GET /status/CODE   that status
GET /most          how many requests of /slow were worked on at once, at most; counts anew from here
POST /echo         the request body
OPTIONS *          200, as verify_backend asks
"""

import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Accepts a burst of connections, and starts again on a port that was in use a moment ago."""

    request_queue_size = 1024
    daemon_threads = True
    allow_reuse_address = True


class Busy:
    """Counts who is inside at once."""

    lock = threading.Lock()
    now = 0
    most = 0

    def __enter__(self) -> None:
        """Count one more."""
        with Busy.lock:
            Busy.now += 1
            Busy.most = max(Busy.most, Busy.now)

    def __exit__(self, *error: object) -> None:
        """Count one less."""
        with Busy.lock:
            Busy.now -= 1

    @staticmethod
    def take_most() -> int:
        """Return the most there were, and begin anew."""
        with Busy.lock:
            most, Busy.most = Busy.most, Busy.now
            return most


class Handler(BaseHTTPRequestHandler):
    """Answers as the module's docstring says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one segment
    name = b""
    status = 200
    delay_s = 0.0
    count = 0

    def do_GET(self) -> None:
        """Answer by the first word of the path."""
        _, what, *rest = self.path.partition("?")[0].split("/")
        if what == "pid":
            self.answer(b"%d\n" % os.getpid())
        elif what == "headers":
            self.answer(str(self.headers).encode())
        elif what == "slow":
            with Busy():
                time.sleep(float(rest[0]))
            self.answer(self.name)
        elif what == "most":
            self.answer(b"%d\n" % Busy.take_most())
        elif what == "bytes":
            self.answer(b"x" * int(rest[0]))
        elif what == "status":
            self.answer(self.name, int(rest[0]))
        elif what == "behave":
            Handler.status, Handler.delay_s = int(rest[0]), float(rest[1])
            self.answer(self.name)
        elif what == "count":
            self.answer(b"%d" % Handler.count)
        else:
            Handler.count += 1
            time.sleep(self.delay_s)
            self.answer(self.name, self.status)

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self.do_GET()

    def do_OPTIONS(self) -> None:
        """Pass a check of verify_backend."""
        self.answer(b"")

    def do_POST(self) -> None:
        """Send the body back."""
        self.answer(self.read_body())

    do_PUT = do_POST

    def read_body(self) -> bytes:
        """Return the request's body, whatever its framing."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def answer(self, body: bytes, status: int = 200) -> None:
        """Send one response with a length."""
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    Handler.name = sys.argv[2].encode() + b"\n"
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
