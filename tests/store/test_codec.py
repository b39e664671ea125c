"""Values on the wire: they come back as they were, others read them, and nothing forged is believed."""

import os
import pickle
import zlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymemcache.serde import CompressedSerde, PickleSerde

from wsgistack.errors import ArgumentError, ConfigurationError, TooLarge, Unreadable
from wsgistack.store.codec import CHUNKED, Codec
from wsgistack.store.keys import Keys, WireKey

KEY = Keys().make("key")
HASHED = Keys().make("a key with spaces")
SECRET = b"0123456789abcdef"
CODECS = {
    "plain": Codec(),
    "signed": Codec(sign_key=SECRET),
    "pickle": Codec(pickle=True),
    "always compressed": Codec(compress_from=0),
    "signed and compressed": Codec(compress_from=0, sign_key=SECRET),
}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.datetimes().map(lambda moment: moment.replace(fold=0)),
    st.dates(),
    st.timedeltas(),
)
hashable = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
values = st.recursive(
    st.one_of(scalars, st.frozensets(hashable, max_size=3), st.sets(hashable, max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(hashable, inner, max_size=4),
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize("key", [KEY, HASHED], ids=["plain key", "hashed key"])
@given(value=values)
def test_a_value_comes_back_with_its_types(codec: Codec, key: WireKey, value: object) -> None:
    body, flags = codec.encode(key, value)
    back = codec.decode(key, body, flags)
    assert back == value
    assert repr(back) == repr(value) or isinstance(value, set | frozenset | dict | list | tuple)
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("value", "body", "flags"),
    [
        (b"raw", b"raw", 0),
        ("Käse", b"K\xc3\xa4se", 16),
        ("", b"", 16),
        (42, b"42", 4),
        (-7, b"-7", 4),
        (2**70, b"1180591620717411303424", 4),
        (b"", b"", 512),
        ([1, "a"], b"\x92\x01\xa1a", 256),
        (None, b"\xc0", 256),
        (True, b"\xc3", 256),
    ],
    ids=repr,
)
def test_the_form_on_the_wire_does_not_change(value: object, body: bytes, flags: int) -> None:
    assert Codec().encode(KEY, value) == (body, flags)


# What pylibmc 1.6.3 wrote to a memcached, and what it means.
PYLIBMC = {
    "bytes": (b"raw", 0, b"raw"),
    "text": (b"K\xc3\xa4se", 16, "Käse"),
    "int": (b"42", 4, 42),
    "negative": (b"-7", 4, -7),
    "long": (b"1180591620717411303424", 4, 2**70),
    "true": (b"1", 2, True),
    "none": (b"\x80\x05N.", 1, None),
    "list": (b"\x80\x05\x95\t\x00\x00\x00\x00\x00\x00\x00]\x94(K\x01K\x02e.", 1, [1, 2]),
    "compressed": (zlib.compress(b"x" * 5000), 24, "x" * 5000),
    "empty text": (b"", 16, ""),
}


@pytest.mark.parametrize(("body", "flags", "value"), PYLIBMC.values(), ids=PYLIBMC)
def test_what_pylibmc_wrote_is_read(body: bytes, flags: int, value: object) -> None:
    assert Codec(pickle=True).decode(KEY, body, flags) == value


@pytest.mark.parametrize(
    "value", [b"raw", "Käse", 42, -7, 2**70, None, True, [1, {"a": (2,)}], b"x" * 5000, "y" * 5000], ids=repr
)
def test_pymemcache_and_we_read_each_other(value: object) -> None:
    codec = Codec(pickle=True, compress_from=100)
    body, flags = codec.encode(KEY, value)
    assert CompressedSerde().deserialize(b"key", body, flags) == value
    for serde in (PickleSerde(), CompressedSerde()):
        theirs, their_flags = serde.serialize(b"key", value)
        theirs = theirs.encode() if isinstance(theirs, str) else theirs
        assert codec.decode(KEY, theirs, their_flags) == value


def test_a_pickle_is_not_read_unless_asked_for() -> None:
    poison = pickle.dumps([1, 2])
    with pytest.raises(Unreadable, match="pickle=True"):
        Codec().decode(KEY, poison, 1)
    with pytest.raises(Unreadable, match="pickle=True"):
        Codec().decode(KEY, zlib.compress(poison), 9)
    assert Codec(pickle=True).decode(KEY, poison, 1) == [1, 2]


@pytest.mark.parametrize("value", [object(), type("Text", (str,), {})("x"), [1, {2: object()}]])
def test_a_value_that_would_not_come_back_as_it_is_is_refused(value: object) -> None:
    with pytest.raises(ArgumentError, match="pickle=True stores any object"):
        Codec().encode(KEY, value)


def test_a_value_without_end_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    deep: object = ()
    for _ in range(5000):
        deep = (deep,)
    for value in (endless, deep):
        with pytest.raises(ArgumentError):
            Codec().encode(KEY, value)


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    bomb = zlib.compress(bytes(200_000_000))
    assert len(bomb) < 200_000
    with pytest.raises(Unreadable, match="zlib: more than 1000000 bytes"):
        Codec(most_bytes=1_000_000).decode(KEY, bomb, 8)


def test_what_is_compressed_already_stays_as_it_is() -> None:
    page = b"\x1f\x8b" + b"a" * 5000
    assert Codec().encode(KEY, page) == (page, 0)
    noise = os.urandom(5000)
    assert Codec().encode(KEY, noise) == (noise, 0)
    text = b"<p>" * 2000
    body, flags = Codec().encode(KEY, text)
    assert (flags, len(body) < 200) == (8, True)
    assert Codec(compress_from=None).encode(KEY, text) == (text, 0)


def test_a_value_beyond_the_bound_is_refused() -> None:
    with pytest.raises(TooLarge, match="value: 1001 bytes; the most is 1000"):
        Codec(most_bytes=1000).encode(KEY, bytes(1001))


def test_the_value_of_another_key_is_never_returned() -> None:
    body, flags = Codec().encode(HASHED, "mine")
    other = WireKey(HASHED.wire, b"a key whose hash is the same")
    with pytest.raises(Unreadable, match="another key"):
        Codec().decode(other, body, flags)
    with pytest.raises(Unreadable, match="without the key"):
        Codec().decode(HASHED, b"planted", 0)


@pytest.mark.parametrize("value", [b"bytes", "text", [1, 2], b""], ids=repr)
def test_a_signature_binds_value_kind_and_key(value: object) -> None:
    codec = Codec(sign_key=SECRET)
    body, flags = codec.encode(KEY, value)
    assert codec.decode(KEY, body, flags) == value
    for forged in (
        body[:-1] + bytes([body[-1] ^ 1]),
        body[:5] + bytes([body[5] ^ 1]) + body[6:],
        body[:-1],
        b"",
    ):
        with pytest.raises(Unreadable):
            codec.decode(KEY, forged, flags)
    with pytest.raises(Unreadable, match="signature"):
        codec.decode(KEY, body, flags ^ 16)
    with pytest.raises(Unreadable, match="signature"):
        codec.decode(Keys().make("other"), body, flags)
    with pytest.raises(Unreadable, match="signature"):
        Codec(sign_key=b"another key, 16+").decode(KEY, body, flags)
    with pytest.raises(Unreadable, match="without a signature"):
        codec.decode(KEY, *Codec().encode(KEY, "unsigned"))
    assert Codec().decode(KEY, body, flags) == value


@pytest.mark.parametrize(
    ("value", "body", "flags"), [(41, b"41", 4), (b"41", b"41", 0), (2**64 - 1, b"18446744073709551615", 4)]
)
def test_what_memcached_can_count_with_is_never_sealed(value: object, body: bytes, flags: int) -> None:
    for codec in (Codec(), Codec(sign_key=SECRET)):
        assert codec.encode(HASHED, value) == (body, flags)
        assert codec.decode(HASHED, body, flags) == value
    assert Codec(sign_key=SECRET).encode(KEY, "41")[1] == 16 + 1024
    assert Codec().encode(HASHED, b"1" * 21)[1] == 1024
    with pytest.raises(Unreadable):
        Codec().decode(HASHED, b"1" * 21, 0)


def test_counters_need_no_signature() -> None:
    assert Codec(sign_key=SECRET).decode(KEY, b"41", 0) == b"41"
    assert Codec(sign_key=SECRET).decode(KEY, b"41", 4) == 41
    with pytest.raises(Unreadable):
        Codec(sign_key=SECRET).decode(KEY, b"41", 16)


@given(body=st.binary(max_size=200), flags=st.integers(0, 2**32 - 1))
def test_garbage_is_unreadable_and_nothing_else(body: bytes, flags: int) -> None:
    for codec in (Codec(pickle=False), Codec(sign_key=SECRET)):
        for key in (KEY, HASHED):
            try:
                codec.decode(key, body, flags)
            except Unreadable as refused:
                assert str(refused)


@pytest.mark.parametrize("flags", [4096, CHUNKED, 1 << 31])
def test_flags_of_others_are_not_guessed_at(flags: int) -> None:
    with pytest.raises(Unreadable, match="not ours"):
        Codec().decode(KEY, b"x", flags)


def test_a_number_of_too_many_digits_is_not_read() -> None:
    with pytest.raises(Unreadable, match="digits"):
        Codec().decode(KEY, b"1" * 100_000, 4)


def test_dates_numbers_and_groups_keep_their_types() -> None:
    value = {
        "at": datetime(2026, 11, 25, 20, 30, tzinfo=UTC),
        "day": date(2026, 2, 28),
        "for": timedelta(days=-1, microseconds=5),
        "price": Decimal("19.90"),
        "id": UUID("12345678123456781234567812345678"),
        "tags": frozenset({"a", ("b", 1)}),
        "long": 2**100,
        "complex": 1 + 2j,
    }
    body, flags = Codec().encode(KEY, value)
    back = Codec().decode(KEY, body, flags)
    assert back == value
    assert isinstance(back, dict)
    assert [type(one) for one in back.values()] == [type(one) for one in value.values()]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"compress_from": -1}, "compress_from"),
        ({"compress_from": float("nan")}, "compress_from"),
        ({"most_bytes": 0}, "most_bytes"),
        ({"most_bytes": float("inf")}, "most_bytes"),
        ({"sign_key": b"short"}, "sign_key"),
        ({"sign_key": "text of 16 chars"}, "sign_key"),
    ],
    ids=str,
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as met:
        Codec(**options)  # type: ignore[arg-type]
    assert "short" not in str(met.value)
