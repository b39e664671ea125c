"""docs/settings.md says what the settings tables say."""

from tools.settings_page import PAGE, find_tables, render
from wsgistack.settings import DURATION, INT, SIZE, Setting, Table


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == render(find_tables()), "make docs"


def test_every_table_has_rows_and_every_row_its_help() -> None:
    tables = find_tables()
    assert tables
    assert [row.name for _, table in tables for row in table if not row.help.strip()] == []


def test_a_row_shows_its_default_with_its_unit_and_its_bounds() -> None:
    table = Table(
        "pool",
        [
            Setting("buffer_size", SIZE, 256 * 1024, "bytes kept for a slow client"),
            Setting("max_headers", INT, 100, "header lines", least=1, most=1000),
            Setting("idle_timeout", DURATION, 30.0, "an older name", sets=("a", "b")),
            Setting("enable_ssl", INT, 0, "encryption", available=False),
        ],
    )
    page = render([("wsgistack.somewhere", table)])
    assert "## Pool settings\n\nFrom `wsgistack.somewhere`.\n" in page
    assert "| `buffer_size` | size | `256k` | bytes kept for a slow client |\n" in page
    assert "| `max_headers` | int | `100` | header lines (from 1 up to 1000) |\n" in page
    assert "| `idle_timeout` | duration |  | sets `a`, `b`; an older name |\n" in page
    later = page.index("not available yet")
    assert page.index("`max_headers`") < later < page.index("`enable_ssl`")
