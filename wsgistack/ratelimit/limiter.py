"""The limiter: rules and states together decide about a request.  It knows no WSGI.

All limits of a request are granted together or not at all.  A rule that only watches (dry_run) is
decided apart, so that it changes nothing for anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from hashlib import blake2b

from wsgistack.accounts import Deciding
from wsgistack.errors import SettingError
from wsgistack.http.forwarded import LONGEST_HOP
from wsgistack.http.request import RequestView
from wsgistack.memos import Memo
from wsgistack.ratelimit.algorithms import NEVER, State
from wsgistack.ratelimit.bans import parse_ban
from wsgistack.ratelimit.clients import EVERYBODY, KEY_BYTES, Asker, Key, Trust, client_ip, everybody
from wsgistack.ratelimit.decision import Decision
from wsgistack.ratelimit.fields import make_teller
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.notes import MemoryNote, NoNote, Note, StoreNote
from wsgistack.ratelimit.rates import UNLIMITED, Rate
from wsgistack.ratelimit.rules import Rule, check_names, policy_names
from wsgistack.ratelimit.shut import NEVER_US, ShutList, ShutOut
from wsgistack.ratelimit.table import Claim, Table
from wsgistack.ratelimit.tables import Before, Options, make_table, make_workers_table
from wsgistack.ratelimit.tellers import Teller
from wsgistack.registry import find_hint
from wsgistack.store.base import Store

__all__ = ["Limiter"]

CLIENTS_REMEMBERED = 8192
BANS = "rl:bans"  # what operators said, in a store
LONGEST_KEY = 64  # bytes that are kept as they are
TELLERS_REMEMBERED = 512  # one for each set of limits under which requests may count


class _Compiled:
    """A rule with its tests and limits looked up once.

    *steps*: (number, cost) of each limit, or None where the cost or the limits depend on the request.
    """

    __slots__ = ("ban", "dry_run", "is_about", "is_sure", "key", "limits", "rule", "steps", "tiers")

    def __init__(
        self, rule: Rule, limits: list[Limit], tiers: dict[str, list[Limit]], ban: Limit | None
    ) -> None:
        self.rule = rule
        self.ban = ban
        self.dry_run = rule.dry_run
        self.is_about = rule.is_about
        self.is_sure = rule.is_surely_about
        self.key: Key = rule.key if rule.key in (client_ip, everybody) else partial(_find_keys, rule)
        self.limits = limits
        self.tiers = tiers
        self.steps = (
            _steps(limits, rule.cost, ban) if isinstance(rule.cost, int) and rule.tier is None else None
        )

    def steps_for(self, request: RequestView) -> list[tuple[int, int]]:
        """Return (number, cost) of each limit that holds for a request: those of its tier, if it has one."""
        if self.steps is not None:
            return self.steps
        rule = self.rule
        limits = self.limits if rule.tier is None else self.tiers.get(str(rule.tier(request)), self.limits)
        cost = rule.cost if isinstance(rule.cost, int) else _find_cost(rule, request)
        return _steps(limits, cost, self.ban)


def _steps(limits: list[Limit], cost: int, ban: Limit | None) -> list[tuple[int, int]]:
    if not limits:
        return []
    # A limit of bytes has room as long as it has one; the rest is counted when it was sent.
    steps = [(limit.number, 1 if limit.rate.in_bytes else cost) for limit in limits]
    return steps if ban is None else [(ban.number, 0), *steps]


def _same_for_all(rules: Sequence[_Compiled]) -> list[tuple[int, int, bool]] | None:
    """Return (number, cost, whether it counts all clients together) of each limit that holds for every
    request; None where a request can make a difference.
    """
    steps: list[tuple[int, int, bool]] = []
    for one in rules:
        if (
            one.is_about is not None
            or one.steps is None
            or one.dry_run
            or one.key not in (client_ip, everybody)
        ):
            return None
        if not one.steps:
            break  # unlimited
        steps += [(number, cost, one.key is everybody) for number, cost in one.steps]
    return steps


def _claims_of_ip(steps: Sequence[tuple[int, int, bool]], ip: bytes) -> Sequence[Claim]:
    return tuple([(number, EVERYBODY if is_shared else ip, cost) for number, cost, is_shared in steps])


def _find_cost(rule: Rule, request: RequestView) -> int:
    assert not isinstance(rule.cost, int)
    return _check_cost(rule.cost(request), f"rule {rule.name}: cost gave")


def _check_cost(cost: int, what: str) -> int:
    if isinstance(cost, bool) or not isinstance(cost, int) or cost < 0:
        raise SettingError(f"{what} {cost!r}, not a number from 0 on")
    return cost


def _find_keys(rule: Rule, asker: Asker) -> tuple[bytes, ...]:
    """Return the keys of a rule whose key is a function of somebody's own; never none, and none too long."""
    keys = rule.key(asker)
    if not keys:
        return client_ip(asker)  # no key is no way around a limit
    if not isinstance(keys, tuple) or not all(isinstance(key, bytes) for key in keys):
        raise SettingError(f"rule {rule.name}: key gave {keys!r:.80}, not a tuple of bytes such as (b'ann',)")
    # A store refuses keys that are too long, which would be its trouble for everybody.
    return tuple(
        [key if len(key) <= LONGEST_KEY else blake2b(key, digest_size=KEY_BYTES).digest() for key in keys]
    )


