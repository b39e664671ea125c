"""The services: roles, ports, and what follows from what; the words are tests of the language."""

import re

import pytest

from tests.balancer.stage import Stage


@pytest.fixture
def stage() -> Stage:
    """The site of the manual, with a quiet log of its ports."""
    stage = Stage()
    stage.make_site()
    stage.ports.log.clear()
    return stage


def listens(stage: Stage, name: str) -> tuple[str, ...]:
    return stage.control.snapshot.services[name].listen


def test_a_listener_moves_by_opening_first(stage: Stage) -> None:
    stage.do("set mysite.listen = 127.0.0.1:81, [::1]:81")
    assert stage.ports.log == ["open 127.0.0.1:81", "open [::1]:81", "close 127.0.0.1:8080"]
    assert listens(stage, "mysite") == ("127.0.0.1:81", "[::1]:81")


def test_a_listener_that_stays_is_not_touched(stage: Stage) -> None:
    stage.do("set mysite.listen = 127.0.0.1:8080 127.0.0.1:81")
    assert stage.ports.log == ["open 127.0.0.1:81"]


def test_a_move_that_fails_is_undone(stage: Stage) -> None:
    stage.ports.taken.add("127.0.0.1:82")
    reason = "Error creating listening socket: Address already in use"
    assert stage.say("set mysite.listen = 127.0.0.1:81, 127.0.0.1:82") == [
        f"ERROR: Can't start service 'mysite' on 127.0.0.1:82: {reason}"
    ]
    assert stage.ports.log == ["open 127.0.0.1:81", "close 127.0.0.1:81"]
    assert listens(stage, "mysite") == ("127.0.0.1:8080",)


def test_an_enable_that_fails_is_undone(stage: Stage) -> None:
    stage.do("create service s", "set role = reverse_proxy", "set listen = 127.0.0.1:1, 127.0.0.1:2")
    stage.ports.taken.add("127.0.0.1:2")
    assert stage.say("enable s")[0].startswith("ERROR: Can't start service 's' on 127.0.0.1:2: Error")
    assert stage.ports.log == ["open 127.0.0.1:1", "close 127.0.0.1:1"]
    assert not stage.control.snapshot.services["s"].enabled
    stage.ports.taken.clear()
    stage.do("enable s")


def test_two_enabled_services_cannot_share_an_address(stage: Stage) -> None:
    stage.do("create service s", "set role = reverse_proxy", "set listen = 127.0.0.1:8080")
    assert stage.say("enable s") == [
        "ERROR: Can't start service 's' on 127.0.0.1:8080: service 'mysite' listens there"
    ]
    stage.do("disable mysite", "enable s")


def test_listening_is_not_moved_while_disabled(stage: Stage) -> None:
    stage.do("disable mysite")
    stage.ports.log.clear()
    stage.do("set mysite.listen = 81")
    assert (stage.ports.log, listens(stage, "mysite")) == ([], ("0.0.0.0:81",))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("junk", "Listen argument must be ip:port or port. e.g. 192.168.0.1:80 or 81 ('junk': a port between 1 and 65535 is missing)"),
        ("localhost:80", "Listen argument must be ip:port or port. e.g. 192.168.0.1:80 or 81 ('localhost:80' is a name)"),
        ("127.0.0.1:1, 127.0.0.1:1", "127.0.0.1:1 is listed twice"),
    ],
)  # fmt: skip
def test_what_nobody_can_listen_on_is_refused(stage: Stage, text: str, error: str) -> None:
    assert stage.say(f"set mysite.listen = {text}") == [f"ERROR: {error}"]


@pytest.mark.parametrize("address", ["60000", "10.0.0.1:60000", "[::]:60000", "127.0.0.1:1, 0.0.0.0:1"])
def test_the_admin_port_is_not_opened_to_others_without_a_token(stage: Stage, address: str) -> None:
    refusal = r"ERROR: a management service on \S+ is open to others and needs a token: SET admin_token_file"
    assert re.match(refusal, stage.say(f"set admin.listen = {address}")[0])
    stage.do("create service later", f"set listen = {address}", "set role = management")
    assert re.match(refusal, stage.say("enable later")[0])
    assert not stage.control.snapshot.services["later"].enabled


