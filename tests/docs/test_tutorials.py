"""The tutorials work as they are written: each is played from its first line to its last."""

from pathlib import Path

import pytest

from tests.docs.player import ROOT, Player

TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_holds_from_its_first_line_to_its_last(page: Path, tmp_path: Path) -> None:
    player = Player(tmp_path)
    try:
        assert player.play(page) == 8
    finally:
        player.stop()


def test_an_answer_that_differs_from_the_page_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo two\none\n```\n")
    with pytest.raises(AssertionError, match="expected:\none\ngot:\ntwo\n"):
        Player(tmp_path).play(page)
