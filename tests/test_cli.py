"""What the command line answers to words that cannot be meant, and to those that can."""

from pathlib import Path

import pytest

import wsgistack
from wsgistack import cli


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("chek x.conf", "wsgistack: unknown command 'chek' (did you mean 'check'?)"),
        ("start", "wsgistack: unknown command 'start' (one of --help, --version, admin, balancer, check)"),
        ("help", "wsgistack: unknown command 'help' (did you mean '--help'?)"),
        ("version", "wsgistack: unknown command 'version' (did you mean '--version'?)"),
        ("--versoin", "wsgistack: unknown argument '--versoin' (did you mean '--version'?)"),
        ("-v", "wsgistack: unknown argument '-v' (one of --help, --version, -h)"),
        ("check", "wsgistack check: the following arguments are required: FILE"),
        ("check a.conf b.conf", "wsgistack check: 'b.conf' is one argument too many"),
        ("check -c a.conf", "wsgistack check: unknown argument '-c' (one of --help, --version, -h)"),
        ("balancer", "wsgistack balancer: one FILE, or --listen HOST:PORT and the nodes' addresses"),
        ("balancer a b", "wsgistack balancer: one FILE, or --listen HOST:PORT and the nodes' addresses"),
        (
            "balancer --lisen 1 a:1",
            "wsgistack balancer: unknown argument '--lisen' (did you mean '--listen'?)",
        ),
        (
            "balancer 127.0.0.1:8001",
            (
                "wsgistack balancer: '127.0.0.1:8001' is no file; a node's address goes with --listen HOST:PORT,"
                " the site's own"
            ),
        ),
        (
            "balancer --listen 127.0.0.1:0",
            "wsgistack balancer: --listen needs the address of a NODE, or of several",
        ),
        (
            "balancer --workers 2 a.conf",
            "wsgistack balancer: --workers goes with --listen; in a file it is a command",
        ),
        (
            "balancer --listen 1:1 -c a.conf b:1",
            "wsgistack balancer: --listen and --config exclude each other",
        ),
        (
            "admin show pool",
            (
                "wsgistack admin: 'show': a port between 1 and 65535 is missing;"
                " the admin port's HOST:PORT comes before the command"
            ),
        ),
        ("admin 127.0.0.1:1", "wsgistack admin: one COMMAND, such as: show pool mypool"),
        (
            "admin --token x 127.0.0.1:1 version",
            "wsgistack admin: unknown argument '--token' (did you mean '--token-file'?)",
        ),
    ],
)
def test_words_that_cannot_be_meant_are_told_with_the_nearest(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words.split())
    assert ended.value.code == 2
    usage, *_, last = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: wsgistack")
    assert last == said


def test_the_version_is_said_however_often_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert cli.main(["--version", "--version"]) == 0
    assert capsys.readouterr().out == f"wsgistack {wsgistack.__version__}\n" * 2


def test_without_a_word_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "    balancer  run the balancer in the foreground\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nope.conf", "Error opening config file (nope.conf): No such file or directory\n"),
        (".", "Error opening config file (.): Is a directory\n"),
        ("latin.conf", "Error reading config file (latin.conf): not UTF-8 at byte 2\n"),
    ],
)
@pytest.mark.parametrize("command", ["check", "balancer"])
def test_a_file_that_cannot_be_read_is_named(
    command: str,
    name: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin.conf").write_bytes(b"# \xe9\n")
    with pytest.raises(SystemExit) as ended:
        cli.main([command, name])
    assert ended.value.code == 2
    assert capsys.readouterr().err == said
