"""The site and the man pages, built by `make docs`; every warning is an error there."""

from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

import wsgistack

HERE = Path(__file__).parent

project = "wsgistack"
author = "the wsgistack authors"
copyright = "the wsgistack authors"
version = release = wsgistack.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns: list[str] = []

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
smartquotes = False  # options begin with two hyphens

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"

html_theme = "furo"
html_title = "wsgistack"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["_static"]
html_js_files = ["copy.js"]
html_css_files = ["copy.css"]


def _man_page(path: Path) -> tuple[str, str, str, list[str], int]:
    """Return sphinx's row for one source: the page's first sentence is what it is about."""
    lines = path.read_text().splitlines()
    about = lines[lines.index(f"# {path.stem}") + 2].rstrip(".")
    return f"man/{path.stem}", path.stem, about, [author], 5 if path.stem.endswith(".conf") else 1


man_pages = [_man_page(path) for path in sorted((HERE / "man").glob("*.md"))]


def setup(app: Sphinx) -> None:
    """Tell sphinx of languages for which Pygments has no colours: the balancer's and HAProxy's."""
    app.add_lexer("conf", TextLexer)
    app.add_lexer("haproxy", TextLexer)
