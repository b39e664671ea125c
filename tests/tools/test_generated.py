"""tools/generated.py: what is compared, and how prose is broken into lines."""

from pathlib import Path

from tools.generated import find_stale, sentences


def test_prose_gets_a_line_for_each_sentence_and_what_is_indented_stays() -> None:
    text = "It is `so`.  Then\nanother (too).\nLast, e.g. this.\n\n    f(1).  G(2)\n\n>>> a. B"
    assert sentences(text) == (
        "It is `so`.\nThen another (too).\nLast, e.g. this.\n\n    f(1).  G(2)\n\n>>> a. B"
    )


def test_a_page_that_differs_is_missing_or_belongs_to_nothing_is_stale(tmp_path: Path) -> None:
    for name, text in [("same", "a"), ("other", "old"), ("stranger", "?")]:
        (tmp_path / f"{name}.md").write_text(text)
    wanted = {tmp_path / f"{name}.md": text for name, text in [("same", "a"), ("other", "b"), ("new", "c")]}
    assert find_stale(wanted, tmp_path) == ["new.md", "other.md", "stranger.md"]
