"""Pages that `make docs` writes: compared with what is there, or written."""

import argparse
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["ROOT", "find_stale", "keep", "sentences"]

ROOT = Path(__file__).parent.parent


def sentences(text: str) -> str:
    """Return the paragraphs of *text* with one sentence a line, and those of a list; what is indented stays.

    >>> print(sentences("One thing. Another\\nthing.\\n\\n    f(1)"))
    One thing.
    Another thing.
    <BLANKLINE>
        f(1)
    """
    return "\n\n".join(map(_break, text.split("\n\n")))


def _break(paragraph: str) -> str:
    if paragraph.startswith((" ", ">>>")):
        return paragraph
    if paragraph.startswith("- "):
        items = paragraph.removeprefix("- ").split("\n- ")
        return "\n".join("- " + _break(item).replace("\n", "\n  ") for item in items)
    return re.sub(r"(?<=[a-z`)]\.) (?=[A-Z`*])", "\n", " ".join(paragraph.split()))


def find_stale(pages: Mapping[Path, str], folder: Path) -> list[str]:
    """Return the names of files that differ from *pages* or lie in *folder* without being one of them."""
    differ = [path.name for path, text in pages.items() if not path.exists() or path.read_text() != text]
    return sorted({*differ, *(path.name for path in _strangers(pages, folder))})


def _strangers(pages: Mapping[Path, str], folder: Path) -> Iterable[Path]:
    return (path for path in folder.glob("*.md") if path not in pages)


def keep(pages: Mapping[Path, str], folder: Path, *, doc: str) -> int:
    """Do what the command line asks: `--write` the pages, or return 1 after naming those that are stale."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--write", action="store_true", help="write the pages instead of comparing them")
    if parser.parse_args().write:
        folder.mkdir(exist_ok=True)
        for stranger in list(_strangers(pages, folder)):
            stranger.unlink()
        for path, text in pages.items():
            path.write_text(text)
        return 0
    stale = find_stale(pages, folder)
    for name in stale:
        print(f"{folder.relative_to(ROOT)}/{name} is not current: make docs", file=sys.stderr)
    return 1 if stale else 0
