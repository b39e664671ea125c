"""tests/conftest.py turns every skip into a failure that gives the reason."""

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent.parent / "conftest.py"


@pytest.fixture
def house(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with our conftest.py, whose tests run in a process of their own."""
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\npythonpath = ['{CONFTEST.parent.parent}']")
    return pytester


@pytest.mark.parametrize(
    ("outcome", "body"),
    [
        ("errors", "@pytest.mark.skip(reason='no moon')\ndef test_it(): pass"),
        ("errors", "@pytest.mark.skipif(True, reason='no moon')\ndef test_it(): pass"),
        ("failed", "def test_it(): pytest.skip('no moon')"),
        ("failed", "class TestIt(unittest.TestCase):\n    def test_it(self): self.skipTest('no moon')"),
    ],
    ids=["mark", "condition", "call", "unittest"],
)
def test_a_skipped_test_is_a_failed_one(house: pytest.Pytester, outcome: str, body: str) -> None:
    house.makepyfile(f"import pytest, unittest\n{body}")
    result = house.runpytest_subprocess("-p", "no:cacheprovider")
    assert result.parseoutcomes() == {outcome: 1}
    result.stdout.fnmatch_lines(["*skipped, which counts as failed here*no moon*"])


def test_a_skipped_module_is_an_error(house: pytest.Pytester) -> None:
    house.makepyfile("import pytest\npytest.importorskip('no_such_module')\ndef test_it(): pass")
    result = house.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    assert result.ret != 0


def test_an_expected_failure_stays_one(house: pytest.Pytester) -> None:
    house.makepyfile("import pytest\n@pytest.mark.xfail(reason='known')\ndef test_it(): assert False")
    house.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(xfailed=1)
