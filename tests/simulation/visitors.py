"""What visitors of every kind ask: plainly, as somebody, in a disguise, for a part, with what they have already."""

from __future__ import annotations

import io
import random
import re
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from tests.simulation.mirror import EPOCH, KINDS, MARK, Environ, query_of

__all__ = ["Asking", "Visitors", "as_guest"]

HOSTS = (
    "example.com",
    "EXAMPLE.com",
    "example.com.",
    "example.com:80",
    "example.com:8080",
    "example.com:443",
    "other.example",
)
ODD_HOSTS = ("MARK", "example.com, MARK", "MARK@example.com", "example.com/MARK", "[::1]", "exa mple.com", "")
PATHS = ("/a", "//a", "/%61", "/a;b", "/./a", "/%2e%2e/a", "/a%2fb", "/a.css", "/a\\b", "/a%00", "/A")
QUERIES = (
    "",
    "",
    "a=1&b=2",
    "b=2&a=1",
    "a=1&utm_source=MARK",
    "utm_source=MARK;a=1",
    "x=MARKQ",
    "%61=1",
    "a=1&a=2",
    "a=2&a=1",
    "a=1;b=2",
)
COOKIES = (
    "_ga=MARK",
    "_gid=MARK",
    "sessionid=MARK",
    "SESSIONID=MARK",
    "cart=MARK",
    "a=MARK",
    "_ga=MARK,b=2",
    "_ga",
    "_ga=1, sessionid=MARK",
    '_ga="x; sessionid=MARK"',
    "wsgistack_bucket=green~beta",
    "wsgistack_bucket=-~-",
    "wsgistack_bucket=OWN",
    "wsgistack_bucket=OWNx",
    "wsgistack_bucket =red~-",
    "wsgistack_bucket=MARK.0123",
    "wsgistack_bucket",
)
OWNERS = (
    "HTTP_AUTHORIZATION",
    "HTTP_X_API_KEY",
    "HTTP_X_AMZN_OIDC_DATA",
    "HTTP_X_WEBAUTH_USER",
    "REMOTE_USER",
    "SSL_CLIENT_S_DN",
    "HTTP_TAILSCALE_USER_LOGIN",
)
BELIEVED = (
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
)  # of a peer that is trusted
DISGUISES = (
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_FORWARDED",
    "HTTP_X_ORIGINAL_URL",
    "HTTP_X_REWRITE_URL",
    "HTTP_X_HTTP_METHOD_OVERRIDE",
    "HTTP_X_FORWARDED_PREFIX",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_HOST",
    "HTTP_PROXY",
    "HTTP_X_REAL_IP",
    "HTTP_X_FORWARDED_SCHEME",
    "HTTP_SCRIPT_NAME",
    "CONTENT_TYPE",
    "HTTP_X_SCRIPT_NAME",
)
LIES = (
    "MARK",
    "https",
    "/MARK",
    "198.51.100.7, MARK",
    "example.com",
    "for=192.0.2.9;host=MARK;proto=https",
    "XMLHttpRequest",
    "POST",
)
CHOSEN = (
    ("HTTP_ACCEPT_LANGUAGE", 0.5, ("de", "en", "de, en", "de,en", "EN", "")),
    ("HTTP_ACCEPT_ENCODING", 0.5, ("gzip", "br, gzip", "identity", "gzip;q=0", "*", "GZIP", "")),
    ("HTTP_X_REQUESTED_WITH", 0.1, ("XMLHttpRequest", "other")),
    ("HTTP_RANGE", 0.08, ("bytes=0-9", "bytes=5-", "bytes=-4", "bytes=0-3,8-9", "bytes=9999-")),
    ("HTTP_CACHE_CONTROL", 0.1, ("no-cache", "no-store", "max-age=0", "only-if-cached", "max-stale")),
)


@dataclass
class Asking:
    """One request."""

    number: int
    environ: Environ
    body: bytes = b""
    signs: list[str] = field(default_factory=list)  # by which it is somebody's

    @property
    def method(self) -> str:
        return str(self.environ["REQUEST_METHOD"])

    def make(self, **more: Any) -> Environ:
        return {**self.environ, "wsgi.input": io.BytesIO(self.body), **more}


