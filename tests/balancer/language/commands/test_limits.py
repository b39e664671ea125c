"""CREATE LIMIT, SET, and the limit command, over a table that tests look into."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.balancer.stage import FakePorts, FakeStats, Stage
from tests.balancer.test_dump import dumped, replay
from wsgistack.balancer.control import Control
from wsgistack.balancer.difference import difference
from wsgistack.balancer.language.session import Session
from wsgistack.balancer.ledger import BoardLedger, no_counts
from wsgistack.balancer.limit import Step
from wsgistack.balancer.past import Past
from wsgistack.balancer.plane.board import Board
from wsgistack.balancer.plane.limit_units import UnitsKernel
from wsgistack.ratelimit.rows import RowFile

ADDRESS = b"a" + b"\0" * 10 + b"\xff\xff" + bytes([10, 9, 8, 7])


class LimitedStage(Stage):
    """A control plane over a real table of limits; `stage.board` is its scoreboard."""

    def __init__(self) -> None:
        super().__init__()
        self.board = Board.create(1)
        self.past = Past()
        self.ledger = BoardLedger(self.board, self.past)
        self.control = Control(
            ports=FakePorts(),
            stats=FakeStats(),
            files=self.files,
            workers=1,
            started_at=1000.0,
            ledger=self.ledger,
        )

    def words(self, step: int = 1, limit: str = "api", key: bytes = ADDRESS) -> tuple[int, int, int]:
        """Return what the table holds under a step of a limit."""
        return self.ledger.get(key, self.control.snapshot.limits[limit].steps[step].id)

    def count(self, **counts: Any) -> None:
        """Let a balancer before this one have counted so for the limit that was made first."""
        self.past.follow({"api": 0}, {"api": {"row": 0, "counted": no_counts() | counts}}, None)

    def use_up(self, used: int, limit: str = "api", key: bytes = ADDRESS) -> None:
        """Let a key have used so many of a fixed window that ends in an hour."""
        step = self.control.snapshot.limits[limit].steps[1]
        self.ledger.put(key, step.id, (self.ledger.now() + 3_600_000_000, used, 0))


@pytest.fixture
def stage() -> Iterator[LimitedStage]:
    stage = LimitedStage()
    stage.make_site()
    stage.do("CREATE LIMIT api", "SET rate = 100/hour fixed", "SET mysite.limit = api")
    yield stage
    stage.board.close()


def test_a_limit_is_dumped_before_the_service_that_has_it_and_can_be_replayed(stage: LimitedStage) -> None:
    stage.do(
        "CREATE LIMIT slow",
        "SET rate = 2/second",
        "SET slow.key = header:X-Key",
        "SET mysite.limit = slow, api",
    )
    lines = dumped(stage)
    assert "CREATE LIMIT api" in lines
    assert lines.index("  SET key = header:x-key") < lines.index("  SET limit = slow, api")
    assert dumped(replay(lines)) == lines


@pytest.mark.parametrize(
    ("lines", "commands"),
    [
        (["SET api.rate = 5/second"], ["SET api.rate = 5/second"]),
        (["limit set api 5/second"], ["SET api.rate = 5/second"]),
        (["SET mysite.limit = none"], ["SET mysite.limit = none"]),
        (["SET mysite.limit = none", "DELETE LIMIT api"], ["SET mysite.limit = none", "DELETE LIMIT api"]),
        (
            ["CREATE LIMIT x", "SET rate = 1/s", "SET mysite.limit = x api"],
            ["CREATE LIMIT x", "SET x.rate = 1/second", "SET mysite.limit = x, api"],
        ),
        (["limit reset api"], []),
    ],
)
def test_what_differs_is_told_as_commands(stage: LimitedStage, lines: list[str], commands: list[str]) -> None:
    before = stage.control.blueprint()
    stage.do(*lines)
    assert difference(before, stage.control.blueprint()) == commands


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("CREATE LIMIT api", "limit 'api' already exists"),
        ("CREATE LIMIT mysite", "service 'mysite' already exists"),
        ("CREATE LIMIT _x", "'_x': the name of a limit begins with a letter or a digit"),
        ("SET mysite.limit = apo", "limit 'apo' does not exist (did you mean 'api'?)"),
        (
            "SET mysite.limit = 100/minute",
            (
                "limit '100/minute' does not exist: it is a limit's name that stands here,"
                " CREATE LIMIT makes one and SET rate says how much"
            ),
        ),
        ("SET mysite.limit = api, api", "limit 'api' is listed twice"),
        ("SET admin.limit = api", "The 'limit' option can only be set on a 'reverse_proxy' service"),
        ("DELETE LIMIT api", "limit 'api' is used by service 'mysite'"),
        ("DELETE LIMIT apo", "limit 'apo' does not exist (did you mean 'api'?)"),
        ("SET api.buffer_size = 1k", "'api' is a limit, buffer_size belongs to a service"),
        ("SET mysite.rate = 1/s", "'mysite' is a service, rate belongs to a limit"),
        (
            "limit shw",
            "limit shw: one of show, top, usage, set, reset, ban, unban is meant (did you mean 'show'?)",
        ),
        ("limit ban api somebody", "'somebody' is not the IP address of a client"),
        ("limit ban api 10.9.8.7 for ever", "'ever', column 1: met 'ever', expected a unit of time"),
        ("limit reset apo", "limit 'apo' does not exist (did you mean 'api'?)"),
    ],
)
def test_what_is_refused_says_why(stage: LimitedStage, line: str, error: str) -> None:
    (said,) = stage.say(line)
    assert said.startswith("ERROR: ")
    assert error in said


def test_a_service_has_at_most_four_limits(stage: LimitedStage) -> None:
    for name in "bcde":
        stage.do(f"CREATE LIMIT {name}")
    assert stage.say("SET mysite.limit = api b c d e") == ["ERROR: 5 limits; a service has at most 4"]


def test_the_list_has_rates_keys_and_counts(stage: LimitedStage) -> None:
    stage.do("CREATE LIMIT all", "SET key = global", "SET rate = 9/s")
    assert stage.say("limit show") == [
        "all 9/second by global: allowed 0 refused 0 banned 0 watched 0",
        "api 100/hour fixed by ip: allowed 0 refused 0 banned 0 watched 0",
        "table: 0 of 131072 keys in use, 0 counts shared for want of room",
        ".",
    ]
    stage.use_up(3)
    assert stage.say("limit show")[-2] == "table: 1 of 131072 keys in use, 0 counts shared for want of room"


def test_the_size_of_the_table_is_fixed_at_the_start(stage: LimitedStage) -> None:
    fixed = "limit_keys is fixed at the start: change it in the file, and start again"
    assert stage.say("SERVER limit_keys = 1024") == [f"ERROR: {fixed}"]
    assert stage.say("SERVER limit_keys = 255") == ["ERROR: limit_keys: 255 is below 256"]


def test_one_limit_is_shown_with_its_settings_counts_and_users(stage: LimitedStage) -> None:
    lines = stage.say("limit show api")
    assert lines[:3] == ["rate 100/hour fixed", "key ip", "status auto"]
    assert "near 0" in lines
    shown = ["trouble 0", "unmetered 0", "near_ratio 0.0000", "decisions 0", "services mysite", "."]
    assert lines[-6:] == shown


def test_a_limit_is_shown_with_how_near_it_is_and_how_long_decisions_take(stage: LimitedStage) -> None:
    within = [40, 50, 8, *[0] * 13, 2]
    stage.count(allowed=80, near=20, refused=20, decisions={"within": within, "ns": 130_000})
    lines = stage.say("limit show api")
    assert {"allowed 80", "near 20", "near_ratio 0.2500"} <= set(lines)
    assert "decisions 100: mean 1.30 us, half within 2 us, 99 % above 100000 us" in lines


def test_a_client_is_shown_with_what_each_limit_leaves_it(stage: LimitedStage) -> None:
    stage.use_up(97)
    told = "api 10.9.8.7: 100/hour fixed: 3 left, more in 3600 s"
    assert stage.say("limit show api 10.9.8.7") == ["api 10.9.8.7: not banned", told, "."]
    assert stage.say("limit show 10.9.8.7") == ["api 10.9.8.7: not banned", told, "."]
    assert stage.say("limit show api ::ffff:10.9.8.7") == ["api 10.9.8.7: not banned", told, "."]
    assert stage.say("limit show api 2001:db8::1")[1] == "api 2001:db8::/64: 100/hour fixed: 100 left"


def test_one_client_or_all_of_them_are_forgotten(stage: LimitedStage) -> None:
    stage.use_up(100)
    stage.do("limit reset api 10.9.8.7")
    assert stage.words() == (0, 0, 0)
    stage.use_up(100)
    stage.do("limit reset api")
    assert stage.words() == (0, 0, 0)
    assert stage.control.snapshot.limits["api"].epoch == 1


def test_who_is_banned_by_hand_is_until_then_or_until_somebody_ends_it(stage: LimitedStage) -> None:
    stage.do("limit ban api 10.9.8.7 for 15 minutes")
    (said, _, _) = stage.say("limit show api 10.9.8.7")
    assert said == "api 10.9.8.7: banned, ends in 900 s"
    stage.do("limit unban api 10.9.8.7")
    assert stage.words(0) == (0, 0, 0)


def test_a_credential_is_shown_by_its_hash_alone(stage: LimitedStage) -> None:
    stage.do("CREATE LIMIT keyed", "SET key = header:X-Key", "SET rate = 1/hour", "limit ban keyed s3cret")
    lines = stage.say("limit show keyed s3cret")
    assert lines[0].startswith("keyed credential#")
    assert "banned, ends in 3600 s" in lines[0]
    assert "s3cret" not in "".join(lines)


def test_who_is_counted_with_everybody_has_no_key_of_its_own(stage: LimitedStage) -> None:
    stage.do(
        "CREATE LIMIT all", "SET key = global", "CREATE LIMIT each", "SET key = service", "SET rate = 1/hour"
    )
    said = "ERROR: limit all counts everybody together: limit reset all"
    assert stage.say("limit reset all 10.9.8.7") == [said]
    assert stage.say("limit show each mysite")[1] == "each service#0: 1/hour: 1 left"


def test_a_reader_may_look_but_change_nothing(stage: LimitedStage) -> None:
    stage.session.readonly = True
    assert stage.say("limit top") == ["."]
    for line in (
        "limit set api 1/s",
        "limit reset api",
        "limit ban api 10.9.8.7",
        "limit unban api 10.9.8.7",
    ):
        action = line.split()[1]
        assert stage.say(line) == [
            f"ERROR: this session is read-only, and 'limit {action}' changes something"
        ]


def test_a_file_may_set_a_rate_and_ban_nobody(stage: LimitedStage) -> None:
    stage.session = Session.of_file({})
    assert stage.say("limit set api 1/s") == []
    assert stage.say("limit ban api 10.9.8.7") == ["ERROR: 'limit ban' has no place in a file"]


def test_a_successor_knows_which_states_were_reset(stage: LimitedStage) -> None:
    stage.do("limit reset api")
    other = LimitedStage()
    other.control.restore(stage.control.export())
    other.do("CREATE LIMIT api", "SET rate = 100/hour fixed")
    other.control.restore_names(stage.control.export())
    assert other.control.snapshot.limits["api"] == stage.control.snapshot.limits["api"]
    stage.do("CREATE LIMIT new")
    assert stage.control.export()["limits"] == {"api": 1}
    other.board.close()


def test_a_limit_in_the_place_of_another_begins_at_zero(
    stage: LimitedStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[int] = []
    monkeypatch.setattr(stage.ledger, "reset", forgotten.append)
    stage.do("CREATE LIMIT second", "DELETE LIMIT second")
    assert forgotten == []
    stage.do("CREATE LIMIT third", "CREATE LIMIT fourth")
    assert forgotten == [stage.control.snapshot.limits["third"].slot]


def test_there_are_as_many_places_for_limits_as_the_scoreboard_has(stage: LimitedStage) -> None:
    stage.do(*(f"CREATE LIMIT n{number}" for number in range(63)))
    (told,) = stage.say("CREATE LIMIT beyond")
    assert told == "ERROR: all 64 places for limits are taken"


def test_units_that_are_kept_apart_are_shown_and_a_client_s_stamps_forgotten(stage: LimitedStage) -> None:
    stage.do("limit set api 3/hour exact; 5 concurrent; 9/calendar day")
    _, exact, slots, _ = stage.control.snapshot.limits["api"].steps
    holder = make_holder(stage, slots)
    for _ in range(2):
        holder.decide(stage.ledger.now())
    stamper = make_holder(stage, exact)
    stamper.decide(stage.ledger.now())
    assert [line.partition(" left")[0] for line in stage.say("limit show api 10.9.8.7")[1:-1]] == [
        "api 10.9.8.7: 3/hour exact: 2",
        "api 10.9.8.7: 5 concurrent: 3",
        "api 10.9.8.7: 9/calendar day UTC: 9",
    ]
    stage.do("limit reset api 10.9.8.7")
    told = "\n".join(stage.say("limit show api 10.9.8.7"))
    assert "3/hour exact: 3 left" in told
    assert "5 concurrent: 3 left" in told, "requests that run hold their places"
    holder.release(0)
    assert "5 concurrent: 4 left" in "\n".join(stage.say("limit show api 10.9.8.7"))


def make_holder(stage: LimitedStage, step: Step) -> UnitsKernel:
    """Return what counts for ADDRESS under a step, as a worker would."""
    numbers = {"kind": step.kind, "amount": step.engine.rate.amount, "window_us": step.engine.rate.window_us}
    more = {"burst": 1, "cost": 1, "length_us": 0, "longest_us": 0, "calendar": []}
    (seat,) = stage.board.seats
    assert stage.board.limits is not None
    return UnitsKernel(stage.board.limits, numbers | more, seat, key=ADDRESS, rate=step.id)


def test_explain_believes_proxies_as_workers_do(stage: LimitedStage) -> None:
    stage.do("SET mysite.trusted_upstream_proxies = 10.0.0.0/8", "SET mysite.forwarded = Forwarded")
    stage.use_up(97)
    lines = stage.say(
        'explain GET / from 10.0.0.1 "Forwarded: for=6.6.6.6" "Forwarded: for=10.9.8.7;proto=http, for=unknown"'
    )
    assert "limit api: 100 left of 100/hour fixed" in lines
    lines = stage.say(
        'explain GET / from 10.0.0.1 "Forwarded: for=unknown" "Forwarded: for=10.9.8.7;proto=http"'
    )
    assert "limit api: 3 left of 100/hour fixed" in lines


def test_explain_says_what_a_limit_would_do(stage: LimitedStage) -> None:
    stage.do("SET api.exempt = 10.1.0.0/16", "SET api.methods = GET", "SET api.path = /, /api/*")
    stage.use_up(97)
    assert "limit api: 3 left of 100/hour fixed" in stage.say("explain GET / from 10.9.8.7")
    assert "limit api: 100 left of 100/hour fixed" in stage.say("explain HEAD / from 10.9.8.8")
    assert "limit api: 3 left of 100/hour fixed" in stage.say("explain GET //%61pi/x?y from 10.9.8.7")
    for quiet in (
        "explain POST / from 10.9.8.7",
        "explain GET /other from 10.9.8.7",
        "explain GET / from 10.1.2.3",
    ):
        assert [line for line in stage.say(quiet) if line.startswith("limit")] == []
    stage.use_up(100)
    lines = stage.say("explain GET / from 10.9.8.7")
    assert lines[-3].startswith("limit api: 100/hour fixed has no room, more in ")
    assert lines[-2:] == ["answer 429: limit api has no room", "."]
    assert stage.words()[1] == 100  # nothing was counted
    stage.do("SET mysite.log_only = on")
    assert "answer 429: limit api has no room" not in stage.say("explain GET / from 10.9.8.7")
    stage.do("limit ban api 10.9.8.7")
    assert any(
        line.startswith("limit api: banned, ends in ") for line in stage.say("explain GET / from 10.9.8.7")
    )


def test_explain_believes_the_proxies_that_the_service_trusts(stage: LimitedStage) -> None:
    stage.use_up(97)
    asked = "explain GET / from 10.0.0.1 X-Forwarded-For: 6.6.6.6, 10.9.8.7"
    assert "limit api: 100 left of 100/hour fixed" in stage.say(asked)
    stage.do("SET mysite.trusted_upstream_proxies = 10.0.0.1")
    assert "limit api: 3 left of 100/hour fixed" in stage.say(asked)


def test_who_asks_while_a_stopped_process_holds_the_lock_is_told_so(stage: LimitedStage) -> None:
    assert stage.board.limits is not None
    stage.board.limits.hold(ADDRESS)
    (said,) = stage.say("limit show api 10.9.8.7")
    assert said == "ERROR: the table of limits is locked by a process that is stopped: try again"
    assert stage.say("limit unban api 10.9.8.7") == [said]
    stage.board.limits.release(ADDRESS)
    assert stage.say("limit unban api 10.9.8.7") == ["OK"]


def test_usage_is_told_where_something_is_metered(stage: LimitedStage, tmp_path: Path) -> None:
    assert stage.say("limit usage") == ["ERROR: nothing is metered: SERVER usage_folder names no folder"]
    stage.do(f"SERVER usage_folder = {tmp_path}")
    rows = RowFile(tmp_path, int(time.time()) // 3600)
    rows.add("api", bytes([10, 9, 8, 7]))[1] = 5
    rows.add("api", b"(others)")[3] = 2
    lines = stage.say("limit usage csv 2")
    assert [line.partition(",")[2] for line in lines[1:-1]] == [
        "api,10.9.8.7,0,5,0,0,0,0,0",
        "api,(others),0,0,0,2,0,0,0",
    ]
    assert json.loads("".join(stage.say("limit usage")[:-1]))["usage"][0]["2xx"] == 5
    told = [line for line in stage.say("limit usage prometheus") if "key=" in line]
    assert told[0] == 'wsgistack_ratelimit_key_requests{rule="api",key="10.9.8.7"} 5'
    assert stage.say("limit usage top") == ["api 10.9.8.7 5", "."]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (
            "limit usage jsn",
            "limit usage jsn: one of json, csv, prometheus, top is meant (did you mean 'json'?)",
        ),
        ("SERVER usage_folder = /locked", "usage_folder = /locked: Permission denied"),
    ],
)
def test_usage_that_cannot_be_told_or_kept_says_why(stage: LimitedStage, line: str, error: str) -> None:
    stage.files.locked.add("/locked")
    assert stage.say(line) == [f"ERROR: {error}"]
