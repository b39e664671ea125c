"""bench/usage.py: what /proc says about a tree of processes."""

import os
import subprocess
import sys

import pytest

from bench.usage import CpuReading, kernel_memory, process_tree, read_cpu, read_memory

CHILD = (
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()']); input()"
)


def test_the_total_is_exact_and_split_by_ticks() -> None:
    before = CpuReading({1: 1_000_000_000}, 100, 100)
    spent = CpuReading({1: 3_000_000_000, 2: 1_000_000_000}, 200, 400).since(before)
    assert (spent.user_s, spent.system_s, spent.exact) == (0.75, 2.25, True)


@pytest.mark.parametrize("threads", [{}, {2: 9_000_000_000}], ids=["no schedstat", "a thread has ended"])
def test_ticks_serve_where_nanoseconds_are_missing(threads: dict[int, int]) -> None:
    spent = CpuReading(threads, 200, 400).since(CpuReading({1: 1} if threads else {}, 100, 100))
    assert (spent.user_s, spent.system_s, spent.exact) == (1.0, 3.0, False)


def test_work_of_this_process_is_seen() -> None:
    before = read_cpu(os.getpid())
    sum(range(2_000_000))
    assert read_cpu(os.getpid()).since(before).total_s > 0


@pytest.mark.live
def test_a_tree_holds_the_children_of_children() -> None:
    command = [sys.executable, "-c", CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin and parent.stdout
        parent.stdout.readline()  # said by the grandchild
        tree = process_tree(parent.pid)
        memory, alone = read_memory(parent.pid), read_memory(tree[1])
        parent.stdin.write(b"\n\n")
    assert tree[0] == parent.pid and len(tree) == 2
    assert memory.rss > alone.rss > 1 << 20
    assert 0 < memory.pss <= memory.rss


def test_the_kernel_keeps_something() -> None:
    assert kernel_memory() > 1 << 20
