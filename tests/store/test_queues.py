"""S3-FIFO by itself: in which order entries go; the numbers are bytes and the clock's."""

from __future__ import annotations

from wsgistack.store.queues import Entry, Queues

NOW, LATER = 0.0, 100.0


class Room:
    """Queues of 100 bytes, a tenth of it small, and the names that had to go."""

    def __init__(self) -> None:
        self.gone: list[str] = []
        self.queues = Queues(100, lambda entry: self.gone.append(entry.key))

    def take(self, names: str, *, uses: int = 0, until: float = LATER, pinned: bool = False) -> list[Entry]:
        """Let entries of 10 bytes in, making room for each, and use each."""
        taken = []
        for name in names:
            entry = Entry(name, b"", until, 10, 1)
            self.queues.admit(entry, pinned=pinned)
            self.queues.make_room(NOW)
            entry.uses = uses
            taken.append(entry)
        return taken


def test_what_was_not_used_goes_in_the_order_in_which_it_came() -> None:
    room = Room()
    room.take("abcdefghijklm")
    assert room.gone == ["a", "b", "c"]


def test_what_was_used_once_stays_while_others_pass_and_goes_in_its_turn() -> None:
    room = Room()
    room.take("abcdefghij", uses=1)
    room.take("k")  # all ten go on to main, and the first of it makes room
    assert room.gone == ["a"]
    room.take("lmnop")
    assert room.gone == ["a", "k", "l", "m", "n", "o"]


def test_what_was_used_in_main_has_another_turn_and_who_stands_behind_it_goes() -> None:
    room = Room()
    _, second, *_ = room.take("abcdefghij", uses=1)
    room.take("k", uses=1)
    second.uses = 1
    room.take("l")
    assert room.gone == ["a", "c"]
    assert second.uses == 0


def test_what_comes_back_soon_goes_to_main_at_once() -> None:
    room = Room()
    room.take("abcdefghijk")
    assert room.gone == ["a"]
    room.take("a")
    room.take("lmnop")
    assert room.gone == ["a", "b", "c", "d", "e", "f", "g"]


def test_what_has_expired_goes_before_what_was_used_and_leaves_no_ghost() -> None:
    room = Room()
    (old,) = room.take("a", uses=3, until=-1.0)
    room.take("bcdefghij", uses=1)
    room.take("k")
    assert (room.gone, old.uses) == (["a"], 3)
    room.queues.make_room(NOW)
    room.take("a")
    assert room.gone == ["a", "k"]  # it came in as new; else it would stand in main, and go first


def test_what_is_pinned_never_goes_until_it_has_expired() -> None:
    room = Room()
    room.take("abcdefghi", pinned=True)
    room.take("jkl")
    assert room.gone == ["j", "k"]
    room.take("m", pinned=True)
    assert (room.gone, room.queues.make_room(NOW)) == (["j", "k", "l"], True)
    room.take("n", pinned=True)
    assert room.queues.make_room(NOW) is False
    assert room.queues.make_room(LATER) is True
    assert "".join(sorted(room.gone)) == "abcdefghijklmn"
