"""The traces of the store bench, and what they are there to show."""

from itertools import islice

from bench.store_traces import TRACES, hit_ratio_of_lru, hit_ratio_of_store


def test_a_scan_costs_the_store_fewer_hits_than_lru() -> None:
    trace = list(islice(TRACES["Zipf 1.0 and scans"](), 40_000))
    lru, ours = hit_ratio_of_lru(iter(trace), 0.05), hit_ratio_of_store(iter(trace), 0.05)
    assert 0.2 < lru < ours


def test_a_trace_is_the_same_each_time() -> None:
    assert list(islice(TRACES["Zipf 0.8"](), 5)) == list(islice(TRACES["Zipf 0.8"](), 5))
