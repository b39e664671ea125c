"""Every rule of tests/live/rules.py has a live test that names its number."""

import ast
import re
from collections import defaultdict
from pathlib import Path

from tests.house.source import ROOT, parse_python
from tests.live.rules import RULES

LIVE = ROOT / "tests" / "live"


def rules_of(path: Path) -> set[int]:
    """Return the rules that the tests in *path* name: by the mark, or by the id of a case."""
    found = set()
    for node in ast.walk(parse_python(path)):
        if not isinstance(node, ast.Call):
            continue
        if ast.unparse(node.func) == "pytest.mark.rule":
            found |= {ast.literal_eval(argument) for argument in node.args}
        for keyword in node.keywords:
            if keyword.arg == "id" and isinstance(keyword.value, ast.Constant):
                number = re.match(r"(\d+) ", str(keyword.value.value))
                found |= {int(number[1])} if number else set()
    return found


def test_the_rules_are_those_of_the_list() -> None:
    assert list(RULES) == list(range(1, 49))


def test_each_rule_has_a_live_test() -> None:
    where = defaultdict(list)
    for path in sorted(LIVE.glob("test_*.py")):
        for number in rules_of(path):
            where[number].append(path.name)
    missing = {number: text for number, text in RULES.items() if number not in where}
    assert missing == {}, f"no live test: {missing}"
    assert set(where) <= set(RULES), f"no such rule: {set(where) - set(RULES)}"
