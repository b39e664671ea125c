"""The first processes are forks, later ones are not; each test has a process of its own to fork."""

import subprocess
import sys

from tests.house.source import ROOT

BEGIN = """
import os, threading
from wsgistack.balancer.plane.board import Board
from wsgistack.balancer.starting import Forked, Starter

starter = Starter(Board.create(2))

def held(pid):
    # What a process has open; what it closes while it is looked at is nothing that it keeps.
    names = {}
    for fd in os.scandir(f"/proc/{pid}/fd"):
        try:
            names[int(fd.name)] = os.readlink(fd.path)
        except FileNotFoundError:
            pass
    return names
"""


def run(program: str) -> list[str]:
    """Return the lines that *program* prints after BEGIN."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_first_process_of_a_seat_is_a_fork_and_the_next_one_has_an_interpreter_of_its_own() -> None:
    program = """
starter.fork_first(workers=2, keeper=True)
seats = [lambda: starter.worker(0), lambda: starter.worker(1), starter.keeper]
for start in seats * 2:
    process, channel = start()
    print(type(process).__name__, next(message["type"] for message in channel if message["type"] == "ready"))
    channel.close()
    print(process.wait())
"""
    assert run(program) == ["Forked ready", "0"] * 3 + ["Popen ready", "0"] * 3


def test_a_fork_has_its_own_end_of_its_own_channel_and_no_other() -> None:
    program = """
starter.fork_first(workers=2, keeper=True)
ours = set(map(os.readlink, (f"/proc/self/fd/{fd}" for _, fd in starter._forked.values())))
for seat, (process, _) in starter._forked.items():
    while open(f"/proc/{process.pid}/comm").read().strip() != f"wsgi {seat}":
        pass  # it has closed what is not its own once it has its name
    theirs = {name for fd, name in held(process.pid).items() if fd > 2}
    print(seat, ours & theirs, len([name for name in theirs if name.startswith("socket:")]))
starter.close()
"""
    assert run(program) == ["keeper set() 1", "worker 0 set() 1", "worker 1 set() 1"]


def test_forks_that_nobody_asked_for_are_gone_after_the_end() -> None:
    program = """
starter.fork_first(workers=2, keeper=True)
pids = [process.pid for process, _ in starter._forked.values()]
starter.close()
print(len(pids), [pid for pid in pids if os.path.exists(f"/proc/{pid}")])
"""
    assert run(program) == ["3 []"]


def test_a_process_with_threads_forks_nothing() -> None:
    program = """
over = threading.Event()
thread = threading.Thread(target=over.wait)
thread.start()
starter.fork_first(workers=2, keeper=True)
process, channel = starter.worker(0)
print(type(process).__name__)
channel.close()
over.set()
process.wait()
"""
    assert run(program) == ["Popen"]


def test_the_end_of_a_fork_is_seen_as_that_of_any_child() -> None:
    program = """
for end in (lambda: os._exit(7), lambda: os.kill(os.getpid(), 9)):
    pid = os.fork()
    if not pid:
        end()
    child = Forked(pid)
    print(child.wait(), child.poll(), child.kill())
"""
    assert run(program) == ["7 7 None", "-9 -9 None"]


def test_the_end_of_a_fork_is_seen_where_sigchld_is_ignored() -> None:
    program = """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
pid = os.fork()
if not pid:
    os._exit(7)
print(Forked(pid).wait())
"""
    assert run(program) == ["0"]


def test_where_no_fork_is_to_be_had_an_interpreter_is_started_and_nothing_is_left_open() -> None:
    program = """
def refuse():
    raise BlockingIOError("too many processes")

fork, os.fork = os.fork, refuse
before = os.listdir("/proc/self/fd")
starter.fork_first(workers=2, keeper=True)
print(os.listdir("/proc/self/fd") == before)
os.fork = fork
process, channel = starter.worker(0)
print(type(process).__name__)
channel.close()
process.wait()
"""
    assert run(program) == ["True", "Popen"]


def test_forks_begin_where_proc_is_not_mounted_and_have_no_ends_of_others_either() -> None:
    program = """
def refuse(path):
    raise FileNotFoundError(path)

listdir, os.listdir = os.listdir, refuse
starter.fork_first(workers=2, keeper=True)
os.listdir = listdir
ours = set(map(os.readlink, (f"/proc/self/fd/{fd}" for _, fd in starter._forked.values())))
for start in (lambda: starter.worker(0), lambda: starter.worker(1), starter.keeper):
    process, channel = start()
    print(type(process).__name__, next(message["type"] for message in channel if message["type"] == "ready"))
    print(ours & set(held(process.pid).values()))
    channel.close()
    print(process.wait())
"""
    assert run(program) == ["Forked ready", "set()", "0"] * 3
