"""A wrapped Django and a wrapped Flask site under every server that is supported, run for real."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from tests.conftest import PATIENT_URL
from tests.live.processes import eventually
from tests.servers.serving import GUNICORN, SERVERS, Answer, Served, Server, find_servers
from tools.real_memcached import Memcached

pytestmark = [pytest.mark.live, pytest.mark.slow]

LIMIT = 10
ASKED = 30
METHODS = {"django": "PUT", "flask": "PATCH"}  # each one's own, to be counted apart
_clients = (f"10.1.{number // 250}.{number % 250 + 1}" for number in count())


@pytest.fixture(scope="module", params=find_servers())
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    made = Served(SERVERS[request.param])
    yield made
    made.end()


@pytest.fixture(params=list(METHODS))
def site(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", ["page", "stream", "file", "client"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_is_the_bare_applications(served: Served, site: str, name: str, method: str) -> None:
    bare, wrapped = (served.ask(f"{mount}/{site}/{name}", method=method) for mount in ("/bare", ""))
    assert (wrapped.status, wrapped.body) == (200, bare.body)
    assert wrapped.fields["content-type"] == bare.fields["content-type"]
    if method == "HEAD":
        assert wrapped.fields.get("content-length") == bare.fields.get("content-length")


def test_a_body_goes_in_and_comes_back(served: Served, site: str) -> None:
    body = bytes(range(256)) * 1000
    answer = served.ask(f"/{site}/echo", method="POST", body=body)
    assert (answer.status, answer.body) == (200, body)


def test_a_page_is_compressed_and_asked_for_again(served: Served, site: str) -> None:
    bare = served.ask(f"/bare/{site}/page")
    # Of somebody signed in, so that the page cache keeps out of it.
    packed = served.ask(f"/{site}/page", Accept_Encoding="gzip", Cookie="sessionid=a")
    assert packed.fields["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == bare.body
    assert len(packed.body) < len(bare.body) / 3
    etag = packed.fields["etag"]
    again = served.ask(f"/{site}/page", Accept_Encoding="gzip", Cookie="sessionid=a", If_None_Match=etag)
    assert (again.status, again.body) == (304, b"")


def test_a_visitor_stays_in_the_bucket_of_his_cookie(served: Served, site: str) -> None:
    first = served.ask(f"/{site}/bucket")
    cookie = first.fields["set-cookie"].partition(";")[0]
    assert cookie.startswith("wsgistack_bucket=")
    for _ in range(6):
        later = served.ask(f"/{site}/bucket", Cookie=cookie)
        assert (later.body, "set-cookie" in later.fields) == (first.body, False)
    assert first.body in (b"beta", b"")


def test_a_page_for_all_is_answered_from_the_cache(served: Served, site: str) -> None:
    seen: set[bytes] = set()

    def is_a_hit() -> bool:
        body = served.ask(f"/{site}/news").body
        assert body.startswith(b"made at ")
        known = body in seen
        seen.add(body)
        return known

    eventually(is_a_hit, what="every visitor got a page of his own")


def next_client() -> str:
    return next(_clients)


def ask_often(served: Served, site: str, client: str) -> list[Answer]:
    def ask(_: int) -> Answer:
        return served.ask(f"/{site}/limited", X_Forwarded_For=client)

    with ThreadPoolExecutor(6) as threads:
        return list(threads.map(ask, range(ASKED)))


def tell(served: Served, answers: list[Answer]) -> str:
    """Return what each answer told of its limit, and what the server said: a fallback shows there."""
    told = ("ratelimit", "ratelimit-policy", "retry-after")
    lines = [f"{one.status} {one.body[:20]!r} {[one.fields.get(name) for name in told]}" for one in answers]
    return "\n".join([*lines, served.says.read_text()])


def test_workers_over_memcached_hold_one_limit(memcached: Memcached) -> None:
    store = f"memcached://{memcached.address}{PATIENT_URL}"
    threads = ["--worker-class=gthread", "--threads=4", "--preload"]
    served = Served(Server([*GUNICORN, *threads], 2, store=store))
    workers: set[bytes] = set()

    def both_answer() -> bool:
        answers = ask_often(served, "django", next_client())
        statuses = sorted(answer.status for answer in answers)
        assert statuses == [200] * LIMIT + [429] * (ASKED - LIMIT), tell(served, answers)
        workers.update(answer.body for answer in answers if answer.status == 200)
        return len(workers) == 2

    try:
        eventually(both_answer, what=f"only {workers} answered")
    finally:
        served.end()


def test_all_workers_together_hold_the_limit_and_log_whole_lines(served: Served, site: str) -> None:
    clients: list[str] = []
    workers: set[bytes] = set()

    def seen_all() -> bool:
        clients.append(next_client())
        answers = ask_often(served, site, clients[-1])
        assert sorted(answer.status for answer in answers) == [200] * LIMIT + [429] * (ASKED - LIMIT)
        assert all("retry-after" in answer.fields for answer in answers if answer.status == 429)
        admitted = {answer.body for answer in answers if answer.status == 200}
        workers.update(admitted)
        return len(workers) == served.server.processes and (len(admitted) == served.server.processes)

    eventually(seen_all, what=f"only {workers} answered")

    def is_logged() -> bool:
        lines = [json.loads(line) for line in served.log.read_text().splitlines()]
        ours = [line for line in lines if line["client"] in clients]
        return len(ours) == ASKED * len(clients) and {line["status"] for line in ours} == {200, 429}

    # A response is over for its client a moment before the server closes it.
    eventually(is_logged, what="the log lacks a line")


def test_the_log_names_a_request_as_its_client_hears(served: Served, site: str) -> None:
    name = served.ask(f"/{site}/who").fields["x-request-id"]

    def found() -> list[str]:
        lines = [json.loads(line) for line in served.log.read_text().splitlines()]
        return [line["target"] for line in lines if line["request_id"] == name]

    eventually(found, what="the log lacks the request")
    assert found() == [f"/{site}/who"]


def test_the_metrics_of_all_workers_are_one_count(served: Served, site: str) -> None:
    for _ in range(9):
        assert served.ask(f"/{site}/who", method=METHODS[site]).status == 200

    def counted() -> int:
        served.ask(f"/{site}/who")  # a worker brings its counts at a request
        page = served.ask(f"/{site}/metrics").body.decode()
        line = rf'^wsgistack_wsgi_requests_total{{method="{METHODS[site]}",status="200"}} (\d+)\.0$'
        found = re.search(line, page, re.MULTILINE)
        return int(found[1]) if found else 0

    eventually(lambda: counted() == 9, what="the counts do not add up")
