"""Who makes a lock is told of forks: else a child may wait for a thread that only its parent has."""

import ast

import pytest

from tests.house.source import ROOT, find_files, module_name, parse_python

LOCKS = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier", "allocate_lock"}
# Locks whose owner is told by somebody else.
TOLD = {
    "wsgistack.store.ring": "LiveRing: by its cluster, after the nodes began anew",
    "wsgistack.ratelimit.taking": "Taker: by its table",
    "wsgistack.store.memcached.nodes": "Node: by its cluster",
}


def makes_locks(tree: ast.Module) -> bool:
    """Return whether a module calls, or names as a factory, anything of LOCKS."""
    nodes = [node for call in ast.walk(tree) if isinstance(call, ast.Call) for node in ast.walk(call)]
    return any(
        (isinstance(node, ast.Attribute) and node.attr in LOCKS)
        or (isinstance(node, ast.Name) and node.id in LOCKS)
        for node in nodes
    )


def is_told(tree: ast.Module) -> bool:
    """Return whether a module registers at wsgistack.forks."""
    return any(isinstance(node, ast.Attribute) and node.attr == "register" for node in ast.walk(tree))


@pytest.fixture(scope="module")
def owners() -> dict[str, ast.Module]:
    """Every module that makes locks and may be used by an application's server."""
    paths = find_files("*.py", rooms=["wsgistack"])
    named = [path for path in paths if any(word in path.read_text() for word in LOCKS)]
    trees = {module_name(path): parse_python(path) for path in named}
    return {
        name: tree
        for name, tree in trees.items()
        if not name.startswith("wsgistack.balancer") and makes_locks(tree)
    }


def test_who_makes_locks_is_told_of_forks(owners: dict[str, ast.Module]) -> None:
    assert [name for name, tree in owners.items() if not is_told(tree) and name not in TOLD] == []


def test_the_exceptions_are_needed(owners: dict[str, ast.Module]) -> None:
    assert [name for name in TOLD if name not in owners or is_told(owners[name])] == []


def test_there_is_one_way_to_be_told(owners: dict[str, ast.Module]) -> None:
    files = find_files("*.py", "*.pyx", rooms=["wsgistack"])
    users = [str(path.relative_to(ROOT)) for path in files if "register_at_fork(" in path.read_text()]
    assert users == ["wsgistack/forks.py"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = threading.Lock()", True),
        ("x = field(default_factory=threading.RLock)", True),
        ("x = allocate_lock()", True),
        ("def f(lock: threading.Lock) -> None: ...", False),
    ],
)
def test_locks_are_seen(code: str, expected: bool) -> None:
    assert makes_locks(ast.parse(code)) is expected
