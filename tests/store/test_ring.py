"""Rings: snapshots, the places of other programs, and the change from one to the next."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from uhashring import HashRing

from wsgistack.errors import ConfigurationError, UnknownName
from wsgistack.store.layouts import Member
from wsgistack.store.ring import LiveRing, Ring, build

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
KEYS = [f"page:/articles/{number}" for number in range(60)]
# The first node listens on libmemcached's default port, which is left out of its name.
ADDRESSES = [("127.77.0.1", 11211), *[(f"127.77.0.{number + 2}", 21211 + number) for number in range(24)]]

# What pylibmc 1.6.3 (libmemcached 1.0.16) and nginx 1.22.1 did: for each key the number of the node
# that they asked.  `make conformance-ring` asks them again, for many more rings.
PLACES = {
    ("libmemcached", (1, 1, 1)): "021220000212212022001112211020000202200110101222221011021222",
    ("libmemcached", (1,) * 25): "i2ldnj8djdfco15g7308ec55in7f4jj4f4034gcbomn7d3on6dfo7102bng6",
    ("libmemcached", (1, 2, 3)): "222222220222222122001112212022000212210112102222221121022222",
    ("libmemcached", (4, 8, 5, 1, 7)): "023140401242412012044114144040444404444144401422244041021222",
    ("ketama100", (1, 1, 1)): "202201002211221021100120011020102211202211221112001001110022",
    ("ketama100", (1,) * 25): "8o2ldhmm9h9ahehija1mc7haof13bo1jcfh5h7hja1hbhc5incf4d5mcnbao",
    ("ketama100", (1, 2, 3)): "202201002211221021100120011020102211202211221112001001110022",
    ("ketama100", (4, 8, 5, 1, 7)): "442244003211221024140120041324133214232411321142041401410042",
    ("ketama100_md5", (1, 1, 1)): "001020101212211112000011201011011101010202202201012012020112",
    ("ketama100_md5", (1,) * 25): "mo8jba8ajhk766meih540amico60c3o658c9b6clbmdi83kd0d7e1mo6bm32",
    ("ketama100_md5", (4, 8, 5, 1, 7)): "003020404232243142040314201043441404310334202331043312020432",
    ("nginx", (1, 1, 1)): "112101022010011110200020112221102222022112221200021201021020",
    ("nginx", (1,) * 25): "1fl84eb2fm7lf31kldbklb459cdiai17b7bge83om74jiake0mlmf96m93oi",
    ("nginx", (1, 2, 3)): "121201022210011210112012112222122211122221221220022201021011",
    ("nginx", (4, 8, 5, 1, 7)): "110441421144041121114114441014142410323210441240124444142441",
}


def members_of(weights: tuple[int, ...]) -> list[Member]:
    return [Member(host, port, weight) for (host, port), weight in zip(ADDRESSES, weights, strict=False)]


@pytest.mark.parametrize(("layout", "weights"), PLACES, ids=str)
def test_a_key_is_where_the_other_program_keeps_it(layout: str, weights: tuple[int, ...]) -> None:
    ring = build(layout, members_of(weights))
    assert "".join(DIGITS[ring.place(key)] for key in KEYS) == PLACES[layout, weights]


@pytest.mark.parametrize("weights", [(1,), (1, 1, 1), (1,) * 25, (1, 2, 3), (4, 8, 5, 1, 7)], ids=str)
def test_ketama_is_uhashrings_ketama(weights: tuple[int, ...]) -> None:
    members = members_of(weights)
    theirs = HashRing({member.address: member.weight for member in members}, hash_fn="ketama")
    ours = build("ketama", members)
    for number in range(2000):
        key = f"key:{number}"
        assert ours.owner(key).address == theirs.get_node(key)
        assert [one.address for one in ours.owners(key, 3)] == list(theirs.iterate_nodes(key))[:3]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([], "a ring of 0 nodes; it takes 1 to 1000"),
        ([Member("a")] * 2, "the ring has a:11211 twice"),
        ([Member("a"), Member("a", 11211, 2)], "the ring has a:11211 twice"),
        ([Member("a", weight=0)], "a:11211: weight 0 is not a whole number from 1 to 1000"),
        ([Member("a", weight=-1)], "weight -1 is not"),
        ([Member("a", weight=1001)], "weight 1001 is not"),
        ([Member("a", weight=float("nan"))], "weight nan is not"),  # type: ignore[arg-type]
        ([Member("a", weight=1.5)], "weight 1.5 is not"),  # type: ignore[arg-type]
        ([Member(str(number)) for number in range(1001)], "a ring of 1001 nodes"),
        ([Member(str(number), weight=1000) for number in range(10)], "the weights ask for 1600000 points"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_ring_that_cannot_be_meant_is_refused(members: list[Member], words: str) -> None:
    with pytest.raises(ConfigurationError) as met:
        build("ketama", members)
    assert words in str(met.value)


def test_an_unknown_layout_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'ketama'"):
        build("ketma", [Member("a")])


def test_a_socket_has_its_path_for_an_address() -> None:
    assert Member("/run/memcached.sock", 0).address == "/run/memcached.sock"
    assert Member("10.0.0.1").address == "10.0.0.1:11211"


def changed(live: LiveRing, members: list[Member]) -> Ring:
    """Change a ring and wait until the change is done."""
    done = threading.Event()
    live.change(members, done=lambda ring: done.set())
    assert done.wait(30)
    return live.ring


def test_a_change_is_swapped_in_whole() -> None:
    live = LiveRing("ketama", [Member("a"), Member("b")])
    before = live.ring
    after = changed(live, [Member("a"), Member("b"), Member("c")])
    assert before.members == (Member("a"), Member("b"))
    assert after.members == (Member("a"), Member("b"), Member("c"))
    fresh = build("ketama", after.members)
    assert [after.place(key) for key in KEYS] == [fresh.place(key) for key in KEYS]
    assert live.ring is after


def test_a_change_that_cannot_be_meant_leaves_the_ring_alone() -> None:
    live = LiveRing("ketama", [Member("a")])
    before = live.ring
    with pytest.raises(ConfigurationError, match="0 nodes"):
        live.change([])
    assert live.ring is before


def test_the_last_change_asked_for_stays() -> None:
    live = LiveRing("ketama", [Member("a")])
    last = threading.Event()
    for count in range(2, 30):
        live.change([Member(str(number)) for number in range(count)], done=lambda ring: None)
    live.change([Member("z")], done=lambda ring: last.set())
    assert last.wait(30)
    assert live.ring.members == (Member("z"),)


def test_a_fork_between_making_a_ring_and_using_it_uses_it_again() -> None:
    live = LiveRing("ketama", [Member("a")])
    used: list[Ring] = []
    is_over = threading.Event()

    def use(ring: Ring) -> None:
        used.append(ring)
        if len(used) == 1:
            live.forked()  # what a child does that was forked just now
            is_over.set()

    live.change([Member("b")], done=use)
    assert is_over.wait(30)
    assert [ring.members for ring in used] == [(Member("b"),), (Member("b"),)]


def test_reading_never_fails_while_the_ring_changes() -> None:
    live = LiveRing("ketama", [Member(str(number)) for number in range(5)])
    stop = threading.Event()

    def read() -> int:
        count = 0
        while not stop.is_set():
            ring = live.ring
            assert ring.owner(f"key:{count}") in ring.members
            count += 1
        return count

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for count in range(1, 15):
            changed(live, [Member(str(number)) for number in range(1 + count % 7)])
        stop.set()
    assert all(reader.result() > 0 for reader in readers)
