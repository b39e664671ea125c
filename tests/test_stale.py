"""The check for stale reads itself finds what is wrong, and only that."""

from __future__ import annotations

import pytest

from tests.stale import Change, History

SET, NEXT = Change(0, 1, 0, "a"), Change(2, 3, 0, "b")
GONE = Change(2, 3, 0, None)
CASES: dict[str, tuple[list[Change], Change, bool]] = {
    "what is there": ([SET], Change(2, 3, 0, "a"), False),
    "what was overwritten": ([SET, NEXT], Change(4, 5, 0, "a"), True),
    "what was removed": ([SET, GONE], Change(4, 5, 0, "a"), True),
    "what was removed by another one": ([SET, GONE._replace(who=1)], Change(4, 5, 0, "a"), True),
    "what is being removed": ([SET, GONE], Change(2.5, 5, 0, "a"), False),
    "what came while it was removed": ([SET._replace(ended=2.5), GONE], Change(4, 5, 0, "a"), False),
    "what came back": ([SET, NEXT, Change(3.5, 3.6, 0, "c")], Change(4, 5, 0, "c"), False),
    "what was made again": ([SET, NEXT, Change(4, 5, 0, "a")], Change(6, 7, 0, "a"), False),
    "what was made again and removed": (
        [SET, NEXT, Change(4, 5, 0, "a"), Change(6, 7, 0, None)],
        Change(8, 9, 0, "a"),
        True,
    ),
    "what nobody knows to have made": ([SET, GONE], Change(4, 5, 0, "x"), False),
}


@pytest.mark.parametrize("name", CASES)
def test_a_read_is_stale_if_what_it_found_was_gone_before_it_began(name: str) -> None:
    changes, read, is_stale = CASES[name]
    history = History("key")
    for change in changes:
        history.change(change)
    history.read(read)
    found = list(history.find_stale())
    assert [one.read for one in found] == ([read] if is_stale else [])
    assert all(one.is_own is (one.gone.who == 0) for one in found)


def test_what_a_value_was_made_beside_took_nobodys_place() -> None:
    history = History("key")
    history.change(SET)
    history.make(NEXT)
    history.read(Change(4, 5, 0, "a"))
    assert list(history.find_stale()) == []
