"""Listening sockets through changes: what is closed and opened again at once keeps its queue."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.processes import choose_port
from wsgistack.balancer import sockets
from wsgistack.balancer.address import parse_listen
from wsgistack.balancer.listeners import Listeners
from wsgistack.balancer.model import Service
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.errors import CommandError, ListenError


class Stand:
    """Listeners of two workers, with the roles of two proxies and an admin port."""

    def __init__(self) -> None:
        self.admin: list[socket.socket] = []
        self.listeners = Listeners(2, find=self.find, serve_admin=self.serve)

    def find(self, name: str) -> Service:
        """Return a service whose role its name tells."""
        return Service(
            name=name,
            slot=0,
            role="management" if name == "admin" else "reverse_proxy",
            enabled=True,
            pool=None,
            listen=(),
            settings=SERVICE_SETTINGS.defaults(),
            insert=(),
            remove=(),
        )

    def serve(self, service: str, sock: socket.socket) -> Callable[[], None]:
        """Take an admin port."""
        self.admin.append(sock)
        return sock.close


@pytest.fixture
def stand() -> Iterator[Stand]:
    """One that is closed after the test."""
    stand = Stand()
    yield stand
    stand.listeners.close_all()


def address() -> str:
    return f"127.0.0.1:{choose_port()}"


def test_what_is_opened_is_told_to_the_workers_once(stand: Stand) -> None:
    where = address()
    stand.listeners.open("a", where)
    changes = stand.listeners.take_changes()
    assert changes.adopted == [("a", where)]
    assert not stand.listeners.take_changes()
    first, second = (stand.listeners.of_worker(n)["a", where] for n in range(2))
    assert len({*first, *second}) == 2


def test_closed_and_opened_again_at_once_nothing_happens(stand: Stand) -> None:
    where = address()
    stand.listeners.open("a", where)
    stand.listeners.take_changes()
    before = stand.listeners.of_worker(0)
    stand.listeners.close("a", where)
    stand.listeners.open("a", where)
    assert not stand.listeners.take_changes()
    assert stand.listeners.of_worker(0) == before


def test_an_address_moves_to_another_service_with_its_queue(stand: Stand) -> None:
    where = address()
    stand.listeners.open("a", where)
    stand.listeners.take_changes()
    before = stand.listeners.of_worker(0)["a", where]
    host, port = where.split(":")
    with socket.create_connection((host, int(port))):
        stand.listeners.close("a", where)
        stand.listeners.open("b", where)
        changes = stand.listeners.take_changes()
        assert (changes.adopted, list(changes.released)) == ([("b", where)], [("a", where)])
        changes.close()
        assert stand.listeners.of_worker(0) == {("b", where): before}


def test_what_was_reserved_is_used_and_the_rest_is_closed(stand: Stand) -> None:
    one, two = address(), address()
    stand.listeners.reserve(one, stand.find("a"))
    stand.listeners.reserve(two, stand.find("admin"))
    with pytest.raises(ListenError, match="Address already in use"):
        sockets.listen(parse_listen(two), 1)
    stand.listeners.open("a", one)
    stand.listeners.drop_spare()
    for sock in sockets.listen(parse_listen(two), 1):
        sock.close()
    assert stand.listeners.addresses() == {"a": one}


def test_what_is_taken_cannot_be_reserved(stand: Stand) -> None:
    where = address()
    (taken,) = sockets.listen(parse_listen(where), 1)
    with taken, pytest.raises(ListenError, match="Address already in use"):
        stand.listeners.reserve(where, stand.find("a"))


def test_a_unix_socket_that_is_opened_again_has_a_new_path(stand: Stand, tmp_path: Path) -> None:
    where = f"unix:{tmp_path}/s"
    stand.listeners.open("a", where)
    stand.listeners.take_changes()
    stand.listeners.close("a", where)
    stand.listeners.open("a", where)
    changes = stand.listeners.take_changes()
    assert changes.adopted == [("a", where)]
    assert (tmp_path / "s").is_socket()
    changes.close()


def test_more_inherited_sockets_than_workers_are_shared_out(stand: Stand) -> None:
    where = address()
    inherited = sockets.listen(parse_listen(where), 5)
    numbers = [sock.fileno() for sock in inherited]
    stand.listeners.provide(where, inherited)
    stand.listeners.open("a", where)
    assert stand.listeners.of_worker(0) == {("a", where): numbers[::2]}
    assert stand.listeners.of_worker(1) == {("a", where): numbers[1::2]}
    stand.listeners.close_of_worker(1)
    assert [sock.fileno() == -1 for sock in inherited] == [False, True, False, True, False]


def test_fewer_inherited_sockets_than_workers_serve_several(stand: Stand) -> None:
    where = address()
    (inherited,) = sockets.listen(parse_listen(where), 1)
    stand.listeners.provide(where, [inherited])
    stand.listeners.open("a", where)
    fds = [stand.listeners.of_worker(n)["a", where] for n in range(2)]
    assert len(fds[0]) == len(fds[1]) == 1 and fds[0] != fds[1]


def test_an_admin_port_is_not_given_a_token_file_that_opens_it_to_nobody(
    stand: Stand, tmp_path: Path
) -> None:
    settings = SERVICE_SETTINGS.defaults() | {"admin_token_file": str(tmp_path / "token")}
    with pytest.raises(CommandError, match=f"token file {tmp_path}/token: No such file or directory"):
        stand.listeners.check("management", settings)
    stand.listeners.check("reverse_proxy", settings)
    (tmp_path / "token").write_text("0123456789abcdef")
    (tmp_path / "token").chmod(0o600)
    stand.listeners.check("management", settings)


def test_an_admin_port_takes_one_inherited_socket(stand: Stand) -> None:
    where = address()
    inherited = sockets.listen(parse_listen(where), 2)
    stand.listeners.provide(where, inherited)
    stand.listeners.open("admin", where)
    assert stand.admin == [inherited[0]]
    assert inherited[1].fileno() == -1


def test_where_the_keeper_asks_nobody_is_told_and_no_successor_listens(stand: Stand, tmp_path: Path) -> None:
    key, where = ("a", f"unix:{tmp_path}/i0"), address()
    stand.listeners.open("a", where)
    stand.listeners.keep_inner({key})
    assert stand.listeners.take_changes().adopted == [("a", where), key]
    stand.listeners.keep_inner({key})
    assert not stand.listeners.take_changes()
    assert [stand.listeners.is_inner(one) for one in (key, ("a", where))] == [True, False]
    assert stand.listeners.addresses() == {"a": where}
    assert list(stand.listeners.all_sockets()) == [where]
    assert key in stand.listeners.of_worker(1)
    stand.listeners.leave()  # workers drain: what they work on still needs it
    assert (tmp_path / "i0").exists()
    stand.listeners.keep_inner(set())
    changes = stand.listeners.take_changes()
    assert list(changes.released) == [key]
    assert not (tmp_path / "i0").exists()
    changes.close()
