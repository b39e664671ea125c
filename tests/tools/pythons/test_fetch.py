"""What is installed for the tests under another Python."""

from __future__ import annotations

from tests.house.source import ROOT
from tools.pythons.fetch import VERSIONS, choose_pins

TEXT = """\
django==5.2.19 ; python_full_version < '3.12' \\
    --hash=sha256:5965
django==6.1.3 ; python_full_version >= '3.12' \\
    --hash=sha256:a053
gevent==26.9.0 \\
    --hash=sha256:0000
hypothesis==6.170.17 \\
    --hash=sha256:1111
legacy-cgi==2.6.4 ; python_full_version >= '3.13' \\
    --hash=sha256:7e23
tzdata==2026.6 ; sys_platform == 'win32' \\
    --hash=sha256:2222
webob==1.8.11 \\
    --hash=sha256:3333
"""


def test_pins_are_those_of_the_version_without_what_is_compiled() -> None:
    plain = ["hypothesis==6.155.7", "tzdata"]
    assert choose_pins(TEXT, "3.12") == [*plain, "django==6.1.3", "webob==1.8.11"]
    assert choose_pins(TEXT, "3.13") == [*plain, "django==6.1.3", "legacy-cgi==2.6.4", "webob==1.8.11"]


def test_the_real_requirements_are_understood() -> None:
    for version in VERSIONS:
        pins = choose_pins((ROOT / "requirements" / "dev.txt").read_text(), version)
        names = [pin.partition("==")[0] for pin in pins]
        assert {"django", "msgpack", "pytest", "werkzeug"} <= set(names)
        assert len(set(names)) == len(names)
