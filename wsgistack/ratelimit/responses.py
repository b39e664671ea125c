"""One response on its way through a limiter: fields that are added, what is metered, what is settled."""

from __future__ import annotations

from collections.abc import Callable

from wsgistack.ratelimit.decision import Decision
from wsgistack.ratelimit.meter import Meter
from wsgistack.ratelimit.rows import Row
from wsgistack.wsgi import ExcInfo, Headers, StartResponse, pass_head

__all__ = ["Counted", "Settled", "with_fields"]


def with_fields(start_response: StartResponse, added: Headers) -> StartResponse:
    """Return what adds fields to a response, as often as the application begins it."""

    def start(status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Callable[[bytes], object]:
        if exc_info is None:
            return start_response(status, [*headers, *added])
        return start_response(status, [*headers, *added], exc_info)

    return start


class Counted:
    """One request that is metered when its response begins; a later word about its status corrects it."""

    __slots__ = (
        "_about",
        "_at",
        "_counted",
        "_meter",
        "_refused",
        "_start_response",
        "_would_refuse",
        "status",
    )

    def __init__(
        self, meter: Meter, decision: Decision, start_response: StartResponse, *, dry_run: bool
    ) -> None:
        self._meter = meter
        self._start_response = start_response
        self._at = decision.decided_at
        self._about = decision.about()
        refused = decision.refused_by()
        self._refused = [] if dry_run else refused
        self._would_refuse = decision.would_be_refused_by() + (refused if dry_run else [])
        self._counted: list[Row] = []
        self.status = 0  # 0: it has not begun

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        """Pass on what the application says, and count what the server takes."""
        write = pass_head(self._start_response, status, headers, exc_info)
        self._count(int(status[:3]))
        return write

    def at_end(self, sent: int = 0) -> None:
        """Count an application that failed, or was left, before it said anything."""
        if not self.status:
            self._count(500)

    def _count(self, status: int) -> None:
        if self.status:
            self._meter.correct(self._counted, self.status, status)
        else:
            self._counted = self._meter.count(
                self._at, self._about, status, refused=self._refused, would_refuse=self._would_refuse
            )
        self.status = status


class Settled:
    """One request on its way through whose end matters: settles what it really took."""

    __slots__ = ("_decision", "_start_response", "_status", "_written")

    def __init__(self, decision: Decision, start_response: StartResponse, added: Headers) -> None:
        self._decision = decision
        self._start_response = with_fields(start_response, added)
        self._status = 0
        self._written = 0

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        """Pass on what the application says, and remember what the server takes."""
        write = self._start_response(status, headers, exc_info)
        self._status = int(status[:3])

        def count(block: bytes) -> object:
            self._written += len(block)
            return write(block)

        return count

    def at_end(self, sent: int) -> None:
        """Give back the places, count the bytes, and what the status costs."""
        self._decision.release()
        self._decision.charge_bytes(max(sent + self._written - 1, 0))  # one was counted at the start
        # Who fails, or is left, before anything was said is a 500, as everywhere here.
        self._decision.charge_for_status(self._status or 500)
