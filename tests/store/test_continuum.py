"""The circle of points, plain and compiled alike."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.store import continuum, continuum_cy
from wsgistack.store.hashes import HASHES

TWINS = [continuum, continuum_cy]
BOTH = pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])
POINT = HASHES["md5"](b"key")
words = st.integers(0, 2**32 - 1)


@BOTH
def test_a_hash_that_is_a_point_belongs_where_the_other_program_says(twin: ModuleType) -> None:
    # libmemcached takes the point itself, uhashring the next one.
    circle = [(0, [POINT]), (1, [(POINT + 1000) % 2**32])]
    assert twin.Continuum(circle, "md5").place(b"key") == 0
    assert twin.Continuum(circle, "md5", strictly_after=True).place(b"key") == 1


@BOTH
def test_of_equal_points_the_first_counts_or_the_last(twin: ModuleType) -> None:
    twice = [(1, [POINT]), (0, [POINT])]
    assert twin.Continuum(twice, "md5").place(b"key") == 1
    assert twin.Continuum(twice, "md5", last_wins=True).place(b"key") == 0
    assert len(twin.Continuum(twice, "md5")) == 1


@BOTH
def test_after_the_last_point_comes_the_first(twin: ModuleType) -> None:
    circle = twin.Continuum([(0, [POINT - 1]), (1, [POINT - 2])], "md5")
    assert circle.place(b"key") == 1
    assert circle.places(b"key", 2) == [1, 0]
    assert circle.places(b"key", 0) == []
    assert circle.place_many([b"key", b"key"]) == [1, 1]


@BOTH
def test_a_key_that_is_not_bytes_is_refused(twin: ModuleType) -> None:
    with pytest.raises((TypeError, AttributeError)):
        twin.Continuum([(0, [1])], "md5").place(None)
    with pytest.raises(KeyError):
        twin.Continuum([(0, [1])], "md6")


@given(
    points=st.lists(st.tuples(st.integers(0, 999), st.lists(words, max_size=5)), min_size=1, max_size=30),
    keys=st.lists(st.binary(max_size=150), max_size=20),
    name=st.sampled_from(sorted(HASHES)),
    strictly_after=st.booleans(),
    last_wins=st.booleans(),
)
def test_both_give_the_same_answers(
    points: list[tuple[int, list[int]]], keys: list[bytes], name: str, strictly_after: bool, last_wins: bool
) -> None:
    points.append((7, [5, POINT, 2**32 - 1]))
    options = {"strictly_after": strictly_after, "last_wins": last_wins}
    plain = continuum.Continuum(points, name, **options)
    compiled = continuum_cy.Continuum(points, name, **options)
    keys.append(b"key")
    assert len(plain) == len(compiled)
    assert plain.place_many(keys) == compiled.place_many(keys) == [compiled.place(key) for key in keys]
    assert [plain.places(key, 4) for key in keys] == [compiled.places(key, 4) for key in keys]


@pytest.mark.parametrize("name", sorted(HASHES))
@given(text=st.binary(max_size=300))
def test_the_compiled_hashes_are_the_plain_ones(name: str, text: bytes) -> None:
    assert continuum_cy.hash_of(name, text) == HASHES[name](text)


@pytest.mark.parametrize("size", [54, 55, 56, 57, 63, 64, 65, 119, 120, 128])
def test_md5_of_every_length_of_a_last_block(size: int) -> None:
    text = bytes(range(size))
    assert continuum_cy.hash_of("md5", text) == HASHES["md5"](text)
