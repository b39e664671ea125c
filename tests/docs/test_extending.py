"""The files of docs/extending.md are parts of their families as soon as they lie in the folder."""

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.balancer.stage import Stage
from tests.house.source import ROOT
from wsgistack.balancer.algorithms import Candidates
from wsgistack.balancer.language.commands import COMMANDS
from wsgistack.registry import Family

PAGE = (ROOT / "docs" / "extending.md").read_text()
Drop = Callable[[str], "Family[Any]"]


@pytest.fixture
def drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drop:
    """Put the file that the page shows at that path into its folder, and return the family as it is read then."""

    def drop(path: str) -> Family[Any]:
        found = re.search(
            rf"^`{re.escape(path)}`, whole:\n\n```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE
        )
        assert found, path
        (tmp_path / Path(path).name).write_text(found[1])
        name = ".".join(Path(path).parent.parts)
        package = importlib.import_module(name)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
        monkeypatch.setitem(
            sys.modules, f"{name}.{Path(path).stem}", None
        )  # so that it is forgotten afterwards
        monkeypatch.delitem(sys.modules, f"{name}.{Path(path).stem}")
        return Family("part", name, vars(package)["_parts"])

    return drop


def test_the_algorithm_of_the_page_chooses_a_node(drop: Drop) -> None:
    last = drop("wsgistack/balancer/algorithms/last.py").get("last")
    nodes = Candidates([5, 0, 3], [1, 1, 1])
    assert last.pick(nodes, 0, lambda below: 0) == (2, 0)
    assert list(last.score(nodes)) == [2.0, 1.0, 0.0]
    assert not last.by_weight


def test_the_command_of_the_page_is_answered_and_in_help(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    family = drop("wsgistack/balancer/language/commands/hello.py")
    monkeypatch.setattr(COMMANDS, "_parts", dict(family))
    stage = Stage()
    stage.make_site()
    assert stage.say("hello") == ["hello", "pools 1", "."]
    assert stage.say("hello you") == ["ERROR: The 'hello' command takes no arguments"]
    assert stage.say("help hello")[0].startswith("hello: a greeting, and how many pools there are")


@pytest.mark.parametrize("folder", re.findall(r"^\| [^|]*\| `([\w/]+/)` \|", PAGE, re.MULTILINE))
def test_the_folders_of_the_page_are_families(folder: str) -> None:
    package = importlib.import_module("wsgistack." + folder.strip("/").replace("/", "."))
    assert any(isinstance(value, Family) for value in vars(package).values())


def test_the_contracts_of_the_page_are_there() -> None:
    named = re.findall(r"`(tests/contracts/\w+\.py)`", PAGE)
    assert len(named) >= 7
    assert [one for one in named if not (ROOT / one).exists()] == []
