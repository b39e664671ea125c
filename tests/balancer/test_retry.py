"""What retry_on and error_retry_schedule may say."""

import pytest

from wsgistack.balancer.retry import parse_retry_on, parse_schedule
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.errors import SettingError


@pytest.mark.parametrize(
    ("text", "words", "statuses"),
    [
        pytest.param(
            "connect,reset,timeout,502,503,504",
            ("connect", "reset", "timeout"),
            (502, 503, 504),
            id="default",
        ),
        pytest.param("503 Reset, 500", ("reset",), (500, 503), id="any order, case and separator"),
        pytest.param("invalid", ("invalid",), (), id="one"),
        pytest.param("none", (), (), id="none"),
        pytest.param("429,429", (), (429,), id="twice"),
    ],
)
def test_what_is_listed_is_read(text: str, words: tuple[str, ...], statuses: tuple[int, ...]) -> None:
    assert parse_retry_on(text) == (words, statuses)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("conect", "'conect' is not a reason to try again (did you mean 'connect'?)"),
        ("always", "'always' is not a reason to try again"),
        ("200", "200 is not a status between 400 and 599"),
        ("600", "600 is not a status"),
        ("5", "5 is not a status"),
    ],
)
def test_what_is_no_reason_is_refused_by_name(text: str, told: str) -> None:
    with pytest.raises(SettingError, match="retry_on: ") as raised:
        SERVICE_SETTINGS.parse("retry_on", text)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("text", "delays"),
    [
        ("0,.25,.50,1,1,1,1,1", (0.0, 0.25, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0)),
        ("2", (2.0,)),
        ("0, 1.5", (0.0, 1.5)),
        ("1.", (1.0,)),
    ],
)
def test_a_schedule_is_read_as_perlbal_writes_it(text: str, delays: tuple[float, ...]) -> None:
    assert parse_schedule(text) == delays


@pytest.mark.parametrize(
    "text", ["", ",", "1,,2", "-1", "1e3", "x", "4000", ".", "nan", ",".join(["1"] * 25)]
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="Expecting at most 24 delays in seconds for parameter"):
        SERVICE_SETTINGS.parse("error_retry_schedule", text)


@pytest.mark.parametrize("name", ["retry_on", "error_retry_schedule"])
@pytest.mark.parametrize("text", ["none", "503,connect", "0,.5"])
def test_what_is_shown_is_read_as_the_same(name: str, text: str) -> None:
    try:
        value = SERVICE_SETTINGS.parse(name, text)
    except SettingError:
        return
    assert SERVICE_SETTINGS.parse(name, SERVICE_SETTINGS.show(name, value)) == value
