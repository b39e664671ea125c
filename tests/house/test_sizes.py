"""Modules stay within 400 lines, functions within 60: STYLE says why, an exception says its reason."""

import ast
import re
from pathlib import Path

import pytest

from tests.house.source import ROOT, find_files, parse_python

MODULE_LINES = 400
FUNCTION_LINES = 60

# file: (lines allowed, reason)
PLANE = "wsgistack/balancer/plane"
ONE_MACHINE = "one state machine on the hot path: its steps call each other, across modules through pointers"
LONG_MODULES: dict[str, tuple[int, str]] = {
    f"{PLANE}/downstream.pyx": (600, ONE_MACHINE),
    f"{PLANE}/relay.pyx": (640, ONE_MACHINE),
    f"{PLANE}/upstream.pyx": (600, ONE_MACHINE),
}
# file:function: (lines allowed, reason)
LONG_FUNCTIONS: dict[str, tuple[int, str]] = {}

CYTHON_FUNCTION = re.compile(r"^([ \t]*)(?:cdef|cpdef|def)\b(?!\s+class\b)[^\n=]*?\b(\w+)\(", re.MULTILINE)


def function_sizes(path: Path) -> list[tuple[str, int, int]]:
    """Return (name, first line, number of lines) of every function in *path*, methods included."""
    if path.suffix == ".py":
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        nodes = [node for node in ast.walk(parse_python(path)) if isinstance(node, functions)]
        return [
            (node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1) for node in nodes
        ]
    return cython_function_sizes(path.read_text())


def cython_function_sizes(text: str) -> list[tuple[str, int, int]]:
    """Return the same for Cython, by indentation: a function ends before the next line at its depth."""
    lines = text.splitlines()
    sizes = []
    for match in CYTHON_FUNCTION.finditer(text):
        first = text.count("\n", 0, match.start())
        depth = len(match[1])
        last = first
        for number, line in enumerate(lines[first + 1 :], first + 1):
            body = line.strip()
            if body and len(line) - len(line.lstrip()) <= depth and body[0] not in ")]}":
                break
            last = number if body else last
        if last > first:  # a declaration in an extern block has no body
            sizes.append((match[2], first + 1, last - first + 1))
    return sizes


def test_no_module_is_too_long() -> None:
    too_long = []
    for path in find_files("*.py", "*.pyx"):
        name = str(path.relative_to(ROOT))
        lines = len(path.read_text().splitlines())
        limit = LONG_MODULES.get(name, (MODULE_LINES, ""))[0]
        if lines > limit:
            too_long.append(f"{name}: {lines} lines, {limit} allowed")
    assert too_long == []


def test_no_function_is_too_long() -> None:
    too_long = []
    for path in find_files("*.py", "*.pyx"):
        name = str(path.relative_to(ROOT))
        for function, line, lines in function_sizes(path):
            limit = LONG_FUNCTIONS.get(f"{name}:{function}", (FUNCTION_LINES, ""))[0]
            if lines > limit:
                too_long.append(f"{name}:{line} {function}: {lines} lines, {limit} allowed")
    assert too_long == []


def test_an_exception_is_needed_and_has_its_reason() -> None:
    for name, (limit, reason) in LONG_MODULES.items():
        assert len((ROOT / name).read_text().splitlines()) > MODULE_LINES, (
            f"{name} needs no exception any more"
        )
        assert limit and reason
    for name, (limit, reason) in LONG_FUNCTIONS.items():
        file, _, function = name.partition(":")
        lines = max((size for found, _, size in function_sizes(ROOT / file) if found == function), default=0)
        assert lines > FUNCTION_LINES, f"{name} needs no exception any more"
        assert limit and reason


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        (
            "cdef int one(int a) nogil:\n    return a\n\n\ndef two():\n    pass\n",
            [("one", 1, 2), ("two", 5, 2)],
        ),
        ("cdef extern from *:\n    int close(int)\n", []),
        (
            "cdef class A:\n    cdef int go(\n        self,\n    ):\n        return 1\n    x = 1\n",
            [("go", 2, 4)],
        ),
    ],
    ids=["functions", "declarations", "methods"],
)
def test_cython_functions_are_measured(text: str, sizes: list[tuple[str, int, int]]) -> None:
    assert cython_function_sizes(text) == sizes
