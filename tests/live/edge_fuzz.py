"""What clients of the edge's fuzzer send: sound requests, half-sound ones and hostile ones, by a seed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.live.edge_node import ANSWERS, DEADLY

__all__ = ["Plan", "make_plans"]

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
# How a node answers a client whose every request must be answered.
SOUND = ("plain", "plain", "chunked", "trailers", "close", "old", "big", "empty", "same", "hints", "go on", "switch",
         "head body", "204 body", "304 body", "stray", "stray chunked")  # fmt: skip
SLOW = ("hang", "half, hang", "early, on")
METHODS = (
    b"GET",
    b"GET",
    b"POST",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"get",
    b"M-SEARCH",
)
PARTS = (b"0\r\n", b"\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b":", b";", b",", b'"', b"0x5", b"+5", b"5_0", b"-1",
         b"chunked", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n",
         b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"HTTP/1.1", b"HTTP/1.0", b"\x80", b"\xff", b"\x0b",
         b"ffffffffffffffff", b"8000000000000000", b"\r\n\r\n", b"Host: b\r\n", b" \r\n", SMUGGLED)  # fmt: skip


@dataclass
class Plan:
    """One connection: what is sent, in which pieces, how it ends, and what must come of it.

    ending: "finish" (no more is sent, all is read), "stay" (until the balancer has enough), "close", "reset".
    hasty: asks the service whose patience is short.  sound: each request must be answered in full.
    """

    pieces: list[bytes]
    ending: str
    hasty: bool
    sound: bool
    slow: bool = False

    @property
    def data(self) -> bytes:
        """All that is sent."""
        return b"".join(self.pieces)


def make_plans(seed: int, count: int = 24, attacks: int = 65) -> list[Plan]:
    """Return the connections of one round; with every third seed the node dies now and then.

    *attacks* of them make one attack each, in turn: four seeds that follow each other make all.
    """
    rng = random.Random(seed)
    plans = [_plan(rng, b"/%d-%d" % (seed, number), number, seed % 3 == 2) for number in range(count)]
    for number in range(seed * attacks, (seed + 1) * attacks):
        data = HOSTILE[number % len(HOSTILE)](rng, b"/%d-%d.0" % (seed, number)) + SMUGGLED
        plans.append(Plan(_cut(rng, data), "finish", False, False))
    return plans


def _plan(rng: random.Random, place: bytes, number: int, deadly: bool) -> Plan:
    kind = ("sound", "sound", "mixed", "hostile", "hostile", "mutated")[number % 6]
    asks = rng.randrange(1, 7)
    if kind == "sound":
        words = [_sound(rng, b"%s.%d" % (place, n), rng.choice(SOUND), n == asks - 1) for n in range(asks)]
        return Plan(_cut(rng, b"".join(words)), "finish", False, not deadly, rng.random() < 0.2)
    does = [do for do in ANSWERS if do not in SLOW and (deadly or do not in DEADLY)]
    hasty = rng.random() < 0.4
    does += SLOW if hasty else ()
    words = [_sound(rng, b"%s.%d" % (place, n), rng.choice(does), n == asks - 1) for n in range(asks)]
    if kind == "hostile":
        attack = rng.choice(HOSTILE if rng.random() < 0.9 else TUNNELS)(rng, place)
        words[rng.randrange(asks) :] = [attack, SMUGGLED * rng.randrange(3)]
    data = b"".join(words)
    if kind == "mutated":
        data = _mutate(rng, data)
    if rng.random() < 0.2:
        data = data[: rng.randrange(len(data)) + 1]
    endings = ["finish"] * 4 + ["close", "reset"] + ["stay"] * (3 if hasty else 0)
    return Plan(_cut(rng, data), rng.choice(endings), hasty, False, rng.random() < 0.2)


def _cut(rng: random.Random, data: bytes) -> list[bytes]:
    """Return *data* in pieces: one, some, bytes for a while, or head and body apart."""
    how = rng.randrange(5)
    if how == 0 or len(data) < 2:
        return [data]
    if how == 1:
        begin = rng.randrange(len(data))
        end = begin + 80
        return [data[:begin], *(data[i : i + 1] for i in range(begin, min(end, len(data)))), data[end:]]
    if how == 2:
        return [part for part in re.split(rb"(?<=\r\n\r\n)", data) if part]
    at = sorted({rng.randrange(len(data)) for _ in range(rng.choice((1, 3, 20)))})
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True) if b > a]


def _mutate(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        at = rng.randrange(len(out) + 1)
        out[at : at + rng.choice((0, 0, 1, 2))] = rng.choice((rng.choice(PARTS), rng.randbytes(1), b""))
    return bytes(out)


# -- sound requests --------------------------------------------------------------------------


def _sound(rng: random.Random, place: bytes, do: str, last: bool) -> bytes:
    """Return one request that RFC 9112 allows, and that a node answers by the word *do*."""
    method = rng.choice(METHODS)
    if do in ("head body",):
        method = b"HEAD"
    fields = [b"X-T-Do: " + do.encode(), b"X-T-A: %d" % rng.randrange(99), b"X-T-A:"]
    fields += rng.sample([b"Cookie: a=b", b"X-T-8: \xe4\xf6", b"TE: trailers", b"x_t-do: die", b"Proxy: evil",
                          b"Connection: keep-alive, X-Hop", b"X-Hop: 1", b"Upgrade: h2c", b"Keep-Alive: 5",
                          b"X-Forwarded-For: 6.6.6.6", b"X-Empty:\t ", b"X-Long: " + b"a" * 3000], 3)  # fmt: skip
    target, version = place + rng.choice((b"", b"?a=%0d%0a&b=/..//", b"/%2e%2e/x", b"/;c=\\")), b"HTTP/1.1"
    if rng.random() < 0.15:
        target = b"http://a:80" + target
    body, framing = _body(rng)
    if method in (b"POST", b"PUT", b"PATCH") or (body and rng.random() < 0.2):
        fields.append(framing)
    else:
        body = b""
    if body and rng.random() < 0.15:
        fields.append(b"Expect: 100-continue")
    if last and rng.random() < 0.3 and not (body and framing.startswith(b"T")):
        version = b"HTTP/1.0"
        fields = [one for one in fields if not one.startswith((b"Transfer", b"Expect"))]
    elif last and rng.random() < 0.5:
        fields.append(b"Connection: close")
    rng.shuffle(fields)
    host = b"Host: " + rng.choice((b"a", b"a.example:8080", b"[::1]:80", b"A"))
    lead = b"\r\n" if rng.random() < 0.1 else b""
    return lead + b"\r\n".join([method + b" " + target + b" " + version, host, *fields]) + b"\r\n\r\n" + body


def _body(rng: random.Random) -> tuple[bytes, bytes]:
    """Return a body, framed, with the field that says how."""
    content = rng.choice(
        (b"hello", SMUGGLED, b"0\r\n\r\n" + SMUGGLED, b"", rng.randbytes(rng.choice((9, 9000))))
    )
    if rng.random() < 0.5:
        return content, b"Content-Length: " + b"0" * rng.choice((0, 0, 3)) + b"%d" % len(content)
    out = b""
    while content:
        size = rng.randrange(1, rng.choice((4, 300, 9000)))
        part, content = content[:size], content[size:]
        out += rng.choice((b"%x", b"%X", b"00%x", b"%x;a", b'%x ; a="\\"b;"', b"%x;a=b;c")) % len(part)
        out += b"\r\n" + part + b"\r\n"
    out += rng.choice((b"0", b"000", b"0;x=y")) + b"\r\n"
    out += rng.choice((b"", b"", b"X-T: 1\r\n", b"Content-Length: 5\r\nX_Y: 1\r\nHost: evil\r\n")) + b"\r\n"
    coding = rng.choice((b"chunked", b"Chunked", b"chunked", b"\tchunked "))
    return out, b"Transfer-Encoding: " + coding


# -- hostile ones ------------------------------------------------------------------------------

Attack = Callable[[random.Random, bytes], bytes]


def _post(*fields: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> Attack:
    def make(rng: random.Random, place: bytes) -> bytes:
        method = rng.choice((b"POST", b"GET", b"PUT"))
        lines = [method + b" " + place + b" " + version, b"Host: a", *fields]
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    return make


def _line(line: bytes, *fields: bytes) -> Attack:
    return lambda rng, place: b"\r\n".join([line.replace(b"/HERE", place), *fields]) + b"\r\n\r\n"


LENGTHS = (b"+5", b"-5", b"0x5", b"1_0", b"5.0", b"", b"5,5", b"5, 6", b"5 5", b"99999999999999999999", b"\x0b5",
           b"5\x00", b"\xb2", b"9223372036854775808", b"18446744073709551621", b"5;")  # fmt: skip
CODINGS = (b"xchunked", b"chunked, chunked", b"gzip, chunked", b"chunked, gzip", b"identity", b"chunked;q=1", b"",
           b"\x0bchunked", b"chunked\x00", b'"chunked"', b"chunked,", b", chunked", b"chunk\xc3\xa9d", b"x, chunked",
           b"chunked identity", b"\xa0chunked")  # fmt: skip
BODIES = (b"0x5\r\nhello\r\n0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhello\rx0\r\n\r\n", b"5\r\nhelloxx0\r\n\r\n",
          b"5\r\nhello\n0\r\n\r\n", b"5\rhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n", b"5_\r\nhello\r\n0\r\n\r\n",
          b" 5\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b"\r\nhello\r\n0\r\n\r\n", b"-1\r\n",
          b"00000000000000005\r\nhello\r\n0\r\n\r\n", b"10000000000000005\r\nhello\r\n0\r\n\r\n", b"fffffffffffffff1\r\n",
          b"5;a\nb\r\nhello\r\n0\r\n\r\n", b"5;a\rb\r\nhello\r\n0\r\n\r\n", b'5;a="\n"\r\nhello\r\n0\r\n\r\n',
          b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n", b"5;\r\nhello\r\n0\r\n\r\n", b"5;a=\r\nhello\r\n0\r\n\r\n",
          b"0\r\nX : 1\r\n\r\n", b"0\r\n X: 1\r\n\r\n", b"0\r\nX: a\rb\r\n\r\n", b"0\nX: 1\n\n", b"0\r\n\n", b"0\r\n\r",
          b"0\r\n" + b"X: y\r\n" * 2000 + b"\r\n", b"0\r\nX: " + b"a" * 20000 + b"\r\n\r\n", b"0\r\n\rX",
          b"1;" + b"a" * 3000 + b"\r\nx\r\n" * 9 + b"0\r\n\r\n", b"1\r\nx\r\n" * 3000 + b"0\r\n\r\n",
          b"5\r\nhello\r\n", b"5\r\nhel", b"5", b"0\r\n", b"5\r\nhello\r\n0\r\nX: 1\r\n")  # fmt: skip
FIELDS = (b"X : 1", b": 1", b" X: 1", b"X: a\x00b", b"X: a\rb", b"X: a\nb", b"X: a\r\n b", b"X\xe4: 1", b"X", b"Host: b",
          b"Host : a", b"X: a\x7fb", b"X: " + b"a" * 40000, b"X\x0b: 1", b"Expect: magic", b"Expect: 100-continue",
          b"Content_Length: 5", b"Transfer_Encoding: chunked", b"Connection: content-length, host, transfer-encoding",
          b"Connection: " + b"x," * 4000, b"Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA",
          b"Connection: close, via, x-forwarded-for", b"X: 1\nTransfer-Encoding: chunked", b"\nX: 1",
          b"Transfer-Encoding\t: chunked", b"Transfer-Encoding : chunked", b"X: 1\r\n\tTransfer-Encoding: chunked",
          *(b"Content-Length: 5\r\nContent-Length: %s" % other for other in (b"5", b"6", b"0", b"")))  # fmt: skip
HOST = b"Host: a"
UPGRADE = _line(b"GET /HERE HTTP/1.1", HOST, b"Upgrade: websocket", b"Connection: upgrade", b"X-T-Do: switch")
TUNNELS: list[Attack] = [
    UPGRADE,
    lambda rng, place: UPGRADE(rng, place) + SMUGGLED + rng.randbytes(rng.choice((9, 90000))),
]
# So much of a body that its beginning is with the node when the rest turns out to be wrong.
LONG = b"2000\r\n" + b"x" * 8192 + b"\r\n"
HOSTILE: list[Attack] = [
    *(_post(b"Content-Length: " + one, body=b"hello" + SMUGGLED) for one in LENGTHS),
    *(_post(b"Transfer-Encoding: " + one, body=b"0\r\n\r\n" + SMUGGLED) for one in CODINGS),
    *(_post(b"Transfer-Encoding: " + one, b"Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED) for one in CODINGS),
    *(_post(CHUNKED, body=one + SMUGGLED) for one in BODIES),
    *(_post(CHUNKED, body=one) for one in BODIES),
    *(_post(CHUNKED, body=LONG * 9 + one) for one in BODIES),
    *(_post(one, body=b"hello" + SMUGGLED) for one in FIELDS),
    _post(b"Content-Length: 36", CHUNKED, body=b"0\r\n\r\n" + SMUGGLED),
    _post(CHUNKED, b"Content-Length: 36", body=b"0\r\n\r\n" + SMUGGLED),
    _post(CHUNKED, CHUNKED, body=b"0\r\n\r\n" + SMUGGLED),
    _post(CHUNKED, body=b"0\r\n\r\n" + SMUGGLED, version=b"HTTP/1.0"),
    _post(CHUNKED, b"Connection: keep-alive", body=b"0\r\n\r\n" + SMUGGLED, version=b"HTTP/1.0"),
    _post(b"Content-Length: 100000", body=SMUGGLED * 20),
    _post(b"Content-Length: 400000", body=LONG * 20),
    _post(b"Content-Length: 5", b"Expect: 100-continue", b"X-T-Do: early", body=b"hello"),
    _post(b"Content-Length: 90000", b"Expect: 100-continue", b"X-T-Do: early", body=SMUGGLED),
    _post(b"Content-Length: 37", b"X-T-Do: early", body=SMUGGLED),
    *(_post(*(b"X-%d: 1" % i for i in range(count)), b"Content-Length: 0") for count in (90, 101, 1200)),
    *(_line(one, HOST) for one in (
        b"CONNECT a:80 HTTP/1.1", b"GET * HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET /HERE", b"GET /HERE HTTP/2.0",
        b"GET /HERE HTTP/1.1 ", b"GET  /HERE HTTP/1.1", b"GET\t/HERE HTTP/1.1", b"GET /HERE\x00 HTTP/1.1",
        b"GET /HERE#x HTTP/1.1", b"GET /HERE\xff HTTP/1.1", b"GET /HERE HTTP/1.10", b"GET /HERE http/1.1",
        b"G\x00T /HERE HTTP/1.1", b"GET HERE HTTP/1.1", b"GET http://b/HERE HTTP/1.1", b"GET http://u@b/HERE HTTP/1.1",
        b"GET http:///HERE HTTP/1.1", b"GET http://b?q HTTP/1.1", b"OPTIONS http://b HTTP/1.1", b"\n\nGET /HERE HTTP/1.1",
        b"\r\n\r\nGET /HERE HTTP/1.1", b"\rGET /HERE HTTP/1.1", b"GET /" + b"a" * 20000 + b" HTTP/1.1",
        b"M" * 70 + b" /HERE HTTP/1.1", b"PRI * HTTP/2.0", b"GET /HERE HTTP/1.9", b"GET //HERE/../ HTTP/1.1",
        b"TRACE /HERE HTTP/1.1", b" GET /HERE HTTP/1.1")),
    *(_line(b"GET /HERE HTTP/1.1", b"Host: " + one) for one in (
        b"", b"a b", b"a/b", b"a@b", b"a:b", b"a:80:80", b"[::1", b"a,b", b"\xe4", b"a#", b"a\x00", b"%zz")),
    _line(b"GET /HERE HTTP/1.1"),
    _line(b"GET /HERE HTTP/1.0"),
    *TUNNELS,
    _post(b"Upgrade: websocket", b"Connection: upgrade", b"X-T-Do: switch", b"Content-Length: 5", body=b"hello"),
    _line(b"GET /HERE HTTP/1.0", HOST, b"Upgrade: websocket", b"Connection: upgrade", b"X-T-Do: switch"),
    lambda rng, place: rng.randbytes(rng.choice((1, 30, 3000))),
    lambda rng, place: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(500),
    lambda rng, place: b"\r\n" * 3000,
]  # fmt: skip
