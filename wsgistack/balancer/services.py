"""The services: their roles, ports and settings, and switching them on and off."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wsgistack.balancer.address import parse_listen_list
from wsgistack.balancer.address_lists import AddressLists
from wsgistack.balancer.admin_settings import check_guarded
from wsgistack.balancer.caches import USUAL_NAME, Caches
from wsgistack.balancer.changed_fields import check_name, check_value
from wsgistack.balancer.limits import MOST_OF_A_SERVICE, Limits
from wsgistack.balancer.model import Service
from wsgistack.balancer.outside import Ports, Stats
from wsgistack.balancer.pools import Pools
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.balancer.split import REST, Rule, check_names, parse_rule, take_cell
from wsgistack.balancer.sticky import make_tokens
from wsgistack.errors import CommandError, ListenError, UnknownName
from wsgistack.registry import find_nearest
from wsgistack.settings import Setting, Value
from wsgistack.splits import key_of, make_key

__all__ = ["ACTS", "LATER_ROLES", "ROLES", "SERVICE_SLOTS", "Services", "given_with"]

SERVICE_SLOTS = 64  # plane/board.pxd
ROLES = ("reverse_proxy", "management")
LATER_ROLES = ("web_server", "selector", "upload_tracker")
ACTS = (
    "role",
    "listen",
    "pool",
    "split",
    "limit",
    "cache",
)  # keys of SET that do something; the others are settings

NO_LIMIT = ("none", '""', "''")
NO_CACHE = (*NO_LIMIT, "off", "no", "0", "false")
USUAL_CACHE = ("on", "yes", "1", "true")


@dataclass(slots=True)
class _Service:
    name: str
    slot: int
    cells: dict[str, int]  # counters of buckets
    role: str | None = None
    enabled: bool = False
    pool: str | None = None
    split: Rule | None = None
    limits: tuple[str, ...] = ()
    cache: str | None = None
    listen: tuple[str, ...] = ()
    settings: dict[str, Value] = field(default_factory=SERVICE_SETTINGS.defaults)
    chosen: set[str] = field(default_factory=set)  # settings given before the first role
    insert: list[tuple[str, str]] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)


class Services:
    """All services by name, in the order of their creation."""

    def __init__(
        self,
        pools: Pools,
        limits: Limits,
        caches: Caches,
        ports: Ports,
        stats: Stats,
        lists: AddressLists,
        *,
        secret: bytes = b"",
    ) -> None:
        self._pools = pools
        self._limits = limits
        self._caches = caches
        self._stats = stats
        self._ports = ports
        self._lists = lists
        self._secret = secret
        self._services: dict[str, _Service] = {}
        self._defaults: dict[str, Value] = {}
        self._used: set[int] = set()  # rows of the scoreboard that some service had
        self._cells: Mapping[str, dict[str, int]] = {}  # those of the balancer before

    def __contains__(self, name: object) -> bool:
        return name in self._services

    def names(self) -> list[str]:
        """Return all names in the order of creation."""
        return list(self._services)

    def defaults(self) -> dict[str, Value]:
        """Return what DEFAULT set, for services that get their role later."""
        return dict(self._defaults)

    def create(self, name: str) -> None:
        """Make a service without a role; the name is free, the caller has seen to it."""
        if len(self._services) >= SERVICE_SLOTS:
            raise CommandError(f"all {SERVICE_SLOTS} places for services are taken")
        slots = {service.slot for service in self._services.values()}
        free = next(n for n in range(SERVICE_SLOTS) if n not in slots)
        if free in self._used:  # by one that was deleted
            self._stats.reset_service(free)
        self._used.add(free)
        self._services[name] = _Service(name, free, cells={REST: 0} | self._cells.get(name, {}))

    def delete(self, name: str) -> None:
        """Take a service away and close its ports; what was accepted goes on."""
        service = self._get(name)
        if service.enabled:
            for address in service.listen:
                self._ports.close(name, address)
        del self._services[name]

    def get(self, name: str, text: str = "service '{}' does not exist") -> Service:
        """Return one service as a value, or raise CommandError with *text*."""
        return _as_value(self._get(name, text))

    def given(self, role: str | None) -> dict[str, Value]:
        """Return the settings that a service gets with its role, DEFAULT's included."""
        return given_with(self._defaults, role)

    def chosen(self, name: str) -> set[str]:
        """Return the settings that the first SET role will leave alone."""
        service = self._get(name)
        return set(service.chosen) if service.role is None else set()

    def cells(self) -> dict[str, dict[str, int]]:
        """Return {service: {bucket: its counter}} of those that ever had a split, for a successor."""
        return {name: dict(s.cells) for name, s in self._services.items() if len(s.cells) > 1}

    def restore_cells(self, cells: Mapping[str, dict[str, int]]) -> None:
        """Count where the balancer before did; before any command."""
        self._cells = cells

    def set_default(self, key: str, text: str) -> None:
        """Set what services get that are given their role from now on."""
        if key in ACTS:
            raise CommandError(f"'{key}' has no default")
        row = SERVICE_SETTINGS.get(key)
        value = SERVICE_SETTINGS.parse(key, text)
        if row.available:
            self._lists.take(row.sets or (key,), value)
            self._defaults.update(dict.fromkeys(row.sets or (key,), value))

    def set(self, name: str, key: str, text: str) -> None:
        """Do what `SET name.key = text` says."""
        service = self._get(name)
        acts = {
            "role": self._set_role,
            "listen": self._set_listen,
            "pool": self._set_pool,
            "split": self._set_split,
            "limit": self._set_limits,
            "cache": self._set_cache,
        }
        if key in acts:
            acts[key](service, text)
        else:
            self._set_setting(service, key, text)

    def enable(self, name: str) -> None:
        """Open the service's ports, all or none."""
        service = self._get(name)
        if service.enabled:
            raise CommandError(f"service {name} is already enabled")
        if service.role is None:
            raise CommandError(f"service '{name}' has no role: SET role = reverse_proxy", because=name)
        check_guarded(service.role, service.listen, service.settings)
        self._open(service, service.listen)
        service.enabled = True

    def disable(self, name: str) -> None:
        """Close the service's ports."""
        service = self._get(name)
        if service.role == "management":
            raise CommandError("can't disable management service")
        if not service.enabled:
            raise CommandError(f"service {name} is already disabled")
        service.enabled = False
        for address in service.listen:
            self._ports.close(name, address)

    def insert_field(self, name: str, field_name: str, value: str) -> None:
        """Add a field line to requests on their way to a node."""
        service = self._get(name)
        check_name(field_name)
        check_value(value)
        service.insert.append((field_name, value))

    def remove_field(self, name: str, field_name: str) -> None:
        """Drop a field from requests on their way to a node, before any is inserted."""
        service = self._get(name)
        check_name(field_name)
        if field_name.lower() not in service.remove:
            service.remove.append(field_name.lower())

    def clear_fields(self, name: str) -> None:
        """Leave the fields of requests as they are."""
        service = self._get(name)
        service.insert.clear()
        service.remove.clear()

    def publish(self) -> dict[str, Service]:
        """Return all services as values."""
        return {
            name: replace(
                _as_value(service), tokens=self._tokens(service, service.pool), **self._split(service)
            )
            for name, service in self._services.items()
        }

    def _tokens(self, service: _Service, pool: str | None) -> dict[str, str]:
        if service.settings["sticky"] != "cookie" or pool is None:
            return {}
        secret = str(service.settings["sticky_secret"]).encode("latin-1") or self._secret
        addresses = [address for address, _, _ in self._pools.members(pool)]
        return make_tokens(secret, pool, addresses)

    def _split(self, service: _Service) -> dict[str, Any]:
        if service.split is None:
            return {}
        secret = str(service.settings["split_secret"])
        tokens = {pool: self._tokens(service, pool) for pool in service.split.pools}
        return {"split_key": make_key(secret) if secret else key_of(self._secret), "split_tokens": tokens}

    def _get(self, name: str, text: str = "service '{}' does not exist") -> _Service:
        if name not in self._services:
            nearest = find_nearest(name, self._services)
            raise CommandError(text.format(name), met=name, nearest=nearest, because=name)
        return self._services[name]

    def _set_role(self, service: _Service, text: str) -> None:
        role = text.lower()
        if role in LATER_ROLES:
            raise CommandError(f"role '{role}' is not available yet: let nginx have it")
        if role not in ROLES:
            nearest = find_nearest(role, ROLES)
            raise CommandError(f"Role not valid for service {service.name}", met=text, nearest=nearest)
        if service.enabled and role != service.role:
            raise CommandError(f"service '{service.name}' is enabled: its role cannot change")
        kept = {key: service.settings[key] for key in service.chosen} if service.role is None else {}
        settings = self.given(role) | kept
        if service.enabled:
            check_guarded(role, service.listen, settings)
        if role == "management":
            service.pool = None
            service.split = None
            service.limits = ()
            service.cache = None
        service.settings = settings
        service.role = role

    def _set_listen(self, service: _Service, text: str) -> None:
        listen = parse_listen_list(text)
        if service.enabled:
            check_guarded(service.role, listen, service.settings)
            self._open(service, tuple(a for a in listen if a not in service.listen))
            for address in service.listen:
                if address not in listen:
                    self._ports.close(service.name, address)
        service.listen = listen

    def _set_pool(self, service: _Service, text: str) -> None:
        _check_role(service, "pool", "reverse_proxy")
        pool = self._find_pool(text)
        if service.split and pool in service.split.pools:
            raise CommandError(f"pool '{pool}' is one of the split's: SET split = none first")
        service.pool = pool

    def _find_pool(self, text: str) -> str:
        name = text.lower()
        if name not in self._pools:
            nearest = find_nearest(name, self._pools.names())
            raise CommandError(f"Pool '{name}' not found", met=text, nearest=nearest, because=name)
        return name

    def _set_split(self, service: _Service, text: str) -> None:
        _check_role(service, "split", "reverse_proxy")
        rule = parse_rule(text)
        pools = rule.pools if rule else []
        if service.pool in [self._find_pool(pool) for pool in pools]:
            raise CommandError(f"split: '{service.pool}' is the pool that everybody else goes to")
        service.split = rule
        for pool in pools:
            take_cell(service.cells, pool)

    def _set_limits(self, service: _Service, text: str) -> None:
        _check_role(service, "limit", "reverse_proxy")
        names = [] if text in NO_LIMIT else re.split(r"[,\s]+", text.lower().strip(", "))
        for name in names:
            self._limits.get(name)
            if names.count(name) > 1:
                raise CommandError(f"limit '{name}' is listed twice")
        if len(names) > MOST_OF_A_SERVICE:
            raise CommandError(f"{len(names)} limits; a service has at most {MOST_OF_A_SERVICE}")
        service.limits = tuple(names)

    def _set_cache(self, service: _Service, text: str) -> None:
        _check_role(service, "cache", "reverse_proxy")
        name = text.lower()
        if name in NO_CACHE:
            service.cache = None
            return
        if name in USUAL_CACHE:
            name = USUAL_NAME
            if name not in self._caches:
                self._check_unused(name)
                self._caches.create(name)
        service.cache = self._caches.get(name, or_else=("on", "off")).name

    def _check_unused(self, name: str) -> None:
        owners = {"pool": self._pools, "service": self._services, "limit": self._limits}
        for owner, names in owners.items():
            if name in names:  # type: ignore[operator]  # each of them is asked for names
                raise CommandError(f"{owner} '{name}' already exists: CREATE CACHE with another name")

    def _set_setting(self, service: _Service, key: str, text: str) -> None:
        if "." in key:
            plugin = key.partition(".")[0]
            raise CommandError(f"'{key}' is not available yet: there is no plugin '{plugin}'")
        row = _find_row(key)
        _check_role(service, key, row.role)
        value = SERVICE_SETTINGS.parse(key, text)
        if row.available:
            names = row.sets or (key,)
            self._lists.take(names, value)
            settings = service.settings | dict.fromkeys(names, value)
            check_names(settings)
            if service.enabled:
                check_guarded(service.role, service.listen, settings)
                self._ports.check(service.role, settings)
            service.settings = settings
            if service.role is None:
                service.chosen.update(names)

    def _open(self, service: _Service, addresses: tuple[str, ...]) -> None:
        opened: list[str] = []
        for address in addresses:
            try:
                self._check_free(service, address)
                self._ports.open(service.name, address)
            except ListenError as error:
                for done in reversed(opened):
                    self._ports.close(service.name, done)
                text = f"Can't start service '{service.name}' on {address}: {error}"
                raise CommandError(text) from None
            opened.append(address)

    def _check_free(self, service: _Service, address: str) -> None:
        for other in self._services.values():
            if other is not service and other.enabled and address in other.listen:
                raise ListenError(f"service '{other.name}' listens there")


