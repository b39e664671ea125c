"""Shares of visitors: the right one, always the same, and nobody leaves one that grows."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.errors import SettingError
from wsgistack.splits import Split, make_key, mark_of, parse_splits


def test_shares_are_kept() -> None:
    (split,) = parse_splits("button: green 30%, red 0.5%, blue 20%")
    found = [split.bucket(b"secret", str(number).encode()) for number in range(20_000)]
    shares = {name: round(found.count(name) / 200, 1) for name in ("green", "red", "blue", "")}
    assert shares == pytest.approx({"green": 30, "red": 0.5, "blue": 20, "": 49.5}, abs=1.0)


@given(st.binary(max_size=20), st.integers(1, 99))
def test_nobody_leaves_a_bucket_that_grows(visitor: bytes, share: int) -> None:
    (small,), (large,) = parse_splits(f"beta {share}%"), parse_splits(f"beta {share + 1}%")
    assert small.bucket(b"s", visitor) in ("", large.bucket(b"s", visitor))


def test_splits_know_nothing_of_each_other() -> None:
    one, two = parse_splits("one: a 50%; two: a 50%")
    both = sum(one.bucket(b"s", n) == two.bucket(b"s", n) for n in (str(i).encode() for i in range(10_000)))
    assert both / 100 == pytest.approx(50, abs=3)


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ("", "split: no bucket is given; it reads as 'beta 5%' or 'name: a 30%, b 30%'"),
        ("beta", "split: 'beta' is not a bucket and its share, such as 'beta 5%'"),
        ("beta 5", "split: 'beta 5' is not a bucket and its share, such as 'beta 5%'"),
        ("beta 101%", "split: 'beta 101%' takes more than all, which is 100%"),
        ("beta 5% up to 101%", "split: 'beta 5% up to 101%' takes more than all, which is 100%"),
        ("a 60%, b 50%", "split 'a': its buckets take 110 %, more than all"),
        ("a 5%, a 5%", "split 'a': the bucket 'a' stands there twice"),
        ("a 5%; a 5%", "split: two splits have the name 'a'"),
        ("a 5%; A 5%", "split: two splits have the name 'a'"),
        ("a 50%, - 5%", "split 'a': no bucket can be called '-', which stands for who is in none"),
        ("a 50%, b 50.001%", "split 'a': its buckets take 100.001 %, more than all"),
        ("x: ", "split: '' is not a bucket and its share, such as 'beta 5%'"),
    ],
)
def test_what_is_no_split_is_refused(split: str, told: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_splits(split)
    assert str(caught.value) == told


def test_a_share_ends_where_it_says() -> None:
    (split,) = parse_splits("beta 0.5%")
    assert split.buckets == (("beta", 21474836),)
    ends_at_him = Split("beta", (("beta", 1001908079),))
    assert ends_at_him.bucket(make_key("0123456789abcdef"), b"2b3ea1459fbaa920ca2620d6") == ""


def test_the_last_bucket_of_a_split_grows_alone() -> None:
    (small,), (large,) = parse_splits("a 30%, b 10%"), parse_splits("a 30%, b 50%")
    for visitor in (str(number).encode() for number in range(300)):
        before, after = small.bucket(b"s", visitor), large.bucket(b"s", visitor)
        assert before == after or (before, after) == ("", "b")


@st.composite
def growing(draw: st.DrawFn) -> tuple[str, str, str]:
    """Return the texts of a split before and after one of its buckets has grown, and that bucket."""
    names = [f"b{number}" for number in range(draw(st.integers(1, 8)))]
    rooms = [draw(st.integers(1, 100 // len(names))) for _ in names]
    taken = [draw(st.integers(0, room)) for room in rooms]
    grows = draw(st.integers(0, len(names) - 1))
    after = [draw(st.integers(share, rooms[at])) if at == grows else share for at, share in enumerate(taken)]
    texts = [
        ", ".join(
            f"{name} {share}% up to {room}%" for name, share, room in zip(names, now, rooms, strict=True)
        )
        for now in (taken, after)
    ]
    return texts[0], texts[1], names[grows]


@settings(max_examples=examples(40), deadline=None)
@given(growing(), st.lists(st.binary(min_size=1, max_size=8), min_size=20, max_size=20))
def test_nobody_moves_but_from_nobodys_into_a_share_that_grows_as_far_as_it_may(
    split: tuple[str, str, str], visitors: list[bytes]
) -> None:
    (before,), (after,) = parse_splits(split[0]), parse_splits(split[1])
    moved = {
        (was, now)
        for visitor in visitors
        if (was := before.bucket(b"s", visitor)) != (now := after.bucket(b"s", visitor))
    }
    assert moved <= {("", split[2])}


def test_as_many_move_as_a_share_grows_by() -> None:
    one, two = (f"a 5% up to 30%, b {share}% up to 40%, c 10%" for share in (10, 30))
    (before,), (after,) = parse_splits(one), parse_splits(two)
    visitors = [str(number).encode() for number in range(20_000)]
    moves = Counter((before.bucket(b"s", one), after.bucket(b"s", one)) for one in visitors)
    assert moves.keys() == {("a", "a"), ("b", "b"), ("c", "c"), ("", "b"), ("", "")}
    shares = {pair: count / 200 for pair, count in moves.items()}
    expected = {("a", "a"): 5, ("b", "b"): 10, ("c", "c"): 10, ("", "b"): 20, ("", ""): 55}
    assert shares == pytest.approx(expected, abs=1.0)


def test_a_share_with_room_begins_where_one_of_that_size_would() -> None:
    (split,) = parse_splits("a 5% up to 25%, b 25%, c 0% up to 50%")
    assert split.buckets == (("a", 214748365), ("", 2**30), ("b", 2**31), ("c", 2**31), ("", 2**32))
    assert split.names == ["a", "b", "c"]


def test_a_split_draws_the_same_however_its_name_is_written() -> None:
    # The balancer has names of pools in lower case.
    (one,), (two,) = parse_splits("Beta 5%"), parse_splits("beta 5%")
    assert one.place(b"s", b"ann") == two.place(b"s", b"ann")


def test_shares_that_are_all_together_leave_nobody_out() -> None:
    (split,) = parse_splits("a 29.6%, b 34.7%, c 35.7%")  # as floats they are a little more than 100
    assert split.buckets[-1] == ("c", 2**32)


def test_what_is_drawn_and_signed_never_changes() -> None:
    # Cookies that browsers have would be worth nothing, and everybody would change his bucket.
    (split,) = parse_splits("beta 5%")
    key = make_key("0123456789abcdef")
    assert split.place(key, b"2b3ea1459fbaa920ca2620d6") == 1001908079
    assert mark_of(key, "2b3ea1459fbaa920ca2620d6") == "1063a6534561455ec31bb9a2"


def test_everything_that_is_wrong_with_splits_is_told_at_once() -> None:
    with pytest.raises(SettingError) as caught:
        parse_splits("a 60%, a 50%, - 1%; b 5, c 500%, d 5%; A: x 5%; y: z")
    assert caught.value.complaints == (
        "split: two splits have the name 'a'",
        "split 'a': its buckets take 111 %, more than all",
        "split 'a': no bucket can be called '-', which stands for who is in none",
        "split 'a': the bucket 'a' stands there twice",
        "split: 'b 5' is not a bucket and its share, such as 'beta 5%'",
        "split: 'c 500%' takes more than all, which is 100%",
        "split: 'z' is not a bucket and its share, such as 'beta 5%'",
    )
