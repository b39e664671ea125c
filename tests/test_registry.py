"""Families found by folder."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from wsgistack.errors import UnknownName
from wsgistack.registry import Family, find_nearest


def parts_of(module: ModuleType) -> Iterator[tuple[str, int]]:
    yield module.NAME, module.VALUE


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Family[int]:
    """A family of two, in a package of its own."""
    package = tmp_path / f"parts_{tmp_path.name.replace('-', '_')}"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "one.py").write_text("NAME = 'first'\nVALUE = 1\n")
    (package / "two.py").write_text("NAME = 'second'\nVALUE = 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    return Family("part", package.name, parts_of)


def test_a_file_in_the_folder_is_a_part(family: Family[int]) -> None:
    assert family.names() == ["first", "second"]
    assert family.get("second") == 2
    assert list(family) == [("first", 1), ("second", 2)]


def test_a_part_is_known_by_its_name(family: Family[int]) -> None:
    assert "first" in family
    assert "one" not in family


def test_a_part_is_found_alone_in_the_module_of_its_name(family: Family[int], tmp_path: Path) -> None:
    (package,) = tmp_path.glob("parts_*")
    (package / "third.py").write_text("NAME = 'third'\nVALUE = 3\n")
    alone = Family("part", package.name, parts_of, alone=True)
    assert alone.get("third") == 3
    assert f"{package.name}.one" not in sys.modules
    assert alone.get("second") == 2
    assert f"{package.name}.one" in sys.modules
    assert [alone.get(name) for name in alone.names()] == [1, 2, 3]


def test_an_unknown_name_lists_the_others_and_the_nearest(family: Family[int]) -> None:
    with pytest.raises(UnknownName) as caught:
        family.get("secnd")
    assert str(caught.value) == "part 'secnd' is not one of first, second (did you mean 'second'?)"
    assert (caught.value.met, caught.value.nearest) == ("secnd", "second")


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("pol", "pool"), ("POOL", None), ("xyzzy", None), ("pool" * 100, None), ("", None)],
    ids=["near", "another case is no letter in common", "far", "too long to compare", "empty"],
)
def test_the_nearest_word_is_near(word: str, nearest: str | None) -> None:
    assert find_nearest(word, ["pool", "proc", "show"]) == nearest
