"""What the page says of hits and misses: medians, ratios within a round, targets of hits alone."""

from bench.ready import CASES, HITS, MISSES, render


def test_hits_and_misses_have_tables_of_their_own() -> None:
    hits = {(name, size): [10.0, 11.0, 30.0] for name in CASES for size in HITS}
    misses = {(name, size): [100.0] for name, (_, cached) in CASES.items() if cached for size in MISSES}
    misses["haproxy", "miss, 10 kB"] = [80.0]
    text = render({**hits, **misses}, "Command")
    assert "| haproxy | 11.00 | 10.00 | 30.00 | 1.00 | <= 0.9 |" in text
    assert "| haproxy | 80.00 | 80.00 | 80.00 | 1.25 |  |" in text
    assert [line.split(" | ")[0] for line in text.splitlines() if "lowest" in line] == [
        "| 130 B",
        "| 10 kB",
        "| miss, 130 B",
        "| miss, 10 kB",
    ]
    assert text.count("| wsgistack, personal | ") == 2
