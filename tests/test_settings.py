"""Settings as a table: kinds, ranges, unknown names, and text that reads back."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack import settings
from wsgistack.errors import SettingError, UnknownName
from wsgistack.settings import Kind, Setting, Table, Value, make_choice, parse_statuses

COLOUR = make_choice(lambda: ("red", "green"), "Unknown colour")

TABLE = Table(
    "paint",
    [
        Setting("shiny", settings.BOOL, False, "whether"),
        Setting("coats", settings.INT, 1, "how many", least=1, most=9),
        Setting("tin", settings.SIZE, 1024, "how much"),
        Setting("dry", settings.DURATION, 5.0, "how long", least=0.05),
        Setting("label", settings.TEXT, "", "what it says"),
        Setting("path", settings.TARGET, "/", "where"),
        Setting("host", settings.HOST, "", "whose"),
        Setting("flag", settings.FLAG, 0, "which"),
        Setting("good", settings.STATUSES, "200-399", "which pass"),
        Setting("ratio", settings.NUMBER, 1.0, "how many times", most=10),
        Setting("near", settings.NETWORKS, (), "who"),
        Setting("colour", COLOUR, "red", "which"),
        Setting("sparkle", settings.BOOL, False, "later", available=False),
        Setting("motto", settings.TEXT, "", "later", available=False),
        Setting("both", settings.INT, 1, "an alias", sets=("coats",)),
    ],
)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("shiny", "on", True),
        ("shiny", "YES", True),
        ("shiny", "True", True),
        ("shiny", "1", True),
        ("shiny", "off", False),
        ("shiny", "no", False),
        ("shiny", "FALSE", False),
        ("shiny", "0", False),
        ("coats", "7", 7),
        ("tin", "10b", 10),
        ("tin", "10", 10),
        ("tin", "120k", 122880),
        ("tin", "120K", 122880),
        ("tin", "2m", 2097152),
        ("tin", "0", 0),
        ("dry", "5", 5.0),
        ("dry", "5s", 5.0),
        ("dry", "200ms", 0.2),
        ("dry", "2m", 120.0),
        ("dry", "1h", 3600.0),
        ("dry", "0.25", 0.25),
        ("dry", "1 h", 3600.0),
        ("label", "Wet = Paint!", "Wet = Paint!"),
        ("label", '""', ""),
        ("label", "''", ""),
        ("label", "Größe", "Größe"),
        ("path", "*", "*"),
        ("path", "/Health?x=Y", "/Health?x=Y"),
        ("host", "Shop.example:80", "Shop.example:80"),
        ("host", '""', ""),
        ("flag", "1", 1),
        ("good", "200, 204,300-399", "200,204,300-399"),
        ("ratio", "2.5", 2.5),
        ("ratio", "3", 3.0),
        ("near", "10.0.0.0/8, ::1", ("10.0.0.0/8", "::1/128")),
        ("near", "127.0.0.1 192.168.7.9/16", ("127.0.0.1/32", "192.168.0.0/16")),
        ("near", "none", ()),
        ("near", '""', ()),
        ("colour", "Green", "green"),
        ("sparkle", "off", False),
    ],
)
def test_a_text_means_a_value(name: str, text: str, value: Value) -> None:
    assert TABLE.parse(name, text) == value
    assert type(TABLE.parse(name, text)) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("shiny", "perhaps", "Expecting boolean value for parameter 'shiny', on or off"),
        ("coats", "two", "Expecting integer value for parameter 'coats'"),
        ("coats", "-1", "Expecting integer value for parameter 'coats'"),
        ("coats", "1.5", "Expecting integer value for parameter 'coats'"),
        ("coats", "9" * 19, "Expecting integer value for parameter 'coats'"),
        ("coats", "²", "Expecting integer value for parameter 'coats'"),
        ("coats", "0", "coats: 0 is below 1"),
        ("coats", "10", "coats: 10 is above 9"),
        (
            "tin",
            "12x",
            "Expecting size unit value for parameter 'tin' in bytes, or suffixed with 'K' or 'M'",
        ),
        ("tin", "9999999999999m", "tin: 9999999999999m is above 1048576m"),
        ("dry", "soon", "Expecting duration value for parameter 'dry', such as 5, 5s, 200ms, 2m or 1h"),
        ("dry", "1ms", "dry: 1ms is below 50ms"),
        ("dry", "9999999h", "dry: 35999996400 is above 2000000"),
        ("label", "a\tb", "Expecting at most 255 printable Latin-1 characters for parameter 'label'"),
        ("label", "x" * 256, "Expecting at most 255 printable Latin-1 characters for parameter 'label'"),
        ("label", "\N{SNOWMAN}", "Expecting at most 255 printable Latin-1 characters for parameter 'label'"),
        ("path", "health", "Expecting * or a path from / on for parameter 'path'"),
        ("path", "/a b", "Expecting * or a path from / on for parameter 'path'"),
        ("host", "a b", "Expecting host or host:port for parameter 'host'"),
        ("flag", "2", "Expected 1 or 0"),
        ("good", "99", "Expecting statuses for parameter 'good', such as 200-399 or 200,204"),
        ("good", "300-200", "Expecting statuses for parameter 'good', such as 200-399 or 200,204"),
        ("ratio", "-1", "Expecting a number for parameter 'ratio', such as 2 or 1.5"),
        ("ratio", "1e3", "Expecting a number for parameter 'ratio', such as 2 or 1.5"),
        ("ratio", "nan", "Expecting a number for parameter 'ratio', such as 2 or 1.5"),
        ("ratio", "10.5", "ratio: 10.5 is above 10"),
        ("near", "junk", "'junk' is not a network such as 10.0.0.0/8 or 2001:db8::/32"),
        ("near", "10.0.0.0/33", "'10.0.0.0/33' is not a network such as 10.0.0.0/8 or 2001:db8::/32"),
        ("near", " ".join(f"10.0.0.{n}" for n in range(65)), "65 networks; at most 64 fit"),
        ("colour", "gren", "Unknown colour (did you mean 'green'?)"),
        ("colour", "blue", "Unknown colour (one of green, red)"),
        ("sparkle", "on", "'sparkle' is not available yet, only its default off is accepted"),
        ("motto", "x", "'motto' is not available yet"),
    ],
)
def test_a_text_that_does_not_fit_is_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        TABLE.parse(name, text)
    assert str(caught.value) == message


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        TABLE.parse("shinny", "on")
    assert str(caught.value) == "Unknown paint parameter 'shinny' (did you mean 'shiny'?)"


def test_an_unknown_name_that_is_near_to_none_gets_all_of_a_short_table() -> None:
    table = Table("lamp", [Setting("glow", settings.BOOL, True, "x"), Setting("hue", settings.INT, 1, "x")])
    with pytest.raises(UnknownName, match=r"^Unknown lamp parameter 'tll' \(one of glow, hue\)$"):
        table.parse("tll", "5")


def test_defaults_leave_out_aliases_and_what_is_not_there_yet() -> None:
    assert set(TABLE.defaults()) == {row.name for row in TABLE} - {"sparkle", "motto", "both"}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("shiny", True, "on"),
        ("shiny", False, "off"),
        ("tin", 122880, "120k"),
        ("tin", 2097152, "2m"),
        ("tin", 1000, "1000"),
        ("tin", 0, "0"),
        ("dry", 5.0, "5"),
        ("dry", 0.2, "200ms"),
        ("dry", 0.0125, "0.0125"),
        ("label", "", '""'),
        ("near", (), '""'),
        ("near", ("10.0.0.0/8", "::1/128"), "10.0.0.0/8, ::1/128"),
    ],
)
def test_a_value_is_shown_as_people_write_it(name: str, value: Value, text: str) -> None:
    assert TABLE.show(name, value) == text


texts = st.one_of(
    st.tuples(
        st.sampled_from(["coats", "tin", "dry"]),
        st.from_regex(r"\A[0-9]{1,6}(\.[0-9]{1,6})?[bkmsh]?\Z"),
    ),
    st.tuples(st.just("label"), st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)),
    st.tuples(
        st.just("near"),
        st.lists(st.ip_addresses().map(str), min_size=1, max_size=5).map(", ".join),
    ),
    st.tuples(
        st.just("good"), st.lists(st.integers(100, 599).map(str), min_size=1, max_size=5).map(",".join)
    ),
)

OWN = Table(
    "thing",
    [
        Setting("wait", settings.DURATION, 1.0, ""),
        Setting("room", settings.SIZE, 1, ""),
        Setting("on", settings.BOOL, True, ""),
        Setting("words", settings.WORDS, (), ""),
        Setting("text", settings.TEXT, "", ""),
    ],
)


@given(texts)
def test_what_is_shown_reads_back_as_the_same_value(pair: tuple[str, str]) -> None:
    name, text = pair
    try:
        value = TABLE.parse(name, text)
    except SettingError:
        return
    assert TABLE.parse(name, TABLE.show(name, value)) == value


@given(st.sampled_from([row.name for row in TABLE]), st.text())
def test_any_text_is_a_value_or_a_setting_error(name: str, text: str) -> None:
    try:
        TABLE.parse(name, text)
    except SettingError as error:
        assert str(error)


def test_statuses_are_ranges_with_both_ends() -> None:
    assert parse_statuses("200,300-399") == ((200, 200), (300, 399))


def test_a_kind_says_its_own_complaint() -> None:
    def refuse(text: str) -> Value:
        raise ValueError(text)

    kind = Kind("odd", refuse, str, "{name} and {text}")
    with pytest.raises(SettingError, match="x and y"):
        Table("thing", [Setting("x", kind, 0, "")]).parse("x", "y")


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("wait", "200ms", 0.2),
        ("wait", 5, 5.0),
        ("wait", 0.25, 0.25),
        ("room", "2k", 2048),
        ("room", 4096, 4096),
        ("on", False, False),
        ("on", "off", False),
        ("words", ["a", "b/*"], ("a", "b/*")),
        ("words", "a, b/*", ("a", "b/*")),
        ("words", (), ()),
        ("text", "x", "x"),
        ("text", PurePosixPath("/var/log/x"), "/var/log/x"),
    ],
)
def test_a_value_is_read_as_text_or_as_itself(name: str, given: object, value: Value) -> None:
    assert OWN.read(name, given) == value


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("wait", True),
        ("wait", [1]),
        ("room", 1.5),
        ("room", None),
        ("on", 1),
        ("words", 5),
        ("text", 5),
        ("wait", -1),
        ("wait", float("nan")),
        ("wait", float("inf")),
        ("wait", PurePosixPath("5")),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, given: object) -> None:
    with pytest.raises(SettingError, match=name):
        OWN.read(name, given)


def test_what_a_secret_is_stands_in_no_complaint() -> None:
    table = Table(
        "thing", [Setting("shared_secret", settings.TEXT, "", ""), Setting("name", settings.TEXT, "", "")]
    )
    for met in (1234567890, "\x07hidden"):
        with pytest.raises(SettingError) as caught:
            table.read("shared_secret", met)
        assert str(caught.value).endswith(f"parameter 'shared_secret', not {type(met).__name__}")
    with pytest.raises(SettingError, match="parameter 'name', not 1234567890"):
        table.read("name", 1234567890)


def test_a_bound_itself_may_be_had() -> None:
    assert [TABLE.parse("coats", text) for text in ("1", "9")] == [1, 9]
    networks = [f"10.0.0.{number}" for number in range(65)]
    near = TABLE.read("near", networks[:64])
    assert isinstance(near, tuple)
    assert near[-1] == "10.0.0.63/32"
    with pytest.raises(SettingError, match="65 networks; at most 64 fit"):
        TABLE.read("near", networks)