OPEN = "127.0.0.1:60001, 0.0.0.0:60002"


@pytest.mark.parametrize("key", ["admin_token", "readonly_token"])
def test_with_a_token_it_is(stage: Stage, key: str) -> None:
    stage.do(f"set admin.{key} = 0123456789abcdef", f"set admin.listen = {OPEN}")
    assert stage.ports.open_now[-1] == ("admin", "0.0.0.0:60002")


@pytest.mark.parametrize("line", ["set admin.admin_token = none", "set admin.role = management"])
def test_the_last_token_of_an_open_port_stays(stage: Stage, line: str) -> None:
    stage.do("set admin.admin_token = 0123456789abcdef", f"set admin.listen = {OPEN}")
    before = stage.control.snapshot
    assert "needs a token" in stage.say(line)[0]
    assert stage.control.snapshot is before
    stage.do("set admin.admin_token_file = /etc/token", "set admin.admin_token = none")


def test_a_token_file_that_would_lock_a_running_port_is_refused(stage: Stage) -> None:
    stage.ports.missing.add("/etc/token")
    before = stage.control.snapshot
    refusal = ["ERROR: token file /etc/token: No such file or directory"]
    assert stage.say("set admin.admin_token_file = /etc/token") == refusal
    assert stage.control.snapshot is before
    stage.do("create service other", "set other.role = management", "set other.admin_token_file = /etc/token")


def test_a_token_belongs_to_a_management_service(stage: Stage) -> None:
    assert stage.say("set mysite.admin_token = 0123456789abcdef") == [
        "ERROR: The 'admin_token' option can only be set on a 'management' service"
    ]


@pytest.mark.parametrize("address", ["127.0.0.2:60001", "[::1]:60001", "unix:/run/admin.sock"])
def test_the_admin_port_moves_among_local_addresses(stage: Stage, address: str) -> None:
    stage.do(f"set admin.listen = {address}")
    assert stage.ports.log == [f"open {address}", "close 127.0.0.1:60000"]


def test_the_first_role_leaves_alone_what_was_set_before(stage: Stage) -> None:
    stage.do("default server_tokens = off", "create service s", "set persist_client = off")
    stage.do("set listen = 127.0.0.1:9", "set role = reverse_proxy", "set pool = mypool")
    service = stage.control.snapshot.services["s"]
    assert (service.listen, service.pool) == (("127.0.0.1:9",), "mypool")
    assert (service.settings["persist_client"], service.settings["server_tokens"]) == (False, False)


def test_a_second_role_brings_the_defaults_back_but_not_for_pool_and_listen(stage: Stage) -> None:
    stage.do("set mysite.role = reverse_proxy")
    service = stage.control.snapshot.services["mysite"]
    assert service.settings["verify_backend"] is False
    assert (service.listen, service.pool) == (("127.0.0.1:8080",), "mypool")


def test_the_role_of_an_enabled_service_is_fixed(stage: Stage) -> None:
    assert stage.say("set admin.role = reverse_proxy") == [
        "ERROR: service 'admin' is enabled: its role cannot change"
    ]
    stage.do("disable mysite", "set mysite.role = management")
    assert stage.control.snapshot.services["mysite"].pool is None


def test_there_are_no_more_services_than_places() -> None:
    stage = Stage()
    for n in range(64):
        stage.do(f"create service s{n}")
    assert stage.say("create service more") == ["ERROR: all 64 places for services are taken"]
    assert stage.say("show service more") == ["ERROR: Unknown service"]


def test_the_role_is_known_while_a_port_opens(stage: Stage) -> None:
    roles: list[str | None] = []

    def opening(service: str, address: str) -> None:
        roles.append(stage.control.service(service).role)

    stage.do("create service s", "set role = management", "set listen = 127.0.0.1:5")
    stage.ports.open = opening  # type: ignore[method-assign]  # the supervisor asks just then
    stage.do("enable s")
    assert roles == ["management"]
