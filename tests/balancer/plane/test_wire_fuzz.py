"""The wire under mutated messages, by seeds: what is accepted means the same to the oracles."""

from collections.abc import Callable
from random import Random

import h11
import pytest

from tests.balancer.plane.test_wire import (
    BODIES,
    REQUESTS,
    RESPONSES,
    TRAILERS,
    WORDS,
    agree_on_request,
    agree_on_response,
    not_for_h11,
    outcome,
    pieces_of,
    request_survives,
    response_survives,
)
from wsgistack.balancer.plane.wire import (
    decode_chunked,
    parse_request,
    parse_request_pieces,
    parse_response,
    parse_response_pieces,
    parse_trailers_bytes,
    rewrite_trailers,
)


def mutated(rng: Random, corpus: list[bytes]) -> bytes:
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at, size = rng.randrange(len(data) + 1), rng.choice((0, 0, 1, 1, 4, 20))
        what = rng.randrange(4)
        if what == 0:
            data[at : at + size] = rng.choice(WORDS)
        elif what == 1:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif what == 2:
            other = rng.choice(corpus)
            begin = rng.randrange(len(other) + 1)
            data[at : at + size] = other[begin : begin + rng.choice((2, 10, 60))]
        else:
            del data[at : at + size]
    return bytes(data)


def check_request(rng: Random) -> bool:
    data = mutated(rng, REQUESTS) + b"\r\n\r\n"
    head = outcome(parse_request, data)
    assert outcome(parse_request_pieces, pieces_of(data, [rng.randrange(400) for _ in range(3)])) == head
    if isinstance(head, str):
        return False
    agree_on_request(data, head)
    request_survives(data, head)
    return True


def check_response(rng: Random) -> bool:
    data = mutated(rng, RESPONSES) + b"\r\n\r\n"
    head = outcome(parse_response, data)
    assert outcome(parse_response_pieces, pieces_of(data, [rng.randrange(400) for _ in range(3)])) == head
    if isinstance(head, str):
        return False
    if head["status"] != 101 and not not_for_h11(data, head):
        agree_on_response(data, head)
    response_survives(data, head)
    return True


def check_trailers(rng: Random) -> bool:
    data = mutated(rng, TRAILERS) + b"\r\n\r\n"
    head = outcome(parse_trailers_bytes, data)
    if isinstance(head, str):
        return False
    written = rewrite_trailers(data)
    assert len(written) <= head["size"]
    assert rewrite_trailers(written) == written
    return True


def check_body(rng: Random) -> bool:
    data = mutated(rng, BODIES)
    found = outcome(decode_chunked, [data])
    assert outcome(decode_chunked, pieces_of(data, [rng.randrange(60) for _ in range(3)])) == found
    if isinstance(found, str) or found[1] is None:
        return False
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + h11_extensions(data)
    )
    connection.next_event()
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert body == found[0]
    return True


def h11_extensions(data: bytes) -> bytes:
    # h11 takes no blank before the first ";" of extensions and no 8-bit bytes in them.
    done, at = b"", 0
    while True:
        line = data[at:].partition(b"\r\n")[0]
        digits = line.partition(b";")[0].strip(b" \t")
        size = int(digits, 16)
        done += b"%x\r\n" % size
        if size == 0:
            return done
        at += len(line) + 2
        done += data[at : at + size] + b"\r\n"
        at += size + 2


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    ("check", "times", "accepted"),
    [(check_request, 1200, 60), (check_response, 700, 60), (check_trailers, 300, 30), (check_body, 400, 30)],
)
def test_no_mutant_is_understood_otherwise_by_others(
    check: Callable[[Random], bool], times: int, accepted: int, seed: int
) -> None:
    taken = 0
    for number in range(times):
        try:
            taken += check(Random(f"{seed} {number}"))
        except Exception as error:
            error.add_note(f"seed {seed}, number {number}")
            raise

    assert taken >= accepted  # else the mutants are too wild to test anything
