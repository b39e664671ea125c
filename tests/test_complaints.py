"""Everything that is wrong is told at once."""

from __future__ import annotations

from functools import partial

import pytest

from wsgistack.complaints import complaints_of, gather
from wsgistack.errors import RateError, SettingError
from wsgistack.ratelimit.rates import parse_rates


def refuse(*complaints: str) -> str:
    raise SettingError(*complaints)


def test_what_the_steps_give_is_given_in_their_order() -> None:
    assert gather(partial(str, number) for number in (2, 1)) == ["2", "1"]


def test_one_error_stays_what_it_is() -> None:
    with pytest.raises(RateError, match="met 'fast'"):
        gather([partial(parse_rates, "fast")])


def test_every_complaint_of_several_steps_is_told() -> None:
    with pytest.raises(SettingError, match=r"^a: none; b: none; c: none$") as caught:
        gather([partial(refuse, "a: none"), partial(str, 5), partial(refuse, "b: none", "c: none")])
    assert complaints_of(caught.value) == ("a: none", "b: none", "c: none")


def test_another_error_has_one_complaint() -> None:
    assert complaints_of(TypeError("no such thing")) == ("no such thing",)