class Visitors:
    """Asks by chance, of few pages each time, so that the same one is asked for again and again.

    *own*: cookies that the site has set, *tags*: ETags that it has told, with what was shown under each.
    """

    def __init__(self, rng: random.Random, *, tells_raw: bool) -> None:
        self.rng = rng
        self.tells_raw = tells_raw
        self.kinds = ["pub", *rng.sample([*KINDS], 2)]
        self.paths = ["", "", "", *rng.sample(PATHS, 2)]
        self.queries = ["", "", *rng.sample(QUERIES, 2)]
        self.hosts = ["example.com", "example.com", *rng.sample(HOSTS, 1)]
        self.number = 0
        self.own: list[str] = []
        self.tags: dict[str, list[str]] = {}

    def ask(self) -> Asking:
        """Return a request by chance; most are plain, so that there is something to get."""
        rng, self.number = self.rng, self.number + 1
        mark, often, signs = f"m{self.number}z", self._often, list[str]()
        kind = rng.choice(self.kinds)
        raw = f"/{kind}" + rng.choice(self.paths)
        query = rng.choice(self.queries).replace("MARKQ", "1").replace("MARK", mark)
        path = re.sub("%(..)", lambda found: chr(int(found[1], 16)), raw)
        said: Environ = {
            "REQUEST_METHOD": rng.choice(
                ["GET"] * 150 + ["HEAD"] * 10 + ["POST", "OPTIONS", "get", "PUT", "BREW"]
            ),
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": rng.choice(["192.0.2.1", "2001:db8::1", "10.0.0.1", "10.0.0.1", ""]),
            "wsgi.url_scheme": "http",
            "wsgi.errors": io.StringIO(),
            "HTTP_HOST": (rng.choice(ODD_HOSTS) if often(0.04) else rng.choice(self.hosts)).replace(
                "MARK", mark
            ),
        }
        if self.tells_raw:
            said["RAW_URI"] = (raw if often(0.9) else f"http://{mark}{raw}") + (f"?{query}" if query else "")
        if often(0.03):
            said["SCRIPT_NAME"], said["PATH_INFO"] = f"/{kind}", path[len(kind) + 1 :] or ""
        self._add_cookies(said, signs, mark)
        if often(0.08):
            name = rng.choice(OWNERS)
            said[name] = mark
            signs.append(name)
        for name in rng.sample(DISGUISES, rng.choice([0] * 8 + [1, 3])):
            said[name] = rng.choice(LIES).replace("MARK", mark)
        self._add_conditions(said)
        body = b""
        if often(0.06):
            body = mark.encode()
            said["CONTENT_LENGTH"] = str(len(body))
        return Asking(self.number, said, body, signs)

    def _add_cookies(self, said: Environ, signs: list[str], mark: str) -> None:
        rng = self.rng
        cookies = rng.sample(COOKIES, rng.choice([0] * 7 + [1, 2, 3]))
        own = rng.choice(self.own) if self.own and rng.random() < 0.7 else "x.y"
        if own != "x.y" and rng.random() < 0.8:
            cookies.append("wsgistack_bucket=OWN")
        cookies = [one.replace("MARK", mark).replace("OWN", own) for one in cookies]
        if cookies:
            said["HTTP_COOKIE"] = rng.choice(["; ", ";", " ; "]).join(cookies)
            signs += [one for one in cookies if re.search("(?i)sessionid|cart|^a=", one)]

    def _add_conditions(self, said: Environ) -> None:
        rng, often = self.rng, self._often
        for name, share, values in CHOSEN:
            if often(share):
                said[name] = rng.choice(values)
        if self.tags and often(0.25):
            tags = rng.sample(sorted(self.tags), min(len(self.tags), rng.choice([1, 1, 3])))
            said["HTTP_IF_NONE_MATCH"] = ", ".join(tags) if often(0.9) else "*"
        if often(0.1):
            changed_at = EPOCH - 86_400 + rng.choice([-60, 0, 60, 600])
            said["HTTP_IF_MODIFIED_SINCE"] = formatdate(changed_at, usegmt=True)
        if "HTTP_RANGE" in said and self.tags and often(0.4):
            said["HTTP_IF_RANGE"] = rng.choice(sorted(self.tags))

    def _often(self, share: float) -> bool:
        return self.rng.random() < share


def as_guest(said: Environ) -> Environ:
    """Return a request without what says whose it is, or passes for another one."""
    made = {name: value for name, value in said.items() if not MARK.search(str(value)) or name in BELIEVED}
    made["HTTP_HOST"] = said["HTTP_HOST"]
    made["QUERY_STRING"] = query_of(said["QUERY_STRING"])
    if "RAW_URI" in said:
        path = re.sub("^http://[^/]*", "", said["RAW_URI"]).partition("?")[0]
        made["RAW_URI"] = path + (f"?{made['QUERY_STRING']}" if made["QUERY_STRING"] else "")
    cookies = [one.strip() for one in said.get("HTTP_COOKIE", "").split(";")]
    made["HTTP_COOKIE"] = "; ".join([one for one in cookies if one.startswith("wsgistack_bucket")])
    return made
