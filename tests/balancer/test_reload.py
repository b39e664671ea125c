"""A reload as a plan: what differs, what of the changes since still fits."""

from tests.balancer.stage import Stage
from wsgistack.balancer.journal import Entry
from wsgistack.balancer.language.session import Session
from wsgistack.balancer.reload import Plan, plan

FILE = """\
SERVER workers = 2
CREATE POOL mypool
  POOL mypool ADD 10.0.0.1
CREATE SERVICE mysite
  SET role = reverse_proxy
  SET listen = 127.0.0.1:8080
  SET pool = mypool
ENABLE mysite
"""


def planned(text: str, *changes: str) -> Plan:
    """Return the plan from FILE to *text* with *changes* on top; they were made before."""
    stage = Stage()
    stage.session = Session.of_file({})
    for line in [*FILE.split("\n"), *changes]:
        stage.say(line)
    entries = [Entry(1.0, "telnet", line) for line in changes]
    return plan(
        text, "site.conf", stage.control.blueprint(), entries, environment={"N": "10.0.0.3"}, workers=4
    )


def test_the_same_file_changes_nothing() -> None:
    same = planned(FILE)
    assert (same.commands, same.problems, same.refused) == ([], [], [])


def test_what_differs_is_done() -> None:
    assert planned(FILE + "POOL mypool ADD $N weight=2\n").commands == [
        "POOL ADD mypool 10.0.0.3:80 weight=2"
    ]


def test_changes_made_meanwhile_are_kept_on_top_of_the_file() -> None:
    both = planned(
        FILE + "POOL mypool ADD 10.0.0.2\n", "POOL mypool REMOVE 10.0.0.1", "POOL mypool ADD 10.0.0.9"
    )
    assert both.commands == ["POOL ADD mypool 10.0.0.2:80"]
    assert [entry.line for entry in both.kept] == ["POOL mypool REMOVE 10.0.0.1", "POOL mypool ADD 10.0.0.9"]


def test_a_change_that_does_not_fit_any_more_is_left_out_and_told() -> None:
    other = planned(
        FILE.replace("mypool", "other"), "POOL mypool ADD 10.0.0.9", "SET mysite.buffer_size = 1k"
    )
    assert [(entry.line, reason) for entry, reason in other.refused] == [
        ("POOL mypool ADD 10.0.0.9", "Pool 'mypool' not found")
    ]
    assert [entry.line for entry in other.kept] == ["SET mysite.buffer_size = 1k"]
    assert other.commands == [
        "CREATE POOL other",
        "POOL ADD other 10.0.0.1:80",
        "SET mysite.pool = other",
        "DELETE POOL mypool",
    ]


def test_errors_are_all_told() -> None:
    wrong = planned(FILE.replace("role = rev", "role = re") + "POOL mypol ADD 10.0.0.2\n")
    assert [(problem.number, problem.message) for problem in wrong.errors] == [
        (5, "Role not valid for service mysite (did you mean 'reverse_proxy'?)"),
        (9, "Pool 'mypol' not found (did you mean 'mypool'?)"),
    ]


def test_what_is_fixed_at_the_start_stays_and_is_told() -> None:
    fewer = planned(FILE.replace("workers = 2", "workers = 3\nSERVER journal = /var/lib/j"))
    assert fewer.commands == []
    assert [problem.message for problem in fewer.problems] == [
        "workers = 3: it is fixed at the start and stays 2 until an upgrade",
        "journal = /var/lib/j: it is fixed at the start and stays none until an upgrade",
    ]
    assert fewer.errors == []
