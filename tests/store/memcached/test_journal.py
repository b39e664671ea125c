"""What is dirty is noted, taken out once, and never forgotten silently."""

from wsgistack.store.memcached.journal import Journal, Load


def test_dirty_keys_are_taken_out_in_batches() -> None:
    journal = Journal()
    journal.add([b"a", b"b", b"a", b"c"])
    assert len(journal) == 3
    loads = [journal.take(2), journal.take(2)]
    assert sorted(loads[0].keys + loads[1].keys) == [b"a", b"b", b"c"]
    assert [load.overflowed for load in loads] == [False, False]


def test_a_key_is_dirty_until_it_is_known_to_be_removed() -> None:
    journal = Journal()
    journal.add([b"a"])
    load = journal.take(9)
    assert (journal.holds(b"a"), journal.holds(b"b"), journal.is_clean) == (True, False, False)
    journal.settle(load)
    assert (journal.holds(b"a"), journal.is_clean) == (False, True)


def test_what_is_taken_twice_is_dirty_until_both_are_through() -> None:
    journal = Journal()
    journal.add([b"a"])
    first = journal.take(9)
    second = journal.take(9)
    journal.settle(second)
    assert (second, journal.holds(b"a"), journal.is_clean) == (Load(False, []), True, False)
    journal.settle(first)
    assert journal.is_clean


def test_more_keys_than_fit_empty_the_whole_node() -> None:
    journal = Journal(most_keys=2)
    journal.add([b"a", b"b"])
    assert journal.has_overflowed is False
    journal.add([b"c"])
    assert (journal.is_clean, journal.holds(b"of which nobody said a word")) == (False, True)
    load = journal.take(9)
    assert (load, journal.has_overflowed, journal.holds(b"a")) == (Load(True, []), False, True)
    journal.settle(load)
    assert (journal.take(9), journal.holds(b"a")) == (Load(False, []), False)


def test_copies_are_found_by_their_keys_and_taken_out_at_once() -> None:
    journal = Journal()
    for name in ("n2", "n3", "n2"):
        journal.add_copy(b"a", name)
    assert (journal.copies_of(b"a"), journal.copies_of(b"b")) == (("n2", "n3"), ())
    assert (len(journal), journal.has_copies, journal.is_clean) == (1, True, True)
    assert journal.list_copies() == [(b"a", "n2"), (b"a", "n3")]
    assert journal.take_copies() == ([(b"a", "n2"), (b"a", "n3")], set())
    assert (journal.has_copies, journal.take_copies()) == (False, ([], set()))


def test_more_copies_than_fit_may_be_any_of_the_node_that_holds_them() -> None:
    journal = Journal(most_keys=1)
    journal.add_copy(b"a", "n2")
    journal.add_copy(b"b", "n3")
    assert (journal.copies_of(b"a"), journal.copies_of(b"c")) == (("n2", "n3"), ("n3",))
    assert journal.take_copies() == ([(b"a", "n2")], {"n3"})


def test_what_could_not_be_removed_is_noted_again() -> None:
    journal = Journal()
    journal.add([b"a"])
    journal.has_overflowed = True
    journal.put_back(journal.take(9))
    load = journal.take(9)
    assert load == Load(True, [b"a"])
    journal.settle(load)
    assert journal.is_clean
