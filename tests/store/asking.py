"""Ask a store as one of several, and tell what was seen: `python -m tests.store.asking`.

Each line of stdin is one order, [url, seed, who, how many of them, operations]; a line of JSON answers it.
"""

from __future__ import annotations

import json
import random
import sys
import time

from tests.store.linear import Seen
from wsgistack.store.base import Step, Store
from wsgistack.store.url import make_store

__all__ = ["KEYS", "ask"]

KEYS = 3
START_LIMIT_S = 60.0


def ask(store: Store, seed: int, who: int, of: int, operations: int) -> dict[str, list[Seen]]:
    """Count and swap with the *of* others of that *seed*; return what was seen, by key."""
    dice = random.Random(seed * 1000 + who)
    seen: dict[str, list[Seen]] = {f"{seed}:{number}": [] for number in range(KEYS)}
    tokens: dict[str, list[int]] = {key: [] for key in seen}
    _wait_for_others(store, seed, of)
    for number in range(operations):
        key = dice.choice(list(seen))
        known = tokens[key]
        began = time.monotonic_ns()
        match dice.randrange(4):
            case 0:
                by = dice.choice([1, 7, -3])
                total, token = store.incr_many([Step(key, by, 600.0)])[0]
                op = Seen(began, time.monotonic_ns(), "incr", by, token, total)
            case 1 if known:
                token = known[-1] if dice.random() < 0.8 else dice.choice(known)
                new = 1000 * (who + of * number) + dice.randrange(1000)
                done = store.cas(key, b"%d" % new, 600.0, token)
                op = Seen(began, time.monotonic_ns(), "cas", new, token, int(done))
            case _:
                found = store.gets(key)
                ended = time.monotonic_ns()
                if found is None:
                    op = Seen(began, ended, "gets", 0, 0, None)
                else:
                    op = Seen(began, ended, "gets", 0, found.token, int(found.value))
                    known.append(found.token)
        seen[key].append(op)
    return seen


def _wait_for_others(store: Store, seed: int, of: int) -> None:
    count = store.incr(f"ready:{seed}", 1, 600.0)
    limit = time.monotonic() + START_LIMIT_S
    while count < of and time.monotonic() < limit:
        time.sleep(0.0005)
        count = store.incr(f"ready:{seed}", 0, 600.0)


def main() -> None:
    """Do what the lines of stdin order."""
    stores: dict[str, Store] = {}
    for line in sys.stdin:
        url, *order = json.loads(line)
        store = stores.get(url) or stores.setdefault(url, make_store(url))
        print(json.dumps(ask(store, *order)), flush=True)
    for store in stores.values():
        store.close()


if __name__ == "__main__":
    main()
