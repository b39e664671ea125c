"""tools/site.py: the documentation builds without a warning, as a site and as man pages."""

from pathlib import Path

import pytest

from tools import site
from wsgistack.cli import COMMANDS


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_site_and_the_man_pages_build_without_a_warning(tmp_path: Path) -> None:
    for builder in ("html", "man"):
        done = site.build(builder, tmp_path / builder, doctrees=tmp_path / "doctrees")
        assert (done.returncode, done.stderr) == (0, "")
    names = {path.name for path in (tmp_path / "man").iterdir()}
    assert names >= {"wsgistack.1", "wsgistack.conf.5", *(f"wsgistack-{name}.1" for name in COMMANDS)}
    page = (tmp_path / "man" / "wsgistack-balancer.1").read_text()
    assert r"\-\-listen HOST:PORT" in page
    assert "wsgistack.wrap" in (tmp_path / "html" / "api.html").read_text()
    assert "_static/copy.js" in (tmp_path / "html" / "index.html").read_text()
    assert {"copy.js", "copy.css"} <= {path.name for path in (tmp_path / "html" / "_static").iterdir()}


def test_a_link_to_nowhere_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "conf.py").write_text('extensions = ["myst_parser"]\nroot_doc = "index"\n')
    (docs / "index.md").write_text("# Title\n\n[text](nowhere.md)\n")
    monkeypatch.setattr(site, "ROOT", tmp_path)
    done = site.build("html", tmp_path / "html", doctrees=tmp_path / "doctrees")
    assert done.returncode != 0
    assert "nowhere.md" in done.stderr
