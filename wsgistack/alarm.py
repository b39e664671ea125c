"""One thing done some time from now, whatever else happens: by a thread that is there only until then.

What a process keeps for its next request is kept for ever when no other request comes.  A thread that
lives for as long as the process was considered: it would be there before a fork, and wake an idle machine.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable

from wsgistack import forks

__all__ = ["Alarm"]

ENDS_WITHIN_S = 1.0

log = logging.getLogger(__name__)


class Alarm:
    """Calls the method *act* when it is due; forgets it with its owner.

    A greenlet where gevent has replaced threads.  Where no thread can start nothing is called.
    Safe for threads; a fork begins with an alarm that is not set.
    """

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = weakref.WeakMethod(act)
        self._ringing: tuple[threading.Thread, threading.Event] | None = None
        self._is_set = False
        forks.register(self)

    def set(self, after_s: float) -> None:
        """Ring after so many seconds, unless it is set already."""
        if self._is_set:
            return
        self._is_set = True
        hurry = threading.Event()  # made here: gevent may have replaced it since we were made
        thread = threading.Thread(
            target=self._ring, args=(after_s, hurry), name="wsgistack alarm", daemon=True
        )
        self._ringing = thread, hurry
        try:
            thread.start()
        except RuntimeError:  # too many of them, or the interpreter ends
            self._ringing, self._is_set = None, False

    def end(self) -> None:
        """Ring at once if it is set, and wait a little until that is done."""
        ringing = self._ringing
        if ringing is not None:
            thread, hurry = ringing
            hurry.set()
            thread.join(ENDS_WITHIN_S)

    def forked(self) -> None:
        """Begin anew: the thread is the parent's."""
        self._ringing, self._is_set = None, False

    def _ring(self, after_s: float, hurry: threading.Event) -> None:
        hurry.wait(after_s)
        self._is_set = False  # before the act: what comes while it acts sets it again
        act = self._act()
        if act is None:
            return
        try:
            act()
        except Exception:
            log.exception("alarm: %r failed", act)
