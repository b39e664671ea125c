"""Hit ratios of the memory store's eviction beside LRU's, on traces whose keys follow Zipf's law.

`python -m bench.store_traces`; counts, not times: a busy machine changes nothing.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import accumulate

from wsgistack.store.memory import ENTRY_BYTES, MemoryStore

__all__ = ["TRACES", "hit_ratio_of_lru", "hit_ratio_of_store", "rows"]

KEYS, LENGTH, VALUE_BYTES = 20_000, 150_000, 400
COST = ENTRY_BYTES + VALUE_BYTES + 60  # about what one entry takes


def zipf(skew: float, seed: int = 1) -> Iterator[str]:
    """Yield keys of which the r-th most popular comes 1/r**skew as often as the first."""
    weights = list(accumulate(1 / rank**skew for rank in range(1, KEYS + 1)))
    rng = random.Random(seed)
    for number in rng.choices(range(KEYS), cum_weights=weights, k=LENGTH):
        yield f"page:{number}"


def with_scans(skew: float) -> Iterator[str]:
    """Yield the same, and after each 10,000 a robot's 5,000 keys that nobody asks for again."""
    for count, key in enumerate(zipf(skew)):
        yield key
        if count % 10_000 == 9_999:
            yield from (f"scan:{count}:{number}" for number in range(5_000))


def with_one_hit_wonders(skew: float) -> Iterator[str]:
    """Yield the same, every third key a new one."""
    for count, key in enumerate(zipf(skew)):
        yield key
        if count % 2:
            yield f"once:{count}"


TRACES: dict[str, Callable[[], Iterator[str]]] = {
    "Zipf 0.8": lambda: zipf(0.8),
    "Zipf 1.0": lambda: zipf(1.0),
    "Zipf 0.8 and scans": lambda: with_scans(0.8),
    "Zipf 1.0 and scans": lambda: with_scans(1.0),
    "Zipf 1.0 and one-hit wonders": lambda: with_one_hit_wonders(1.0),
}


def hit_ratio_of_store(trace: Iterator[str], share: float) -> float:
    """Return the hits of a memory store that holds *share* of the keys."""
    store = MemoryStore(int(KEYS * share * COST))
    value = bytes(VALUE_BYTES)
    for key in trace:
        if store.get(key) is None:
            store.set(key, value, 3600)
    stats = store.stats()
    return stats["hits"] / (stats["hits"] + stats["misses"])


def hit_ratio_of_lru(trace: Iterator[str], share: float) -> float:
    """Return the hits of an exact LRU of as many entries."""
    held: OrderedDict[str, None] = OrderedDict()
    most, hits, total = int(KEYS * share), 0, 0
    for key in trace:
        total += 1
        if key in held:
            hits += 1
            held.move_to_end(key)
        else:
            held[key] = None
            if len(held) > most:
                held.popitem(last=False)
    return hits / total


def rows() -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| trace | room for | LRU hits % | memory store hits % | misses, ratio |"
    yield "|---|---|---|---|---|"
    for name, make in TRACES.items():
        for share in (0.01, 0.1):
            lru, ours = hit_ratio_of_lru(make(), share), hit_ratio_of_store(make(), share)
            ratio = (1 - ours) / (1 - lru)
            yield f"| {name} | {share:.0%} of the keys | {100 * lru:.1f} | {100 * ours:.1f} | {ratio:.2f} |"


if __name__ == "__main__":
    print("\n".join(rows()))
