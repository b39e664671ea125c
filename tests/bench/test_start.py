"""What the tables of starts say: medians, and no memory of what has ended."""

from bench.start import Start, render


def test_the_medians_stand_beside_the_lowest_and_the_highest() -> None:
    starts = [Start(100.0, 50.0, 20.0), Start(300.0, 70.0, 22.0), Start(110.0, 60.0, 21.0)]
    text = render("2 workers", {"nginx": starts, "--help": [Start(30.4, 20.0)]})
    assert text.splitlines()[2:] == [
        "| nginx | 110 | 100 | 300 | 60 | 21 |",
        "| --help | 30 | 30 | 30 | 20 |  |",
    ]
