"""One run of the application under watch: its head is judged, its body passes on and is kept.  PEP 3333

Nothing is sent before the first block of the body (or the first write) is there, so that an
application which fails until then can still be stood in for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from wsgistack.cache.answers import GOING_ON, PASSED_ON, AfterResponse, Drop, Keep, Refresh, Serve
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.page import WHOLE_BODIES, Page, Reply
from wsgistack.wsgi import Environ, ExcInfo, Headers, StartResponse

__all__ = [
    "Judge",
    "Run",
    "close_body",
    "is_file",
    "not_stored",
    "send_reply",
    "to_nobody",
    "unsaid",
    "why_only_pass",
]


class Judge(Protocol):
    """What a run asks of the cache; one per request."""

    def judge(self, head: ResponseHead) -> AfterResponse:
        """Return what to do with the response."""
        ...

    def stand_in(self) -> Reply | None:
        """Return a stale reply for an application that failed, if one is allowed."""
        ...

    def keep(self, page: Page) -> None:
        """Store a page that is complete."""
        ...

    def passed(self, block: bytes) -> None:
        """Take note of a block of a page that is kept."""
        ...

    def go_on(self) -> None:
        """Take note that the client has taken what passed."""
        ...

    def too_large(self) -> None:
        """Take note that the page has become too large to be kept."""
        ...

    def over(self) -> None:
        """Take note that nothing more comes."""
        ...

    @property
    def is_followed(self) -> bool:
        """True if others wait for the rest of the page."""
        ...


class Run:
    """What the application said, and what was sent of it.  Its `start` is the application's start_response."""

    __slots__ = (
        *("_judge", "_passed", "_sink", "_start_response", "_write"),
        *("answer", "head", "is_measured", "is_sent"),
    )

    def __init__(self, judge: Judge, start_response: StartResponse, largest: int) -> None:
        self._judge = judge
        self._start_response = start_response
        self._write: Callable[[bytes], object] | None = None
        self._sink = Sink(largest)
        self._passed = 0
        self.answer: AfterResponse | None = None
        self.head: ResponseHead | None = None
        self.is_sent = False
        self.is_measured = False  # the body is here, and fits

    def start(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        """Take the head; a second one counts only as PEP 3333 lets it, with exc_info.

        It is judged by `decide`, so that what the application says after start_response counts too.
        """
        if self.is_sent or (self.head is not None and exc_info is None):
            # The server's own answer to that: it raises what exc_info tells, or says it was called twice.
            self._sink.give_up()
            if not self.is_sent:
                self.decide()
                self.send_head()
            if exc_info is None:
                return self._start_response(status, headers)
            return self._start_response(status, headers, exc_info)
        self.head = ResponseHead(int(status[:3]), status[4:], headers)
        if self.answer is not None:
            self.answer = self._judge.judge(self.head)
        return self.write

    def decide(self) -> None:
        """Let the head be judged if there is one; when the application returns, or the first block is there."""
        if self.answer is None and self.head is not None:
            self.answer = self._judge.judge(self.head)

    def write(self, block: bytes) -> object:
        """Send a block in the old way, behind the head."""
        self.decide()
        if not isinstance(self.answer, PASSED_ON):
            return None  # what is sent is another answer
        first = not self.is_sent
        if first:
            self.send_head()
        assert self._write is not None
        if isinstance(self.answer, Keep):
            if first and self.answer.before:
                self.add(self.answer.before)
                self._write(self.answer.before)
            self.add(block)
        return self._write(block)

    def send_head(self) -> None:
        """Send the head of the response that goes on."""
        answer = self.answer
        assert isinstance(answer, GOING_ON)
        head = answer.reply if isinstance(answer, Refresh) else answer.head
        if isinstance(answer, Keep) and not self.is_measured and length_of(answer, None) is None:
            head = unsaid(answer.head)  # it may still become too large
        self.is_sent = True
        self._write = self._start_response(f"{head.status} {head.reason}", list(head.fields))

    def refuse_to_keep(self, why: str) -> None:
        """Turn Keep into Drop, for a reason that shows only now."""
        assert isinstance(self.answer, Keep)
        self.answer = Drop(why, not_stored(self.answer.head, why), self.answer.invalidates)

    def add(self, block: bytes) -> None:
        """Keep a block, as long as there is room."""
        self._passed += len(block)
        if self._sink.is_full:
            return
        self._sink.add(block)
        if self._sink.is_full:
            self._judge.too_large()
        else:
            self._judge.passed(block)

    @property
    def is_complete(self) -> bool:
        """True once as many bytes have passed as were announced: what follows is not the page's."""
        answer = self.answer
        announced = answer.page.head.field("content-length") if isinstance(answer, Keep) else None
        return announced is not None and announced.isdecimal() and self._passed >= int(announced)

    @property
    def is_followed(self) -> bool:
        """True if others wait for the rest, and it will be kept."""
        return not self._sink.is_full and self._judge.is_followed

    def go_on(self) -> None:
        """Take note that the client has taken what passed."""
        self._judge.go_on()

    def over(self) -> None:
        """Take note that nothing more comes."""
        self._judge.over()

    def finish(self) -> None:
        """Store the page if its body is all there."""
        answer = self.answer
        if not isinstance(answer, Keep):
            return
        body = self._sink.take()
        if body is None:
            return
        announced = answer.page.head.field("content-length")
        length = int(announced) if announced is not None and announced.isdecimal() else len(body)
        part = answer.page.part
        if len(body) < length or (part is not None and part.span.length != min(len(body), length)):
            return  # cut short: RFC 9111 §3.3
        self._judge.keep(answer.page.with_body(body[:length]))

    def stand_in(self) -> Reply | None:
        """Return what stands in for an application that failed, None if it is too late or not allowed."""
        return None if self.is_sent else self._judge.stand_in()

    @property
    def instead(self) -> Reply | None:
        """What stands in for a response whose second head, which came with exc_info, is an error; None for nothing."""
        answer = self.answer
        return answer.reply if isinstance(answer, Serve) and not self.is_sent else None

    def send_instead(self, reply: Reply) -> None:
        """Send the head of another answer."""
        self.is_sent = True
        self._sink.give_up()
        self._start_response(f"{reply.status} {reply.reason}", reply.fields)


class Sink:
    """Blocks of a body, up to *largest* bytes; beyond that none."""

    __slots__ = ("_blocks", "_room")

    def __init__(self, largest: int) -> None:
        self._blocks: list[bytes] | None = []
        self._room = largest

    def add(self, block: bytes) -> None:
        if self._blocks is not None:
            self._room -= len(block)
            if self._room < 0:
                self._blocks = None
            else:
                self._blocks.append(block)

    @property
    def is_full(self) -> bool:
        return self._blocks is None

    def give_up(self) -> None:
        self._blocks = None

    def take(self) -> bytes | None:
        """Return everything, None if it was too much; it is given back then."""
        blocks, self._blocks = self._blocks, None
        return None if blocks is None else b"".join(blocks)


def not_stored(head: ResponseHead, why: str) -> ResponseHead:
    """Return *head* whose last field, our Cache-Status, says *why* it is not stored instead of that it is."""
    *others, (name, value) = head.fields
    text = value if "; detail=" in value else f"{value.replace('; stored', '')}; detail={why}"
    return head.with_fields((*others, (name, text)))


def unsaid(head: ResponseHead) -> ResponseHead:
    """Return *head* whose last field, our Cache-Status, does not say that it is stored: nobody knows yet.  RFC 9211 §2.3"""
    *others, (name, value) = head.fields
    return head.with_fields((*others, (name, value.replace("; stored", ""))))


def close_body(body: Iterable[bytes]) -> None:
    """Close a body that has a close()."""
    close = getattr(body, "close", None)
    if close is not None:
        close()


def send_reply(reply: Reply, start_response: StartResponse) -> list[bytes]:
    """Send a whole answer."""
    start_response(f"{reply.status} {reply.reason}", reply.fields)
    return [reply.body] if reply.body else []


def to_nobody(status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Callable[[bytes], object]:
    """Take the head of an answer that goes to nobody."""
    if exc_info is not None and exc_info[1] is not None:
        raise exc_info[1].with_traceback(exc_info[2])
    return lambda block: None


def is_file(body: Iterable[bytes], environ: Environ) -> bool:
    """Tell whether a server sends *body* by itself."""
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


def why_only_pass(keep: Keep, body: Iterable[bytes], environ: Environ, largest: int) -> str:
    """Return why a body is better left alone, "" if it is not."""
    if is_file(body, environ):
        return "file"
    return "too-large" if (length_of(keep, body) or 0) > largest else ""


def length_of(keep: Keep, body: Iterable[bytes] | None) -> int | None:
    """Return how long the body is, if that is announced or *body* is whole, else None."""
    announced = keep.head.field("content-length")
    if announced and announced.isdecimal():
        return int(announced)
    return sum(map(len, body)) if isinstance(body, WHOLE_BODIES) else None
