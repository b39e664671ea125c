"""The lists of networks that services name, by the path of their file; each is read once for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wsgistack.balancer.address_list import AddressList, read_list
from wsgistack.balancer.model import ListRead, Service
from wsgistack.balancer.outside import Files
from wsgistack.errors import CommandError
from wsgistack.settings import Value

__all__ = ["LIST_SETTINGS", "AddressLists"]

LIST_SETTINGS = ("allow_file", "deny_file")  # of a service


class AddressLists:
    """What was read last of each file; *files* reads one when a command names it."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._lists: dict[str, AddressList] = {}

    def take(self, names: Iterable[str], value: Value) -> None:
        """Read the file that is the *value* of these settings, if one of them names a list.

        CommandError names the first line that is no network; then the list of before stays.
        """
        for name in names:
            if name in LIST_SETTINGS and value:
                self._read(name, str(value))

    def reload(self, service: Service, name: str) -> None:
        """Read one of a service's lists again, now."""
        if not service.settings.get(name):
            raise CommandError(f"service '{service.name}' has no {name}")
        self._read(name, str(service.settings[name]))

    def find(self, service: Service, name: str) -> AddressList | None:
        """Return one of a service's lists, None if it has none."""
        path = service.settings.get(name)
        return self._lists[str(path)] if path else None

    def absorb(self, fact: ListRead) -> bool:
        """Take in a file that changed; return whether that is another list."""
        if self._lists.get(fact.found.path) in (None, fact.found):
            return False
        self._lists[fact.found.path] = fact.found
        return True

    def publish(self, services: Iterable[Service], defaults: Mapping[str, Value]) -> dict[str, AddressList]:
        """Return {path: list} of all that services, or those to come, name; forget the others."""
        everybody = [*(service.settings for service in services), defaults]
        paths = {str(settings.get(name, "")) for settings in everybody for name in LIST_SETTINGS}
        self._lists = {path: self._lists[path] for path in sorted(paths - {""})}
        return dict(self._lists)

    def _read(self, name: str, path: str) -> None:
        try:
            text = self._files.read(path)
        except OSError as error:
            raise CommandError(f"{name} {path}: {error.strerror or error}") from None
        found, problems = read_list(path, text)
        if found is None:
            number, problem = problems[0]
            raise CommandError(f"{name} {path}:{number}: {problem}")
        self._lists[path] = found
