"""What a store keeps: it comes back whole, and anything else is as if nothing were stored."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.cache import entry
from wsgistack.cache.entry import Entry, Variants, open_entry, open_variants, pack

KEY = b"1:1the frame of a key"
PAGE = Entry(
    KEY,
    "https://example.com/a?b=c",
    200,
    "OK",
    (("Content-Type", "text/html"), ("Link", "</a>"), ("link", "</b>"), ("X-Name", "Jos\xe9")),
    b"<p>hello\0</p>",
    asked_at=1000.25,
    terms=(1000.5, 0.0, None, False, True, 30.0, 0.0, 3600.0),
    selecting=(("accept", "text/html"), ("accept-language", None), ("cookie", "")),
    tags=("news", "größe"),
    generation=1_700_000_000_000_000_000,
)


def packed(value: Entry | Variants, secret: bytes = b"") -> bytes:
    raw = pack(value, secret=secret)
    assert raw is not None
    return raw


def test_a_page_comes_back_as_it_was() -> None:
    assert open_entry(packed(PAGE), KEY) == PAGE


def test_a_field_that_the_request_lacked_is_not_an_empty_one() -> None:
    found = open_entry(packed(PAGE), KEY)
    assert found is not None
    assert found.selecting == (("accept", "text/html"), ("accept-language", None), ("cookie", ""))


def test_the_least_page_comes_back() -> None:
    least = Entry(b"", "", 204, "", (), b"", 0.0)
    assert open_entry(packed(least), b"") == least


def test_the_names_of_variants_come_back() -> None:
    variants = Variants(KEY, ((), ("accept",), ("accept", "cookie")), 5)
    assert open_variants(packed(variants), KEY) == variants


def test_a_reader_who_knows_no_key_gets_it() -> None:
    found = open_entry(packed(PAGE), b"")
    assert found is not None
    assert found.key == KEY


def test_another_keys_page_is_nothing() -> None:
    assert open_entry(packed(PAGE), KEY + b"x") is None
    assert open_entry(packed(PAGE), KEY[:-1]) is None


@pytest.mark.parametrize(
    ("value", "opener"),
    [(PAGE, open_variants), (Variants(KEY, ()), open_entry)],
    ids=["page as variants", "variants as page"],
)
def test_another_kind_is_nothing(value: Entry | Variants, opener: type) -> None:
    assert opener(packed(value), KEY) is None


@pytest.mark.parametrize("raw", [None, b"", b"wsp2", b"\x80\x04K\x01.", b"x" * 500], ids=repr)
def test_what_is_no_frame_is_nothing(raw: bytes | None) -> None:
    assert open_entry(raw, KEY) is None
    assert open_variants(raw, KEY) is None


def test_a_frame_cut_anywhere_is_nothing() -> None:
    raw = packed(PAGE)
    assert [end for end in range(len(raw)) if open_entry(raw[:end], KEY) is not None] == []
    assert open_entry(raw + b"\0", KEY) is None


def test_a_frame_changed_anywhere_is_nothing() -> None:
    raw = packed(PAGE)
    changed = [raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :] for at in range(len(raw))]
    assert [at for at, one in enumerate(changed) if open_entry(one, KEY) is not None] == []


def test_random_bytes_are_nothing() -> None:
    rng = random.Random(5)
    start = packed(PAGE)[:5]
    for _ in range(2000):
        raw = rng.randbytes(rng.randrange(400))
        assert open_entry(raw, KEY) is None
        assert open_entry(start + raw, KEY) is None


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_no_bytes_raise(raw: bytes, key: bytes) -> None:
    assert open_entry(b"wsp2\x01" + raw, key) is None


texts = st.text(st.characters(max_codepoint=255, exclude_characters="\0"), max_size=20)


@given(
    key=st.binary(max_size=60),
    reason=texts,
    fields=st.lists(st.tuples(texts, texts), max_size=6),
    selecting=st.lists(st.tuples(texts, st.none() | texts), max_size=4),
    body=st.binary(max_size=60),
    tags=st.lists(texts, max_size=4),
)
def test_every_page_comes_back(
    key: bytes,
    reason: str,
    fields: list[tuple[str, str]],
    selecting: list[tuple[str, str | None]],
    body: bytes,
    tags: list[str],
) -> None:
    page = Entry(key, "", 200, reason, tuple(fields), body, 1.5, PAGE.terms, tuple(selecting), tuple(tags), 9)
    assert open_entry(packed(page), key) == page
    assert open_entry(packed(page, b"secret"), key, secret=b"secret") == page


@pytest.mark.parametrize(
    "page",
    [
        replace(PAGE, reason="O\0K"),
        replace(PAGE, fields=(("A", "b\0c"),)),
        replace(PAGE, fields=(("A", "\ud800"),)),
        replace(PAGE, status=70_000),
        replace(PAGE, generation=2**64),
        replace(PAGE, generation=-1),
        replace(PAGE, fields=(("A", "b" * entry.LARGEST_TEXTS),)),
        replace(PAGE, key=b"k" * (entry.LONGEST_KEY + 1)),
    ],
    ids=[
        "NUL in the reason",
        "NUL in a field",
        "surrogate",
        "status",
        "generation",
        "below 0",
        "texts",
        "key",
    ],
)
def test_what_no_frame_can_hold_is_not_framed(page: Entry) -> None:
    assert pack(page) is None


def test_a_body_too_large_is_not_framed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "LARGEST_BODY", len(PAGE.body))
    assert pack(PAGE) is not None
    assert pack(replace(PAGE, body=PAGE.body + b"x")) is None


def test_with_a_secret_only_its_owner_can_write_pages() -> None:
    raw = packed(PAGE, b"ours")
    assert open_entry(raw, KEY, secret=b"ours") == PAGE
    assert open_entry(raw, KEY, secret=b"theirs") is None
    assert open_entry(packed(PAGE), KEY, secret=b"ours") is None
    assert open_entry(raw, KEY) is None


def test_with_a_secret_a_changed_body_is_nothing() -> None:
    raw = packed(PAGE, b"ours")
    at = len(raw) - 20
    assert open_entry(raw[:at] + b"!" + raw[at + 1 :], KEY, secret=b"ours") is None


def test_a_frame_of_the_version_before_is_nothing() -> None:
    assert open_entry(packed(PAGE).replace(b"wsp2", b"wsp1", 1), KEY) is None
