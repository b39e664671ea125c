"""The list of what cannot run in a WebAssembly: how it is read, what it matches, and that it names what is there."""

from __future__ import annotations

import pytest

from tests.house.source import ROOT
from tools.pythons.left_out import LIST, LeftOut, extend, guess_reason

listed = LeftOut.parse(
    "# why\n\nthreads tests/a.py::test_b\ncompiled tests/plane\nfiles tests/c.py::test_d[x/y::z]\n"
)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("tests/a.py::test_b", "threads"),
        ("tests/a.py::test_b[1]", "threads"),
        ("tests/a.py::test_bc", None),
        ("tests/a.py", None),
        ("tests/plane/test_x.py", "compiled"),
        ("tests/plane/test_x.py::test_y[a]", "compiled"),
        ("tests/planes/test_x.py", None),
        ("tests/c.py::test_d[x/y::z]", "files"),
        ("tests/c.py::test_d[x/y]", None),
    ],
)
def test_a_test_is_left_out_as_itself_or_with_what_it_belongs_to(name: str, reason: str | None) -> None:
    assert listed.reason_of(name) == reason


@pytest.mark.parametrize("line", ["tests/a.py::test_b", "weather tests/a.py::test_b", "threads"])
def test_nothing_is_left_out_without_a_reason(line: str) -> None:
    with pytest.raises(ValueError, match="line 2: met "):
        LeftOut.parse(f"\n{line}\n")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("RuntimeError: can't start new thread", "threads"),
        ("OSError: [Errno 138] emscripten does not support processes.", "processes"),
        ("OSError: [Errno 138] Operation not supported", "sockets"),
        ("OSError: not in wasm: wsgistack.balancer.plane.pick", "compiled"),
        ("OSError: not in wasm: brotli", "packages"),
        ("assert 1 == 2", None),
    ],
)
def test_a_reason_is_guessed_by_what_only_a_webassembly_says(words: str, reason: str | None) -> None:
    assert guess_reason(words) == reason


def test_what_a_webassembly_lacks_is_added_and_what_a_version_broke_is_not() -> None:
    thread = "RuntimeError: can't start new thread"
    failed = {
        "t/a.py::whole[1]": thread,
        "t/a.py::whole[2]": thread,
        "t/a.py::part[1]": thread,
        "t/a.py::broken": "1 == 2",
    }

    made = extend("# head\nfiles t/z.py::old\n", failed, passed={"t/a.py::part[2]"})

    assert made == "# head\nthreads t/a.py::part[1]\nthreads t/a.py::whole\nfiles t/z.py::old\n"


def test_of_a_test_that_a_version_broke_in_one_of_its_cases_the_others_alone_are_added() -> None:
    failed = {"t/a.py::test[1]": "RuntimeError: can't start new thread", "t/a.py::test[2]": "assert 1 == 2"}
    assert extend("", failed, passed=set()) == "threads t/a.py::test[1]\n"


def test_every_name_of_the_list_is_there() -> None:
    gone = []
    for name in LeftOut.parse(LIST.read_text()).rows:
        file, _, test = name.partition("::")
        function = test.partition("[")[0].rpartition("::")[2]
        if not (ROOT / file).exists() or (function and f"def {function}(" not in (ROOT / file).read_text()):
            gone.append(name)
    assert gone == []
