"""A service's requests through its cache: what the cache sees, and what becomes of failures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import pytest
from gevent.server import StreamServer

from tests.keeper.stage import Stage
from wsgistack.balancer.split import bucket_number
from wsgistack.keeper.replies import Stream, read_reply


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def test_a_page_is_asked_for_once_and_then_comes_out_of_the_store(stage: Stage) -> None:
    stage.answer(Cache_Control="max-age=60", Content_Length="3")
    first, second = stage.say(), stage.say()
    assert (first.status, first.body, first.cache) == (200, b"one", "wsgistack; fwd=uri-miss; ttl=60; stored")
    assert (second.status, second.body, second.cache) == (200, b"one", "wsgistack; hit; ttl=60")
    assert len(stage.asked) == 1
    assert dict(stage.caches.by_name["pages"].counts) == {"uri-miss": 1, "hit": 1}


def test_the_node_gets_what_the_worker_said_of_the_client(stage: Stage) -> None:
    stage.answer()
    stage.say("/a%20b?c=d", X_Forwarded_Host="www.example", Via="1.1 wsgistack", Accept="text/*")
    (asked,) = stage.asked
    assert asked["HTTP_HOST"] == asked["HTTP_X_FORWARDED_HOST"] == "www.example"
    assert asked["HTTP_X_FORWARDED_PROTO"] == "http"
    assert asked["HTTP_X_FORWARDED_FOR"] == "10.0.0.9"
    assert (asked["PATH_INFO"], asked["QUERY_STRING"]) == ("/a b", "c=d")
    assert (asked["HTTP_VIA"], asked["HTTP_ACCEPT"]) == ("1.1 wsgistack", "text/*")


def test_another_forwarded_host_makes_no_page_that_others_get(stage: Stage) -> None:
    stage.answer(Cache_Control="max-age=60")
    stage.say(X_Forwarded_Host="evil.example")
    assert "HTTP_X_FORWARDED_HOST" not in stage.asked[0]


def test_the_scheme_is_the_one_that_the_worker_tells(stage: Stage) -> None:
    stage.answer(Cache_Control="max-age=60")
    stage.say()
    assert stage.say(X_Forwarded_Proto="https").cache == "wsgistack; fwd=uri-miss; ttl=60; stored"
    assert stage.say(X_Forwarded_Proto="https").cache == "wsgistack; hit; ttl=60"


def test_a_stale_page_stands_in_when_no_node_answers(stage: Stage) -> None:
    stage.answer(Cache_Control="max-age=0", ETag='"a"')
    stage.say()
    stage.answer(b"503 Service Unavailable\nno-node\n", "503 Service Unavailable", Wsgistack_Own="no-node")
    said = stage.say()
    assert (said.status, said.body) == (200, b"one")
    assert "detail=origin-failed" in said.cache


def test_what_the_balancer_says_of_missing_nodes_is_passed_on_without_our_mark(stage: Stage) -> None:
    stage.answer(b"no node\n", "503 Service Unavailable", Wsgistack_Own="no-node", Retry_After="1")
    said = stage.say()
    assert (said.status, said.body, said.fields["retry-after"]) == (503, b"no node\n", "1")
    assert "wsgistack-own" not in said.fields
    assert stage.caches.by_name["pages"].counts["failed"] == 1


def test_a_nodes_own_502_is_a_nodes_answer(stage: Stage) -> None:
    stage.answer(Cache_Control="max-age=0", ETag='"a"')
    stage.say()
    stage.now += 1
    stage.answer(b"mine", "502 Bad Gateway")
    assert (stage.say().status, stage.say().body) == (502, b"mine")


def test_without_an_inner_listener_there_is_a_502_in_the_houses_words(stage: Stage) -> None:
    stage.inner.stop(timeout=1)
    said = stage.say()
    assert (said.status, said.body) == (502, b"502 Bad Gateway\ncache-origin\n")


def test_a_worker_that_dies_with_a_request_fails_none_that_may_be_repeated(stage: Stage) -> None:
    stage.answer()
    stage.deaths = 1
    assert stage.say().status == 200
    assert len(stage.asked) == 2


def test_what_may_not_be_repeated_is_asked_once(stage: Stage) -> None:
    stage.answer()
    stage.deaths = 1
    assert stage.say(method="POST", body=b"x").status == 502
    assert len(stage.asked) == 1


@pytest.mark.parametrize(
    ("peer", "settings", "status"),
    [
        ("10.0.0.9", {"purge_from": "10.0.0.0/8"}, 200),
        ("10.0.0.9, 192.0.2.1", {"purge_from": "10.0.0.0/8"}, 403),
        ("192.0.2.1, 10.0.0.9", {"purge_from": "10.0.0.0/8"}, 200),
        ("10.0.0.9", {"purge_from": "10.0.0.0/8", "blind": True}, 403),
    ],
    ids=["allowed", "a proxy that may not", "a proxy that may", "nobody can be told apart"],
)
def test_a_purge_by_http_is_for_addresses_that_the_balancer_vouches_for(
    stage: Stage, peer: str, settings: dict[str, Any], status: int
) -> None:
    stage.apply(**settings)
    stage.answer(Cache_Control="max-age=60")
    stage.say()
    assert stage.say(method="PURGE", X_Forwarded_For=peer).status == status
    assert stage.say().cache.startswith("wsgistack; hit") is (status == 403)


def test_a_change_by_a_post_makes_the_page_worthless(stage: Stage) -> None:
    stage.answer(Cache_Control="max-age=60")
    stage.say()
    stage.say(method="POST", body=b"x=1")
    assert stage.asked[1]["CONTENT_LENGTH"] == "3"
    assert stage.say().cache == "wsgistack; fwd=uri-miss; ttl=60; stored"


def test_a_page_that_is_fetched_anew_keeps_no_connection_waiting(stage: Stage) -> None:
    stage.answer(Cache_Control="max-age=0, stale-while-revalidate=60")
    stage.say()
    held = gevent.event.Event()

    def slow(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        held.wait(10)
        start_response("200 OK", [("Cache-Control", "max-age=60")])
        return [b"two"]

    stage.app = slow
    link = stage.open()
    assert [stage.say(link=link).body for _ in range(3)] == [b"one"] * 3
    held.set()
    with gevent.Timeout(10):
        while stage.say(link=link).body != b"two":
            gevent.sleep(0.01)
    assert len(stage.asked) == 2


@pytest.mark.parametrize("status", ["304 Not Modified", "204 No Content"])
def test_a_length_of_what_has_no_body_is_left_out(stage: Stage, status: str) -> None:
    stage.answer(b"", status, Content_Length="5", ETag='"a"')
    said = stage.say(If_None_Match='"a"')
    assert (said.status, said.body) == (int(status[:3]), b"")


def test_settings_change_under_the_same_pages(stage: Stage) -> None:
    stage.answer(Cache_Control="max-age=60")
    stage.say()
    stage.apply(keep="5")
    assert stage.say().cache == "wsgistack; hit; ttl=60"
    stage.apply(max_bytes="1m")
    assert stage.say().cache == "wsgistack; fwd=uri-miss; ttl=60; stored"


def test_a_cache_that_cannot_be_made_is_named(stage: Stage) -> None:
    assert stage.apply(store="memcached://").startswith("cache pages: memcached:// has no servers")


def test_a_service_without_a_cache_is_not_listened_for(stage: Stage) -> None:
    stage.apply(caches="")
    with pytest.raises(OSError, match="No such file"):
        stage.open()


@pytest.mark.parametrize(
    ("field", "value"), [("Cache_Tag", "a, news"), ("Xkey", "a news"), ("Surrogate_Key", "news")]
)
def test_a_nodes_response_names_its_tags(stage: Stage, field: str, value: str) -> None:
    fields: dict[str, Any] = {field: value}
    stage.answer(Cache_Control="max-age=60", **fields)
    stage.say()
    stage.caches.by_name["pages"].pages.purge(tag="news")
    assert stage.say().cache == "wsgistack; fwd=uri-miss; ttl=60; stored"


def test_interim_responses_pass_to_whoever_asked(stage: Stage) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    def serve(sock: Any, address: object) -> None:
        sock.recv(65_536)
        sock.sendall(early + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nCache-Control: max-age=60\r\n\r\none")

    stage.inner.stop(timeout=1)
    listener = gevent.socket.socket(gevent.socket.AF_UNIX, gevent.socket.SOCK_STREAM)
    (stage.folder / "i3").unlink()
    listener.bind(str(stage.folder / "i3"))
    listener.listen()
    inner = StreamServer(listener, serve)
    inner.start()
    link = stage.open()
    link.sendall(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
    got = b""
    while not got.endswith(b"one"):
        got += link.recv(65_536)
    assert got.startswith(early + b"HTTP/1.1 200 OK\r\n")
    inner.stop(timeout=1)


def test_each_bucket_has_pages_of_its_own_ready_ones_too(stage: Stage) -> None:
    stage.apply(buckets=["beta"])
    stage.answer(b"main", Cache_Control="max-age=60")
    assert stage.say().body == b"main"
    stage.answer(b"beta", Cache_Control="max-age=60")
    assert stage.say(Wsgistack_Bucket="beta").body == b"beta"
    assert (stage.say().body, stage.say(Wsgistack_Bucket="beta").body) == (b"main", b"beta")
    assert [one.get("HTTP_WSGISTACK_BUCKET") for one in stage.asked] == [None, "beta"]
    services = {int(key.split()[0]): page["body"] for key, page in stage.table.pages.items()}
    assert services == {3: b"main", 3 | bucket_number("beta") << 8: b"beta"}


def test_a_bucket_that_is_not_known_here_is_none(stage: Stage) -> None:
    stage.apply(buckets=["beta"])
    stage.answer(b"main", Cache_Control="max-age=60")
    stage.say(Wsgistack_Bucket="gone")
    assert "HTTP_WSGISTACK_BUCKET" not in stage.asked[0]
    assert stage.say().cache == "wsgistack; hit; ttl=60"


def test_pages_stay_where_a_split_is_set_and_taken_away(stage: Stage) -> None:
    stage.answer(Cache_Control="max-age=60")
    stage.say()
    for buckets in (["beta"], ["beta", "gamma"], []):
        stage.apply(buckets=buckets)
        assert stage.say().cache == "wsgistack; hit; ttl=60"
    assert len(stage.asked) == 1


def test_a_purge_is_for_the_pages_of_all_buckets(stage: Stage) -> None:
    stage.apply(buckets=["beta"])
    stage.answer(Cache_Control="max-age=60")
    stage.say()
    stage.say(Wsgistack_Bucket="beta")
    stage.caches.by_name["pages"].pages.purge(url="http://www.example/page")
    assert [stage.say().cache, stage.say(Wsgistack_Bucket="beta").cache] == [
        "wsgistack; fwd=uri-miss; ttl=60; stored"
    ] * 2


def test_a_page_of_another_pool_than_the_buckets_is_nobody_elses(stage: Stage) -> None:
    stage.apply(buckets=["beta"])
    stage.answer(b"main", Cache_Control="max-age=60", Wsgistack_Own="other-pool")
    said = stage.say(Wsgistack_Bucket="beta")
    assert said.cache == "wsgistack; fwd=uri-miss; detail=private:other-pool"
    assert "wsgistack-own" not in said.fields
    stage.answer(b"beta", Cache_Control="max-age=60")
    assert stage.say(Wsgistack_Bucket="beta").body == b"beta"


POISON = "p0is0n"


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("/page", f"X-Forwarded-Host: {POISON}"),
        ("/page", f"X-Original-URL: /{POISON}"),
        ("/page", f"X-HTTP-Method-Override: {POISON}"),
        ("/page", f"Forwarded: host={POISON}"),
        ("/page", f"Script-Name: /{POISON}"),
        ("/page", f"X_Forwarded_Host: {POISON}"),
        ("/page", f"Remote_User: {POISON}"),
        ("/page", f"X-Forwarded-Proto: {POISON}"),
        ("/page", f"Cookie: _ga={POISON}"),
        ("/page", f'If-None-Match: "{POISON}"'),
        ("/page", f"Content-Type: {POISON}"),
        (f"/page?utm_source={POISON}", "Accept: */*"),
        (f"/page?utm_source=1;a={POISON}", "Accept: */*"),
    ],
)
def test_nothing_that_no_key_carries_reaches_a_node_that_makes_a_page(
    stage: Stage, target: str, line: str
) -> None:
    stage.answer(Cache_Control="max-age=60")
    link = stage.open()
    fields = ["Host: www.example", "X-Forwarded-For: 10.0.0.9", line]
    link.sendall("\r\n".join([f"GET {target} HTTP/1.1", *fields, "", ""]).encode())
    reply = read_reply(Stream(link.recv), "GET")
    told = dict(reply.head.fields)["Cache-Status"]
    assert told == "wsgistack; fwd=uri-miss; ttl=60; stored"
    assert POISON not in repr(stage.asked)


@pytest.mark.parametrize(
    "fields",
    [
        {"Cookie": f"_ga=1; sessionid={POISON}"},
        {"Cookie": f'_ga="1; sessionid={POISON}"'},
        {"Cookie": f"__Host-sessionid={POISON}"},
        {"Cookie": f"SessionID={POISON}"},
        {"Authorization": POISON},
        {"X_Forwarded_Tls_Client_Cert": POISON},
        {"X_Amzn_Mtls_Clientcert": POISON},
        {"Upgrade": "websocket"},
    ],
    ids=str,
)
def test_what_is_somebodys_goes_past_the_cache_of_a_balancer(stage: Stage, fields: dict[str, Any]) -> None:
    stage.answer(Cache_Control="max-age=60")
    assert stage.say(**fields).cache.startswith("wsgistack; fwd=bypass; detail=")
    assert stage.say().cache == "wsgistack; fwd=uri-miss; ttl=60; stored"