def given_with(defaults: Mapping[str, Value], role: str | None) -> dict[str, Value]:
    """Return the settings that a service gets with its role when DEFAULT said *defaults*."""
    given = SERVICE_SETTINGS.defaults()
    for key, value in defaults.items():
        if role is not None and SERVICE_SETTINGS.get(key).role in ("*", role):
            given[key] = value
    return given


def _as_value(service: _Service) -> Service:
    return Service(
        name=service.name,
        slot=service.slot,
        role=service.role,
        enabled=service.enabled,
        pool=service.pool,
        listen=service.listen,
        settings=dict(service.settings),
        insert=tuple(service.insert),
        remove=tuple(service.remove),
        limits=service.limits,
        cache=service.cache,
        split=service.split,
        cells=dict(service.cells),
    )


def _find_row(key: str) -> Setting:
    try:
        return SERVICE_SETTINGS.get(key)
    except UnknownName as error:
        names = [*(row.name for row in SERVICE_SETTINGS), *ACTS]
        nearest = find_nearest(key, names) or error.nearest
        raise CommandError(f"Unknown service parameter '{key}'", met=key, nearest=nearest) from None


def _check_role(service: _Service, key: str, role: str) -> None:
    if role not in ("*", service.role):
        text = f"The '{key}' option can only be set on a '{role}' service"
        raise CommandError(text, because=service.name)