def _make_note(store: Store | None, every_us: int) -> Note:
    if store is None:
        return MemoryNote()
    return StoreNote(store, BANS) if every_us else NoNote()


class Limiter(Deciding):
    """Decides by *rules*, in their order; states live in *store*, or in this process without one.

    *now* gives microseconds since the epoch that never go back.  *on_store_error*: see SharedTable.
    Safe for threads and greenlets, and for processes as far as the store is.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        trust: Trust,
        now: Callable[[], int],
        max_keys: int = 100_000,
        store: Store | None = None,
        on_store_error: str = "local",
        processes: int = 1,
        bans_every_us: int = 0,
        before: Limiter | None = None,
    ) -> None:
        check_names(rule.name for rule in rules)
        self.rules = tuple(rules)
        self.trust = trust
        self.now = now
        self.limits: list[Limit] = []
        self._bans: dict[Rule, Limit] = {}
        self._compiled = [self._compile(rule) for rule in rules]
        self.settles = any(limit.has_an_end for limit in self.limits)
        self.delays = [limit for limit in self.limits if limit.delay is not None]
        # What a client's requests count under, where that is the same for all of them: made once for
        # each client instead of once for each request, which takes longer than the decision.
        self._steps = steps = _same_for_all(self._compiled)
        self._claims_of_ip: Callable[[bytes], Sequence[Claim]] | None = None
        self.claims_of_peer: Callable[[str], Sequence[Claim]] | None = None
        self.find_teller: Callable[[tuple[int, ...]], Teller] = lru_cache(TELLERS_REMEMBERED)(
            self._make_teller
        )
        self.teller: Teller | None = None  # of all decisions, where it is the same
        if steps is not None:
            self.teller = self._make_teller(tuple([number for number, _, _ in steps]))
            self._claims_of_ip = lru_cache(CLIENTS_REMEMBERED)(partial(_claims_of_ip, steps))
            if not trust.believes:
                self.claims_of_peer = Memo[str, Sequence[Claim]](
                    lambda peer: _claims_of_ip(steps, trust.key_of_peer(peer)),
                    CLIENTS_REMEMBERED,
                    longest=LONGEST_HOP,
                )
        self._options = Options(on_store_error, max_keys, processes)
        self._store = store
        before_table = None if before is None else Before(before.table, before.limits)
        self.table = make_table(self.limits, store, self._options, before_table)
        if before is None:
            self.shut = ShutList(rules, _make_note(store, bans_every_us), bans_every_us if store else 0)
        else:
            self.shut = before.shut.follow(rules)
        self.shut.tell = self._bind
        self._bind()

    def _bind(self) -> None:
        table, steps = self.table, self._steps
        if (
            isinstance(table, Table)
            and self.shut.look_at == NEVER_US
            and steps
            and not any(is_shared for _, _, is_shared in steps)
        ):
            self.bound = table.bind([(number, cost) for number, cost, _ in steps])
        else:
            self.bound = None

    def successor(self, rules: Sequence[Rule]) -> Limiter:
        """Return a limiter by other *rules*; limits that are the same go on with their counts.

        Decisions of this one are settled where the successor counts.  ConfigurationError for rules that
        cannot be meant together.
        """
        policy, max_keys, processes = self._options
        return Limiter(
            rules,
            trust=self.trust,
            now=self.now,
            max_keys=max_keys,
            store=self._store,
            on_store_error=policy,
            processes=processes,
            before=self,
        )

    def share(self, place: str, *, master: int | None = None, follow: bool = False) -> None:
        """Keep states from now on where the worker processes of this server share them, as *place*.

        *master*: whose children they are; without it they are this process and its siblings.
        *follow*: other rules may follow these.
        Raises StoreDown or ConfigurationError, with nothing changed, where that cannot be.
        """
        table, note, store = make_workers_table(
            self.limits, place, self._options, master=master, follow=follow
        )
        self.table, self.bound, self._store = table, None, store or self._store
        self.shut.move(note, self.now())

    @property
    def asks_who_only(self) -> bool:
        """Whether decisions need nothing of a request but who holds the connection: see hit_from."""
        return self.claims_of_peer is not None

    def hit_from(self, peer: str) -> Decision:
        """Do what hit does, for a request of *peer*, where `asks_who_only`."""
        assert self.claims_of_peer is not None
        claims, bound = self.claims_of_peer(peer), self.bound
        if bound is None:
            return self.decide(claims)
        now = self.now()
        index, wait, states = bound(claims[0][1], now)
        if index < 0:
            return Decision(self, claims, now, states)
        return self.refuse(claims, now, index, wait, states)

    def hit(self, request: RequestView) -> Decision:
        """Count one request and decide whether it may pass."""
        if self._claims_of_ip is not None:
            return self.decide(self._claims_of_ip(self.trust.key(request)))
        asker = Asker(request, self.trust)
        claims: list[Claim] = []
        watched: list[list[Claim]] | None = None
        for compiled in self._compiled:
            is_about = compiled.is_about
            if is_about is not None and not is_about(request):
                continue
            steps = compiled.steps
            if steps is None:
                steps = compiled.steps_for(request)
            if not steps:
                if compiled.dry_run or not (compiled.is_sure is None or compiled.is_sure(request)):
                    continue  # it only watches, or perhaps is about another page: the rules behind it hold
                break  # unlimited: the rules behind it do not matter
            found = [(number, key, cost) for key in compiled.key(asker) for number, cost in steps]
            if compiled.dry_run:
                watched = [*(watched or []), found]
            elif claims:
                claims += found
            else:
                claims = found
        decision = self.decide(claims)
        if watched is not None:
            for found in watched:
                decision.join(self.decide(found))
        return decision

    def hit_rule(self, name: str, key: bytes, *, cost: int = 1) -> Decision:
        """Count *cost* units of *key* under the rule *name*: what is limited and is no request.

        The rule's `path`, `methods`, `tier` and the like are not looked at.  SettingError for a name
        that no rule has.
        """
        for compiled in self._compiled:
            if compiled.rule.name == name:
                steps = _steps(compiled.limits, _check_cost(cost, f"rule {name}: cost is"), compiled.ban)
                found = self.decide([(number, key, units) for number, units in steps])
                if not compiled.dry_run:
                    return found
                decision = self.decide([])
                decision.join(found)
                return decision
        hint = find_hint(name, [rule.name for rule in self.rules])
        raise SettingError(f"rule {name}: no rule has this name{hint}")

    def decide(self, claims: Sequence[Claim]) -> Decision:
        """Decide about *claims* of (number of a limit, key, cost)."""
        now = self.now()
        if now >= self.shut.look_at:
            shut = self.find_shut(claims, now)
            if shut is not None:
                return shut
        index, wait, states = self.table.decide(claims, now)
        if index < 0:
            return Decision(self, claims, now, states)
        return self.refuse(claims, now, index, wait, states)

    def find_shut(self, claims: Sequence[Claim], now: int) -> Decision | None:
        """Return the refusal of who is shut out, None for who is not; before each decision, from
        `shut.look_at` on.
        """
        found = self.shut.find(claims, self.limits, now)
        return None if found is None else ShutOut(self, claims, now, *found)

    def refuse(
        self, claims: Sequence[Claim], now: int, index: int, wait: int, states: Sequence[State | None]
    ) -> Decision:
        """Return the refusal that the table's outcome about *claims* is, noted where the rules say so."""
        refused = self.limits[claims[index][0]]
        if refused.ban is None:
            self._note(refused, claims, index, wait, now)
        return Decision(self, claims, now, states, refused, wait)

    def _note(self, refused: Limit, claims: Sequence[Claim], index: int, wait: int, now: int) -> None:
        """Count a refusal where the rule says so: under its limit, and towards a ban."""
        _, key, cost = claims[index]
        noted: list[Claim] = []
        if refused.rule.count_refused and wait != NEVER and refused.rate.algorithm != "concurrent":
            noted.append((refused.number, key, cost))
        ban = self._bans.get(refused.rule)
        if ban is not None:
            noted.append((ban.number, key, 1))
        if noted:
            self.table.charge(noted, now)

    def _make_teller(self, numbers: tuple[int, ...]) -> Teller:
        return make_teller([self.limits[number] for number in numbers])

    def _compile(self, rule: Rule) -> _Compiled:
        tiers = {name: self._make_limits(rule, rates) for name, rates in rule.tier_rates.items()}
        limits = self._make_limits(rule, rule.rates)
        ban = None
        if rule.ban:
            ban = Limit(len(self.limits), f"{rule.name}-ban", UNLIMITED, rule, parse_ban(rule.ban))
            self.limits.append(ban)
            self._bans[rule] = ban
        return _Compiled(rule, limits, tiers, ban)

    def _make_limits(self, rule: Rule, rates: Sequence[Rate]) -> list[Limit]:
        limits = []
        for policy, rate in zip(policy_names(rule.name, rates), rates, strict=True):
            if rate == UNLIMITED:
                continue
            limit = Limit(len(self.limits), policy, rate, rule)
            self.limits.append(limit)
            limits.append(limit)
        return limits
