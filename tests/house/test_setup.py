"""What setup.py says of the compiled modules holds."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """The names of setup.py, which builds nothing when it is not the program."""
    return runpy.run_path(str(ROOT / "setup.py"))


@pytest.mark.parametrize("names", ["FACES", "UNHURRIED"])
def test_every_module_that_setup_names_is_there(said: dict[str, Any], names: str) -> None:
    assert [path for path in sorted(said[names]) if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize(
    "path, flag",
    [
        pytest.param("wsgistack/balancer/plane/relay.pyx", "-O2", id="a request's way"),
        pytest.param("wsgistack/balancer/plane/plane.pyx", "-O2", id="the event loop"),
        pytest.param("wsgistack/store/shm/arena.pyx", "-O2", id="shared memory"),
        pytest.param("wsgistack/chore_cy.pyx", "-O2", id="what a stack does for every request"),
        pytest.param("wsgistack/ratelimit/taking_cy.pyx", "-O1", id="calls of Python"),
        pytest.param("wsgistack/balancer/plane/configure.pyx", "-O0", id="a change of the configuration"),
    ],
)
def test_a_module_is_optimised_as_far_as_it_pays(said: dict[str, Any], path: str, flag: str) -> None:
    assert said["optimisation_of"](path) == flag


def test_the_pinned_cython_is_one_that_reads_declarations_once(said: dict[str, Any]) -> None:
    pinned = re.search(r"^cython==(\S+)", (ROOT / "requirements/build.txt").read_text(), re.MULTILINE)
    assert pinned and pinned[1].startswith(said["KNOWN_CYTHONS"])


def test_the_largest_modules_are_compiled_first(
    said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    sizes = [Path(one.sources[0]).stat().st_size for one in said["make_extensions"]()]
    assert len(sizes) > 50
    assert sizes == sorted(sizes, reverse=True)


def test_nothing_that_is_installed_needs_what_tests_alone_import(said: dict[str, Any]) -> None:
    faces = "|".join(Path(path).stem for path in said["FACES"])
    imports = re.compile(rf"plane\.({faces}) import\b|plane import .*\b({faces})\b", re.MULTILINE)
    sources = [*ROOT.glob("wsgistack/**/*.py"), *ROOT.glob("wsgistack/**/*.pyx")]
    assert len(sources) > 100
    assert [str(path) for path in sources if imports.search(path.read_text())] == []


def test_an_install_leaves_out_what_a_module_has_for_tests_alone(
    said: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = (
        "cdef int one():\n    return 1\n\n\n# -- the face for tests ----\n\ndef first():\n    return one()\n"
    )
    Path("faced.pyx").write_text(whole)
    Path("plain.pyx").write_text("# -- a heading ----\n")
    copy = said["without_face"]("faced.pyx")
    assert Path(copy).read_text() == "cdef int one():\n    return 1\n\n"
    assert Path("faced.pyx").read_text() == whole
    assert said["without_face"]("plain.pyx") == "plain.pyx"


def test_nothing_that_is_installed_imports_a_face_from_the_end_of_a_module(said: dict[str, Any]) -> None:
    sources = {path: path.read_text() for path in ROOT.glob("wsgistack/**/*.pyx")}
    faces = {path.stem: text.partition(said["FACE"])[2] for path, text in sources.items()}
    offered = {
        (stem, name)
        for stem, face in faces.items()
        for name in re.findall(r"^(?:def|cdef class) (\w+)", face, re.MULTILINE)
    }
    assert ("retry", "judge") in offered
    installed = [path.read_text() for path in ROOT.glob("wsgistack/**/*.py")]
    installed += [text.partition(said["FACE"])[0] for path, text in sources.items() if path.stem != "parts"]
    lines = [
        line for text in installed for line in re.findall(r"from wsgistack\S+\.(\w+) c?import (.+)", text)
    ]
    wanted = {(stem, name) for stem, names in lines for name in re.findall(r"\w+", names)}
    assert wanted & offered == set()
