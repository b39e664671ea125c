"""What is dirty is noted, taken out once, and never forgotten silently."""

from wsgistack.store.memcached.journal import Journal, Load


def test_dirty_keys_are_taken_out_in_batches() -> None:
    journal = Journal()
    journal.add([b"a", b"b", b"a", b"c"])
    assert len(journal) == 3
    assert sorted(journal.take(2) + journal.take(2)) == [b"a", b"b", b"c"]
    assert (journal.take(2), journal.is_clean) == ([], True)


def test_more_keys_than_fit_empty_the_whole_node() -> None:
    journal = Journal(most_keys=2)
    journal.add([b"a", b"b"])
    assert journal.has_overflowed is False
    journal.add([b"c"])
    assert (journal.take(9), journal.is_clean) == ([], False)
    assert (journal.take_overflow(), journal.take_overflow(), journal.is_clean) == (True, False, True)


def test_copies_are_removed_from_where_they_are() -> None:
    journal = Journal()
    journal.add_copy(b"a", "n2")
    journal.add_copy(b"a", "n3")
    assert journal.is_clean is False
    assert sorted(journal.take_copies(9)) == [(b"a", "n2"), (b"a", "n3")]
    assert journal.is_clean is True


def test_more_copies_than_fit_empty_the_node_that_holds_them() -> None:
    journal = Journal(most_keys=1)
    journal.add_copy(b"a", "n2")
    journal.add_copy(b"b", "n3")
    assert (journal.is_clean, journal.take_flooded()) == (False, {"n3"})
    assert journal.take_copies(9) == [(b"a", "n2")]
    assert journal.is_clean is True


def test_what_could_not_be_removed_is_noted_again() -> None:
    journal = Journal()
    journal.put_back(Load(True, [b"a"], {"n2"}, [(b"b", "n3")]))
    assert (journal.take(9), journal.take_copies(9)) == ([b"a"], [(b"b", "n3")])
    assert (journal.take_flooded(), journal.take_overflow()) == ({"n2"}, True)
    journal.put_back(Load(False, [], set(), []))
    assert journal.is_clean
