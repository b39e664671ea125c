"""One request that the application is to answer, and all that happens on its behalf."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace

from wsgistack.cache.answers import (
    ANSWERED,
    PASSED_ON,
    AfterResponse,
    Drop,
    Fetch,
    Keep,
    Pass,
    Refetch,
    Refresh,
    Serve,
    Trip,
    Validate,
)
from wsgistack.cache.audit import Reads
from wsgistack.cache.bodies import Captured, Chained, Hopeful, Then, begin
from wsgistack.cache.coalesce import Lease, beside
from wsgistack.cache.filling import changed
from wsgistack.cache.found import NOTHING, Found, Place
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.keys import make_key
from wsgistack.cache.page import WHOLE_BODIES, Page, Reply, make_not_modified
from wsgistack.cache.rules import Rule, told_of
from wsgistack.cache.run import (
    Run,
    close_body,
    is_file,
    not_stored,
    send_reply,
    to_nobody,
    unsaid,
    why_only_pass,
)
from wsgistack.cache.telling import tell
from wsgistack.cache.tickets import NO_HOLD, Ticket
from wsgistack.cache.together import may_share, settle
from wsgistack.cache.turn import Turn
from wsgistack.cache.vary import vary_names
from wsgistack.cache.voice import ENVIRON_KEY, Voice
from wsgistack.cache.works import Works
from wsgistack.http.request import RequestView
from wsgistack.wsgi import Environ, EnvironRequest, StartResponse

__all__ = ["Visit"]

NOT_SENT = Pass("bypass")


class Visit:
    """A request at *place*; *environ* is what the application is to see, *found* what is stored for it.

    *is_alone*: nothing of the response is stored.  *hold*: what lies at the place, where that is known.
    """

    __slots__ = (
        "_asked_at",
        "_environ",
        "_judged",
        "_reads",
        "_rule",
        "_sent",
        "_voice",
        "found",
        "hold",
        "is_alone",
        "place",
        "request",
        "ticket",
        "turn",
        "works",
    )

    def __init__(
        self,
        works: Works,
        environ: Environ,
        request: RequestView,
        place: Place,
        rule: Rule | None,
        found: Found = NOTHING,
    ) -> None:
        self.works = works
        self.request = request
        self.place = place
        self.turn: Turn[Page] | None = None
        self.hold = NO_HOLD
        self.is_alone = False
        self._environ = environ
        self._rule = rule
        self.found = found
        self._sent: Fetch | Validate | Pass = NOT_SENT
        self._asked_at = 0.0
        self.ticket = Ticket()
        self._voice = Voice()
        self._judged: tuple[Trip, ResponseHead, float] | None = None
        self._reads: Reads | None = None
        environ[ENVIRON_KEY] = self._voice

    def look(self) -> Serve | Fetch | Validate | Pass:
        """Look again at what is stored, and return what is to be done now."""
        works = self.works
        self.found = found = works.shelf.find(self.place, self.request.field)
        return works.engine.on_request(
            self.request, found.pages, works.now(), has_variants=found.has_variants
        )

    def decide(self, page: Page) -> Serve | Fetch | Validate | Pass:
        """Return what is to be done if *page* were stored."""
        return self.works.engine.on_request(self.request, [page], self.works.now())

    def serve(self, decision: Serve, start_response: StartResponse) -> Iterable[bytes]:
        """Answer by what is stored; what is to be fetched anew is fetched when the reply was sent."""
        body = send_reply(decision.reply, start_response)
        refresh = decision.refresh
        return body if refresh is None else Then(body, lambda: self._refresh(refresh))

    def send(self, sent: Fetch | Validate | Pass, start_response: StartResponse) -> Iterable[bytes]:
        """Let the application answer, and return what goes to the client."""
        works = self.works
        self._sent, self._asked_at = sent, works.now()
        self.ticket = self._ask_for(sent)
        environ = self._environ if isinstance(sent, Pass) else changed(self._environ, sent.changes)
        if works.audit is not None and not isinstance(sent, Pass):
            environ = self._reads = Reads(environ)
        run = Run(self, start_response, works.largest)
        body: Iterable[bytes] = ()
        blocks: Iterator[bytes] | None = None
        try:
            body = works.app(environ, run.start)
            if run.head is None:  # start_response is called when the first block is asked for
                blocks = begin(run, iter(body))
            run.decide()
        except BaseException as error:
            close_body(body)
            settle(self, None)
            # What ends a greenlet or a program (gevent's Timeout too) is nothing to stand in for.
            reply = run.stand_in() if isinstance(error, Exception) else None
            if reply is None:
                raise
            return send_reply(reply, start_response)
        return self._go_on(run, body, blocks, environ, start_response)

    def _ask_for(self, sent: Fetch | Validate | Pass) -> Ticket:
        """Return the ticket for the page that may come of it."""
        shelf = self.works.shelf
        # What passes brings no page, but for what a change brings: see judge.  HEAD at most refreshes one.
        if isinstance(sent, Pass) or self.is_alone or (self.request.method == "HEAD" and sent.page is None):
            return Ticket(shelf.forgotten.moment)
        ticket = shelf.asking(self.place, self.found, self.hold)
        if self.turn is not None:
            self.turn.asks(ticket)
        return ticket

    def _go_on(
        self,
        run: Run,
        body: Iterable[bytes],
        blocks: Iterator[bytes] | None,
        environ: Environ,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        """Do what was decided when the application called start_response."""
        answer = run.answer
        if answer is None:  # it never called start_response; the server complains of that
            settle(self, None)
        if isinstance(answer, Keep):
            why = why_only_pass(answer, body, environ, self.works.largest)
            if not why:
                return Captured(run, answer, body, iter(body) if blocks is None else blocks)
            run.refuse_to_keep(why)
            settle(self, run.answer)
        elif isinstance(answer, Refetch):
            close_body(body)
            return self.send(answer.fetch, start_response)
        reply = answer.reply if isinstance(answer, ANSWERED) else None
        if isinstance(answer, Drop) and not run.is_sent and self._hid_conditions():
            reply = make_not_modified(answer.head, self.request)
        if isinstance(reply, Reply):
            close_body(body)
            return send_reply(reply, start_response)
        can_fail = blocks is None and not isinstance(body, WHOLE_BODIES) and not is_file(body, environ)
        if can_fail and isinstance(answer, Drop) and not run.is_sent and self._may_stand_in():
            return Hopeful(run, body)
        if answer is not None and not run.is_sent:
            run.send_head()
        return body if blocks is None else Chained(body, blocks)

    def _may_stand_in(self) -> bool:
        """Tell whether a stale page is there for an application that fails."""
        sent = self._sent
        return not isinstance(sent, Pass) and sent.page is not None and sent.may_stand_in

    def _hid_conditions(self) -> bool:
        """Tell whether the client's conditions were kept from the application."""
        return not isinstance(self._sent, Pass) and "if-none-match" in self._sent.changes

    def judge(self, head: ResponseHead) -> AfterResponse:
        """Return what to do with the response, and do to the shelf what cannot wait."""
        works, trip, now = self.works, self._trip(), self.works.now()
        answer = works.engine.on_response(trip, head, now)
        self._judged = trip, head, now
        if isinstance(answer, Keep):
            answer = replace(answer, head=self._said(answer))
        if isinstance(answer, Drop) and not isinstance(self._sent, Pass):
            self._voice.too_late_for = trip.target
        if isinstance(answer, Refresh):
            if answer.page is None:
                works.shelf.forget([self.place])
            else:
                self._put(answer.page)
        elif isinstance(answer, PASSED_ON) and answer.invalidates is not None:
            works.invalidate(self.place, answer.invalidates)
            if isinstance(answer, Keep):  # what this very request brings is not worthless
                self.ticket = works.shelf.asking(self.place, NOTHING)
                self.found = NOTHING._replace(generation=works.purges.read().serial)
        self._audit()
        if self.turn is not None:
            settle(self, answer)
        return answer

    def _audit(self) -> None:
        """Take note of what the application read till now."""
        audit = self.works.audit
        if audit is not None and self._reads is not None and self._judged is not None:
            trip, head, _ = self._judged
            audit.take(self._reads, url=trip.target, varies_by=vary_names(head) or ())

    def _said(self, keep: Keep) -> ResponseHead:
        """Return the head of a page that may be stored; it says no more than is known before its body."""
        works = self.works
        if works.shelf.is_down:
            return not_stored(keep.head, "store-down")
        if not works.shelf.may_put(self.place, keep.page, self.ticket):
            return not_stored(keep.head, "not-kept-lately")
        if works.verification is None:
            return keep.head
        is_near = works.verification.may_be_enough(self._frame_of(keep.page))
        return unsaid(keep.head) if is_near else not_stored(keep.head, "unverified")

    def _trip(self) -> Trip:
        voice, rule = self._voice, self._rule
        return Trip(
            self.request,
            self._sent,
            self.place.target.url,
            self._asked_at,
            told_of(voice, rule),
            voice.tags if rule is None else (*rule.tags, *voice.tags),
            voice.is_private,
            voice.why,
            voice.has_made_tag,
        )

    def _judged_anew(self, page: Page) -> Page | None:
        """Return *page* by what was said while its body was made; None where it is not to be kept then."""
        is_silent = not vars(self._voice)  # nothing was said, neither before nor since
        if self._judged is None or is_silent or self._judged[0] == (trip := self._trip()):
            return page
        answer = self.works.engine.on_response(trip, *self._judged[1:])
        return answer.page.with_body(page.body) if isinstance(answer, Keep) else None

    def stand_in(self) -> Reply | None:
        """Return a stale reply for an application that failed, and say so in the log."""
        works = self.works
        serve = works.engine.on_failure(self.request, self._sent, works.now())
        if serve is None:
            return None
        tell("origin_failed", url=self.place.target.url, exc_info=sys.exc_info())
        return serve.reply

    def passed(self, block: bytes) -> None:
        """Give a block of a page that is kept to those who wait for it, unless it is for one visitor by now."""
        turn = self.turn
        if turn is None:
            return
        if self._voice.is_private:
            turn.refuse(remember=True)
        else:
            turn.add(block)

    def go_on(self) -> None:
        """Take note that the client has taken what passed."""
        if self.turn is not None:
            self.turn.go_on()

    def too_large(self) -> None:
        """Let those who wait go alone: nothing of such a page is held."""
        if self.turn is not None:
            self.turn.refuse(remember=True)

    def keep(self, page: Page) -> None:
        """Store a page that is complete, if nobody objected meanwhile."""
        turn, found = self.turn, self._judged_anew(page)
        if found is None or not self._is_verified(found):
            if turn is not None:
                turn.refuse(remember=self._voice.is_private)
            return
        page = found
        is_stored = self._put(page)
        coalescer = self.works.coalescer
        if coalescer is not None:
            coalescer.note(self.place.key.text, is_empty=False)
            if may_share(page, self.works.now()):
                coalescer.forgive(self.place.key.text)
        if turn is not None:
            # A page whose query may be another one lies elsewhere.
            if (is_stored and page.head.field("no-vary-search") is None) or self.ticket.is_lost:
                turn.stored()
            if self.works.verification is not None:
                turn.share(page)
            turn.complete()

    def over(self) -> None:
        """Take note that nothing more comes."""
        self._audit()
        if self.turn is not None:
            self.turn.over()

    @property
    def is_followed(self) -> bool:
        """True if others wait for the rest of the page."""
        return self.turn is not None and self.turn.is_followed

    def _put(self, page: Page) -> bool:
        return self.works.shelf.put(
            self.place,
            page,
            asked_at=self._asked_at,
            generation=self.found.generation,
            ticket=self.ticket,
        )

    def _is_verified(self, page: Page) -> bool:
        verification = self.works.verification
        if verification is None:
            return True
        checked = verification.check(self._frame_of(page), page.head, page.body)
        if checked.differs_at is not None:
            tell("fills_differ", url=self.place.target.url, offset=checked.differs_at)
        elif checked.differs_in:
            tell("fills_differ", url=self.place.target.url, field=checked.differs_in)
        return checked.may_share

    def _frame_of(self, page: Page) -> bytes:
        """Return what tells *page* apart from others that are compared: its URL, visitors and variant."""
        return make_key(self.place.target, self.place.dimensions, page.selecting).full

    def _refresh(self, sent: Fetch | Validate) -> None:
        """Fetch the page anew, for nobody; one at a time for each key."""
        works, text, coalescer = self.works, self.place.key.text, self.works.coalescer
        with works.lock:
            if text in works.refreshing:
                return
            works.refreshing.add(text)
        try:
            if coalescer is None:
                self._in_background().sendto_nobody(sent)
            elif coalescer.take_lease(beside(text)).lease is Lease.OURS:
                try:
                    self._in_background().sendto_nobody(sent)
                finally:
                    coalescer.give_lease_back(beside(text), refused=False)
        except Exception:  # noqa: BLE001 - the application's; it is told, and the old page stays
            tell("refresh_failed", url=self.place.target.url, exc_info=True)
        finally:
            with works.lock:
                works.refreshing.discard(text)

    def _in_background(self) -> Visit:
        environ = dict(self._environ)
        environ.update({"REQUEST_METHOD": "GET", "wsgi.input": io.BytesIO()})
        for name in ("CONTENT_LENGTH", "CONTENT_TYPE", "wsgi.early_hints", "wsgi.input_terminated"):
            environ.pop(name, None)
        return Visit(
            self.works,
            environ,
            EnvironRequest(environ),
            self.place,
            self._rule,
            self.found,
        )

    def sendto_nobody(self, sent: Fetch | Validate) -> None:
        """Let the application answer a request that nobody waits for."""
        body = self.send(sent, to_nobody)
        try:
            for _ in body:
                pass
        finally:
            close_body(body)
