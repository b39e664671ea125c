"""The run under the sanitizers: what is copied and with which variables; the build itself is `make sanitize`."""

import os
import subprocess
from pathlib import Path

from tools.sanitize import copy_tree, make_environment


def make_repository(folder: Path) -> Path:
    (folder / "wsgistack").mkdir(parents=True)
    (folder / "wsgistack" / "a.pyx").write_text("a")
    (folder / "wsgistack" / "a.so").write_text("built here")
    (folder / ".gitignore").write_text("*.so\n")
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


def test_sources_are_copied_and_what_was_built_in_the_copy_stays(tmp_path: Path) -> None:
    source, target = make_repository(tmp_path / "source"), tmp_path / "target"
    (target / "wsgistack").mkdir(parents=True)
    (target / "wsgistack" / "a.so").write_text("built there")

    assert copy_tree(source, target) == 2

    assert (target / "wsgistack" / "a.pyx").read_text() == "a"
    assert (target / "wsgistack" / "a.so").read_text() == "built there"


def test_a_source_that_changed_back_to_an_older_one_is_newer_than_what_was_built(tmp_path: Path) -> None:
    source, target = make_repository(tmp_path / "source"), tmp_path / "target"
    copy_tree(source, target)
    copied = target / "wsgistack" / "a.pyx"
    os.utime(copied, (1000, 1000))
    copy_tree(source, target)
    assert copied.stat().st_mtime == 1000

    (source / "wsgistack" / "a.pyx").write_text("b")
    os.utime(source / "wsgistack" / "a.pyx", (500, 500))
    copy_tree(source, target)

    assert copied.stat().st_mtime > 1000


def test_a_source_that_is_gone_goes_from_the_copy_too(tmp_path: Path) -> None:
    source, target = make_repository(tmp_path / "source"), tmp_path / "target"
    copy_tree(source, target)
    (source / "wsgistack" / "a.pyx").unlink()

    copy_tree(source, target)

    assert not (target / "wsgistack" / "a.pyx").exists()


def test_the_sanitizers_are_loaded_first_and_stop_at_the_first_report() -> None:
    made = make_environment(["/lib/libasan.so", "/lib/libubsan.so"], {"HOME": "/root"})

    assert made["HOME"] == "/root"
    assert made["LD_PRELOAD"] == "/lib/libasan.so /lib/libubsan.so"
    assert "halt_on_error=1" in made["ASAN_OPTIONS"]
    assert "halt_on_error=1" in made["UBSAN_OPTIONS"]
    assert made["PYTHONMALLOC"] == "malloc"
    assert made["WSGISTACK_SEEDS"] == "15"


def test_more_seeds_can_be_asked_for() -> None:
    assert make_environment([], {"WSGISTACK_SEEDS": "200"})["WSGISTACK_SEEDS"] == "200"
