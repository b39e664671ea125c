"""The examples in the documentation work: configurations load, commands exist, doctests hold."""

import doctest
import importlib
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.source import ROOT, find_files, module_name
from wsgistack.balancer import configuration
from wsgistack.cli import COMMANDS

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: the page and line where it begins, its language, its text."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(language: str) -> list[Block]:
    """Return the fenced blocks of *language* on all pages."""
    return [
        Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for page in PAGES
        for text in [page.read_text()]
        for match in FENCE.finditer(text)
        if match[1] == language
    ]


CONFIGURATIONS = [
    *blocks("conf"),
    *(Block(path, 1, "conf", path.read_text()) for path in sorted((ROOT / "demo").glob("*.conf"))),
]


# A page may show a part of a configuration; a whole one listens somewhere.
LISTENER = "\nCREATE SERVICE rest\nSET role = management\nSET listen = 127.0.0.1:1\nENABLE rest\n"


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=str)
def test_a_configuration_loads(block: Block) -> None:
    rest = "" if "ENABLE" in block.text else LISTENER
    assert configuration.load(block.text + rest, str(block)) == []


def recipes() -> dict[str, str]:
    """Return the sections of the cookbook by heading; each is to be whole."""
    _, *sections = re.split(r"^## ", (ROOT / "docs" / "cookbook.md").read_text(), flags=re.MULTILINE)
    return {heading: rest for heading, _, rest in (one.partition("\n") for one in sections)}


@pytest.mark.parametrize("heading", recipes())
def test_a_recipe_that_asks_an_admin_port_opens_it(heading: str) -> None:
    recipe = recipes()[heading]
    asked = set(re.findall(r"wsgistack admin ([\w.:]+)", recipe))
    opened = re.findall(r"SET role\s+= management\n\s*SET listen\s*= (\S+)", recipe)
    assert asked <= set(opened)


# The machines of the pages are not there: what is kept on them is kept in this process.
SERVERS = re.compile(r'"(?:memcached|tiered)://[^"]*"')
UNPLAYED = {
    "architecture.md": "its Python is the idea of an interface, not the letter",
    "memcached.md": "played by tests/docs/test_blocks.py",
    "django.md": "played by tests/docs/test_tutorials.py",
    "balancer-cache.md": "played by tests/docs/test_tutorials.py",
    "flask.md": "played by tests/docs/test_tutorials.py",
}


def plain_application(environ: dict[str, object], start_response: Callable[..., object]) -> list[bytes]:
    """Stands for the reader's own application."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b""]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in UNPLAYED], ids=lambda page: page.name
)
def test_the_python_on_a_page_runs_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"application": plain_application, "app": plain_application}
    for block in blocks("python"):
        if block.page == page:
            text = SERVERS.sub('"memory://"', block.text)
            exec(compile(text, str(block), "exec"), names)  # noqa: S102  (our own pages)


@pytest.mark.parametrize("block", [*blocks("sh"), *blocks("console")], ids=str)
def test_a_shell_example_uses_what_exists(block: Block) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in block.text.splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words[:1] == ["make"]:
            assert {word for word in words[1:] if "=" not in word} <= targets, line
        if words[:1] and words[0].endswith("wsgistack"):
            assert words[1] in {*COMMANDS, "--version"}, line


@pytest.mark.parametrize("page", ["README.md", "docs/life-of-a-request.md"])
def test_the_files_that_a_page_sends_the_reader_to_are_there(page: str) -> None:
    named = re.findall(
        r"`((?:wsgistack|balancer|keeper|cache|demo|tests)/[\w./]*)`", (ROOT / page).read_text()
    )
    assert len(named) >= 5
    assert [one for one in named if not any((top / one).exists() for top in (ROOT, ROOT / "wsgistack"))] == []


@pytest.mark.parametrize("path", find_files("*.py", rooms=["wsgistack"]), ids=module_name)
def test_the_examples_in_docstrings_hold(path: Path) -> None:
    if ">>>" in path.read_text():
        module = importlib.import_module(module_name(path))
        assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


def test_markdown_has_one_sentence_per_line() -> None:
    crowded = [
        f"{page.name}:{number}: {line}"
        for page in PAGES
        if page.name not in ("architecture.md", "performance.md")  # copied as agreed; written by the bench
        for number, line in enumerate(FENCE.sub(_blank, page.read_text()).splitlines(), 1)
        if not line.startswith("|") and re.search(r"[a-z`)]\. [A-Z]", line.removeprefix("- "))
    ]
    assert crowded == []


def _blank(fence: re.Match[str]) -> str:
    """Return as many empty lines as the fenced block has, so that line numbers stay."""
    return "\n" * fence[0].count("\n")
