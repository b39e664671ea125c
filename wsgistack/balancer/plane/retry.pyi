from collections.abc import Iterable, Sequence
from typing import Any

FAILURES: tuple[str, ...]

def judge(
    failure: str,
    *,
    retry_on: Iterable[str] = ...,
    sent: bool = True,
    idempotent: bool = True,
    answered: bool = False,
    whole: bool = True,
    others: bool = True,
    within_budget: bool = True,
    asked_again: bool = False,
    retries: int = 0,
    limit: int = 3,
    errors: int = 0,
    delays_ms: Sequence[int] = (),
    left_ms: int = 60_000,
) -> dict[str, Any]: ...
