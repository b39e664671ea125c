"""Who imports whom: the rules of docs/architecture.md section 3, one row each."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.source import ROOT, Import, find_files, imports_of, module_name

GROUND = r"(http|store|settings|registry|metrics|clock|complaints|errors|files|forks|memos|splits)\b"
SUPERVISOR = r"supervisor|keeping|signals|dns_client|local_names|lookout|operations|resolver|channel|listeners|processes|publisher|sockets|starting|succession|upgrade"  # one room, cut by subject
EDGES = rf"keeper\b|balancer\.((admin|examine|probes|worker|{SUPERVISOR})\b|plane\b)|store\.memcached\b"


@dataclass(frozen=True, slots=True)
class Rule:
    """Modules that match *who* import nothing that matches *what*, unless it matches *but*."""

    who: str
    what: str
    but: str = "$^"


W = r"wsgistack\."
RULES = {
    "the ground floor stands on itself": Rule(W + GROUND, W, but=W + GROUND),
    "http does not lean on store": Rule(W + r"http\b", W + r"store\b"),
    "store does not lean on http": Rule(W + r"store\b", W + r"http\b"),
    "cache stands alone": Rule(W + r"cache\b", W + r"(ratelimit|balancer)\b"),
    "ratelimit stands alone": Rule(W + r"ratelimit\b", W + r"(cache|balancer)\b"),
    "engines do not know their middleware": Rule(
        W + r"(cache|ratelimit)\.(?!middleware\b)", W + r"(cache|ratelimit)\.middleware\b"
    ),
    "nobody knows the keeper, which knows both the balancer and WSGI": Rule(
        W + r"(?!keeper\b)", W + r"keeper\b"
    ),
    "the balancer knows no WSGI": Rule(W + r"balancer\b", W + r"(wsgi\b|stack\b|\w+\.middleware\b)"),
    "only edges know gevent and sockets": Rule(W + rf"(?!{EDGES})", r"(gevent|socket|_socket|selectors)\b"),
    "decisions do not know the plane": Rule(
        W + r"balancer\.(control|health|algorithms|language|model)\b", W + r"balancer\.plane\b"
    ),
    "the package does not know its tests": Rule(W, r"(tests|demo|bench|tools)\b"),
}


def offences(rule: Rule, imports: list[Import]) -> list[str]:
    """Return what breaks *rule*, each with its file and line."""
    return [
        f"{one.path}:{one.line} imports {one.target}"
        for one in imports
        if re.match(rule.who, module_name(ROOT / one.path))
        and re.match(rule.what, one.target)
        and not re.match(rule.but, one.target)
    ]


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    """Every import of the package, compiled modules included."""
    files = find_files("*.py", "*.pyx", "*.pxd", rooms=["wsgistack"])
    return [one for path in files for one in imports_of(path)]


@pytest.mark.parametrize("name", RULES)
def test_the_floor_plan_holds(name: str, imports: list[Import]) -> None:
    assert offences(RULES[name], imports) == []


def test_imports_are_absolute(imports: list[Import]) -> None:
    assert [f"{one.path}:{one.line}" for one in imports if one.is_relative] == []


def test_no_module_imports_itself_by_way_of_others(imports: list[Import]) -> None:
    graph: dict[str, set[str]] = {}
    for one in imports:
        # A .pxd declares what its .pyx defines; a type-only import is not there at run time.
        if one.target.startswith("wsgistack") and not one.for_types_only and not one.path.endswith(".pxd"):
            graph.setdefault(module_name(ROOT / one.path), set()).add(one.target)
    assert find_cycle(graph) == []


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return one cycle of *graph* as the modules on it, [] if there is none; self-imports do not count."""
    done: set[str] = set()

    def walk(module: str, trail: list[str]) -> list[str]:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in done:
            return []
        for target in sorted(graph.get(module, set()) - {module}):
            if cycle := walk(target, [*trail, module]):
                return cycle
        done.add(module)
        return []

    return next((cycle for module in sorted(graph) if (cycle := walk(module, []))), [])


def test_a_cycle_is_found() -> None:
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


@pytest.mark.parametrize(
    ("file", "text", "targets"),
    [
        (
            "a.py",
            "import socket\nfrom wsgistack.balancer import model",
            ["socket", "wsgistack.balancer.model"],
        ),
        ("a.py", "def late():\n    import gevent.socket", ["gevent.socket"]),
        ("a.pyx", "from wsgistack.balancer.plane cimport (\n    wire,\n)", ["wsgistack.balancer.plane.wire"]),
        ("a.pyx", "cimport cython\nfrom libc.string cimport memcpy", ["libc.string", "cython"]),
    ],
    ids=["python", "inside a function", "cimport", "plain cimport"],
)
def test_imports_are_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str, text: str, targets: list[str]
) -> None:
    for name in ("balancer/model.py", "balancer/plane/wire.pyx"):
        (tmp_path / "wsgistack" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "wsgistack" / name).touch()
    monkeypatch.setattr("tests.house.source.ROOT", tmp_path)
    (tmp_path / file).write_text(text)
    assert [one.target for one in imports_of(tmp_path / file)] == targets


def test_an_offence_names_file_and_line() -> None:
    one = Import("wsgistack/balancer/control.py", 3, "wsgistack.balancer.plane.wire")
    rule = RULES["decisions do not know the plane"]
    assert offences(rule, [one]) == ["wsgistack/balancer/control.py:3 imports wsgistack.balancer.plane.wire"]
