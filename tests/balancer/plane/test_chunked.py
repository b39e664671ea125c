"""Chunked bodies.  RFC 9112 7.1; the payloads of CVE-2022-24761, -2023-39326, -2025-43859, -2025-55315, -2025-69229."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer.plane.wire import WireFault, chunk_size_line, decode_chunked

GOOD = [
    (b"0\r\n", b""),
    (b"0000\r\n", b""),
    (b"5\r\nhello\r\n0\r\n", b"hello"),
    (b"5\r\nhello\r\n1\r\n!\r\n0\r\n", b"hello!"),
    (b"00000000000000000000000005\r\nhello\r\n0\r\n", b"hello"),
    (b"a\r\n0123456789\r\n0\r\n", b"0123456789"),
    (b"A\r\n0123456789\r\n0\r\n", b"0123456789"),
    (b"0b\r\n0123456789a\r\n0\r\n", b"0123456789a"),
    (b"4\r\n\r\n\r\n\r\n0\r\n", b"\r\n\r\n"),
    (b"3\r\n0\r\n\r\n0\r\n", b"0\r\n"),
    (b"5;a\r\nhello\r\n0;b\r\n", b"hello"),
    (b"5;a=b;c=d;e\r\nhello\r\n0\r\n", b"hello"),
    (b'5;a="b \t;\\"\\\\\xff"\r\nhello\r\n0\r\n', b"hello"),
    (b'5;a=""\r\nhello\r\n0\r\n', b"hello"),
    (b'5 ; a = "b" ;\tc\t=\td\r\nhello\r\n0\r\n', b"hello"),
    (b'5;a="b";c\r\nhello\r\n0\r\n', b"hello"),
    (b"5;" + b"a" * 4092 + b"\r\nhello\r\n0\r\n", b"hello"),
]

BAD = [
    b"\r\n",
    b";a\r\n",
    b"+5\r\nhello",
    b"-5\r\nhello",
    b"0x5\r\nhello",
    b"5_0\r\nhello",
    b"_5\r\nhello",
    b" 5\r\nhello",
    b"\t5\r\nhello",
    b"5 \r\nhello",
    b"5\t\r\nhello",
    b"5,5\r\nhello",
    b"5.\r\nhello",
    b"g\r\n",
    b"5h\r\n",
    b"\x005\r\n",
    b"5\x00\r\n",
    b"5\x0b\r\n",
    b"5\xa0\r\n",
    b"\xb25\r\n",
    b"5\nhello\r\n",
    b"5\rhello\r\n",
    b"5\r\r\nhello\r\n",
    b"0\n",
    b"0\r0",
    b"5\r\nhello\n0\r\n",
    b"5\r\nhello\r0\r\n",
    b"5\r\nhello0\r\n",
    b"5\r\nhelloxx0\r\n",
    b"5\r\nhello\n\r0\r\n",
    b"5\r\nhello!\r\n0\r\n",
    b"5\r\nhello\r\n\r\n",
    b"5;\r\nhello",
    b"5;;a\r\nhello",
    b"5;a;\r\nhello",
    b"5;=b\r\nhello",
    b"5;a=\r\nhello",
    b"5;a=b \r\nhello",
    b"5;a \r\nhello",
    b"5;a b\r\nhello",
    b"5;a=b c\r\nhello",
    b'5;a="b\r\nhello',
    b'5;a="b"c\r\nhello',
    b'5;a="\x00"\r\nhello',
    b'5;a="\x7f"\r\nhello',
    b'5;a="\\\n"\r\nhello',
    b"5;a\nhello\r\n0\r\n",
    b"5;a=\nhello",
    b'5;a="\n"\r\nhello',
    b"5;\n\r\nhello",
    b"5;a\rb\r\nhello",
    b"5;(\r\nhello",
    b"8000000000000000\r\n",
    b"FFFFFFFFFFFFFFFF\r\n",
    b"10000000000000000\r\n",
    b"10000000000000005\r\nhello",
    b"0" * 4097,
    b"5;" + b"a" * 4096,
]


@pytest.mark.parametrize(("body", "data"), GOOD)
def test_a_body_is_decoded(body: bytes, data: bytes) -> None:  # 7 8 9
    assert decode_chunked([body + b"rest"]) == (data, b"rest")


@pytest.mark.parametrize(("body", "data"), GOOD)
def test_a_body_is_decoded_byte_by_byte(body: bytes, data: bytes) -> None:
    assert decode_chunked([body[i : i + 1] for i in range(len(body))]) == (data, b"")


@pytest.mark.parametrize("body", BAD)
def test_a_faulty_body_is_refused(body: bytes) -> None:  # 7 8 9
    with pytest.raises(WireFault, match="chunk_invalid"):
        decode_chunked([body])
    with pytest.raises(WireFault, match="chunk_invalid"):
        decode_chunked([body[i : i + 1] for i in range(len(body))])


def test_a_body_whose_last_chunk_is_missing_is_not_complete() -> None:  # 12 35
    body = b"5;a=b\r\nhello\r\n0\r\n"

    assert [decode_chunked([body[:cut]])[1] for cut in range(len(body))] == [None] * len(body)


def test_the_largest_size_is_2_to_the_63_less_1() -> None:
    assert decode_chunked([b"7fffffffffffffff\r\nhello"]) == (b"hello", None)


def test_extensions_have_a_bound_for_the_whole_body() -> None:  # 9
    chunk = b"1;" + b"a" * 1022 + b"\r\nx\r\n"

    assert decode_chunked([chunk * 16]) == (b"x" * 16, None)
    with pytest.raises(WireFault, match="chunk_invalid"):
        decode_chunked([chunk * 17])


def test_many_tiny_chunks_take_linear_time() -> None:  # 47
    body = b"1\r\nx\r\n" * 200_000 + b"0\r\n"

    began = process_time()
    data, rest = decode_chunked([body])

    assert (len(data), rest) == (200_000, b"")
    assert process_time() - began < 1  # about 20 ms


@pytest.mark.parametrize(
    ("size", "line"),
    [
        (0, b"0\r\n"),
        (1, b"1\r\n"),
        (15, b"f\r\n"),
        (16, b"10\r\n"),
        (500, b"1f4\r\n"),
        (65536, b"10000\r\n"),
        (2**63 - 1, b"7fffffffffffffff\r\n"),
        (2**64 - 1, b"ffffffffffffffff\r\n"),
    ],
)
def test_a_size_line_is_written(size: int, line: bytes) -> None:
    assert chunk_size_line(size) == line


@given(st.lists(st.binary(min_size=1, max_size=40)), st.data())
def test_what_is_written_is_read_again_however_it_is_cut(chunks: list[bytes], data: st.DataObject) -> None:
    body = b"".join(chunk_size_line(len(chunk)) + chunk + b"\r\n" for chunk in chunks) + chunk_size_line(0)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    assert decode_chunked([*pieces, b"rest"]) in [(b"".join(chunks), b"rest")]
