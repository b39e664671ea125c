"""Blocks of the pages that need something around them to run: a file, a server, a framework.

What runs as it stands is run by tests/house/test_examples.py.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from webob import Request

from tests.docs.player import FENCE, ROOT
from wsgistack import PageCache, wrap


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of one language on a page of docs/."""
    return [text for kind, text in FENCE.findall((ROOT / "docs" / page).read_text()) if kind == language]


def plain(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_the_file_on_the_page_of_wrap_makes_a_stack(tmp_path: Path) -> None:
    (text,) = blocks("wrap.md", "toml")
    path = tmp_path / "stack.toml"
    path.write_text(text)
    site = wrap(plain, str(path))
    assert [name for name in ("request_id", "rate_limit", "compression") if site.layer(name)] == [
        "request_id",
        "rate_limit",
        "compression",
    ]


def test_what_a_view_may_say_to_the_page_cache_can_be_said() -> None:
    (text,) = [text for text in blocks("page-cache.md", "python") if "def view" in text]
    names: dict[str, Any] = {}
    exec(text.replace("    voice.private(", "    start_response('200 OK', [])\n    voice.private("), names)  # noqa: S102
    site = PageCache(lambda environ, start_response: names["view"](environ, start_response) or [b""])
    answer = Request.blank("/").get_response(site)
    assert answer.headers["Cache-Status"] == "wsgistack; fwd=uri-miss; detail=private:csrf"


@pytest.mark.slow
def test_the_calls_on_the_page_of_the_ring_are_taken() -> None:
    # Nobody is there: reads find nothing, writes are lost, and no call raises.
    code = "\n".join(blocks("memcached.md", "python"))
    code = re.sub(r"\b10\.0\.0\.(\d+)", r"127.0.0.\1", code).replace(
        "my.cfg.use1.cache.amazonaws.com", "127.0.0.1"
    )
    code = "def render(): return 'made'\n" + code.replace("11211", "1") + "\nassert page == 'made'\n"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
