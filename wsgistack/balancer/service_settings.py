"""The settings of a service: one table for SET, DEFAULT, help, dumpconfig and the docs.

Perlbal's names keep Perlbal's meaning; role, listen and pool are not values but acts, and live
in services.py.  Where an issue still has to bring the substance, only the default is accepted.
"""

from __future__ import annotations

from wsgistack.balancer.admin_settings import ADMIN_SETTINGS
from wsgistack.balancer.pool_settings import FILE
from wsgistack.balancer.retry import RETRY_ON, SCHEDULE
from wsgistack.balancer.split import SPLIT_SECRET
from wsgistack.balancer.sticky import COOKIE_NAME
from wsgistack.balancer.throttle import parse_events, parse_pattern
from wsgistack.ratelimit.algorithms.concurrent import MOST as MOST_PLACES
from wsgistack.settings import (
    BOOL,
    DURATION,
    INT,
    SIZE,
    TARGET,
    TEXT,
    Kind,
    Setting,
    Table,
    Value,
    make_choice,
    make_networks,
)

__all__ = ["SERVICE_SETTINGS"]

PROXY = "reverse_proxy"
WEB = "web_server"
SELECTOR = "selector"
LARGEST_SOCKET_BUFFER = 2**30
LONGEST_DELAY_S = 86_400

STICKY_KIND = make_choice(lambda: ("off", "cookie", "learn"), "Unknown way to be sticky: '{text}'")
FORWARDED = make_choice(
    lambda: ("x-forwarded-for", "forwarded"), "forwarded: '{text}' is not a field that proxies set"
)
PROXIES = make_networks("Error defining trusted upstream proxies: could not parse {word}!")
REQUEST_ID = make_choice(lambda: ("off", "make", "trust"), "Unknown way to identify requests: '{text}'")

DEFAULT_ACTION = make_choice(
    lambda: ("throttle", "allow"), "default_action: '{text}' is neither throttle nor allow"
)
LISTED_ACTION = make_choice(
    lambda: ("deny", "throttle"), "blacklist_action: '{text}' is neither deny nor throttle"
)

PLUGINS = make_choice(lambda: ("none", "throttle"), "plugins: '{text}' is not built in")
PATH_PATTERN = Kind(
    "regex", lambda text: parse_pattern("path_regex", text), lambda value: str(value) or "none", ""
)
METHOD_PATTERN = Kind(
    "regex", lambda text: parse_pattern("method_regex", text), lambda value: str(value) or "none", ""
)
LOG_EVENTS = Kind("events", parse_events, str, "")


def _proxy(name: str, kind: Kind, default: Value, text: str, *, most: float | None = None) -> Setting:
    return Setting(name, kind, default, text, role=PROXY, most=most)


def _later(name: str, kind: Kind, default: Value, text: str, role: str = PROXY) -> Setting:
    return Setting(name, kind, default, text, role=role, available=False)


CONNECTIONS = [
    Setting("persist_client", BOOL, True, "keep client connections open between requests"),
    _proxy("persist_backend", BOOL, True, "keep node connections open between requests"),
    _proxy("backend_persist_cache", INT, 1024, "idle connections kept per node and worker", most=65535),
    _proxy("max_backend_uses", INT, 0, "requests per node connection; 0 for no limit"),
    _proxy("verify_backend", BOOL, False, "ask OPTIONS on a new node connection before using it"),
    _proxy("verify_backend_path", TARGET, "*", "what that OPTIONS asks for"),
]

BUFFERS = [
    _proxy("buffer_size", SIZE, 256 * 1024, "response bytes kept for a slow client", most=2**30),
    _proxy(
        "buffer_backend_connect",
        SIZE,
        100 * 1024,
        "request body bytes read before a node is asked for; 0 streams at once",
        most=2**28,
    ),
    Setting("max_chunked_request_size", SIZE, 209715200, "longest chunked request body; 0 for no limit"),
    _proxy("max_body_size", SIZE, 0, "longest request body; 0 for no limit"),
    Setting(
        "client_sndbuf_size",
        SIZE,
        0,
        "SO_SNDBUF of client connections; 0 for the system's",
        most=LARGEST_SOCKET_BUFFER,
    ),
]

TIMEOUTS = [
    _proxy("client_header_timeout", DURATION, 20.0, "for a whole request head; trickling does not extend it"),
    Setting("client_body_timeout", DURATION, 30.0, "without a byte of the request body"),
    _proxy("client_body_min_rate", INT, 256, "bytes a second of a request body after 10 s; 0 for any"),
    Setting("client_write_timeout", DURATION, 30.0, "without the client taking a byte"),
    Setting("persist_client_idle_timeout", DURATION, 30.0, "between two requests of a connection"),
    _proxy("connect_timeout", DURATION, 3.0, "for a node to accept"),
    _proxy("verify_timeout", DURATION, 15.0, "for a node to answer OPTIONS"),
    _proxy("node_first_byte_timeout", DURATION, 60.0, "from the request sent to the response's first byte"),
    _proxy("node_idle_timeout", DURATION, 60.0, "between bytes of a response, or of an upload taken"),
    _proxy("node_keepalive_timeout", DURATION, 60.0, "that an idle node connection is kept"),
    _proxy("request_timeout", DURATION, 3600.0, "for a whole request; 0 for no limit"),
    _proxy("tunnel_timeout", DURATION, 3600.0, "without a byte in an upgraded connection"),
    Setting(
        "idle_timeout",
        DURATION,
        30.0,
        "Perlbal's name for client_body_timeout and client_write_timeout",
        sets=("client_body_timeout", "client_write_timeout"),
    ),
    Setting(
        "persist_client_timeout",
        DURATION,
        30.0,
        "deprecated: idle_timeout and persist_client_idle_timeout",
        sets=("client_body_timeout", "client_write_timeout", "persist_client_idle_timeout"),
    ),
]

LIMITS = [
    Setting("max_header_bytes", SIZE, 32 * 1024, "of a message head", role=PROXY, least=1024, most=2**20),
    Setting("max_headers", INT, 100, "field lines of a message head", role=PROXY, least=1, most=1000),
    Setting("max_uri_bytes", SIZE, 16 * 1024, "of a request target", role=PROXY, least=64, most=65536),
]

ANSWERS = [
    Setting("server_tokens", BOOL, True, "name ourselves in the Server field of our own answers"),
    Setting("trusted_upstream_proxies", PROXIES, (), "networks whose forwarding fields are believed"),
    Setting(
        "forwarded",
        FORWARDED,
        "x-forwarded-for",
        "the field in which they say who asks: x-forwarded-for or forwarded; limits look at no other",
    ),
    Setting("always_trusted", BOOL, False, "believe everybody's forwarding fields"),
    _proxy("blind_proxy", BOOL, False, "leave the forwarding fields of trusted clients untouched"),
    _proxy("retry_after", INT, 1, "seconds in the Retry-After of our 503", most=86400),
]

RETRIES = [
    _proxy(
        "retry_on",
        RETRY_ON,
        "connect,reset,timeout,502,503,504",
        "what another node is asked after: connect, reset, timeout, invalid, statuses from 400 to 599; none",
    ),
    _proxy("retry_limit", INT, 3, "times that a request is sent again; 0 for never", most=100),
    _proxy(
        "retry_budget",
        INT,
        20,
        "retries as a percentage of the requests of ten seconds; three a second are always free",
        most=1000,
    ),
    _proxy(
        "retry_idempotency_key",
        BOOL,
        False,
        "send a request with an Idempotency-Key again, whatever its method",
    ),
    _proxy("enable_error_retries", BOOL, False, "ask again when a node answers GET or HEAD with 500"),
    _proxy(
        "error_retry_schedule", SCHEDULE, "0,.25,.50,1,1,1,1,1", "seconds before each of these repetitions"
    ),
]

STICKY = [
    _proxy(
        "sticky",
        STICKY_KIND,
        "off",
        "keep a client with its node: off, cookie (one of ours), learn (one that the application sets)",
    ),
    _proxy("sticky_cookie", COOKIE_NAME, "wsgistack_node", "name of that cookie"),
    _proxy("sticky_secret", TEXT, "", "key of our cookies; empty for one that lasts until the balancer ends"),
    _proxy(
        "sticky_ttl",
        DURATION,
        0.0,
        "Max-Age of our cookie, or how long a learned one is known after its last use; 0 for no limit",
    ),
]

SPLIT = [
    _proxy(
        "split_cookie",
        COOKIE_NAME,
        "wsgistack_split",
        "name of the cookie that keeps a visitor in his bucket",
    ),
    _proxy(
        "split_secret",
        SPLIT_SECRET,
        "",
        "what draws buckets and signs it; empty for a key that lasts until the balancer ends",
    ),
    Setting("split_max_age", DURATION, 1_000_000.0, "how long a browser keeps it", role=PROXY, least=1),
]

IDENTITY = [
    _proxy(
        "request_id",
        REQUEST_ID,
        "off",
        "X-Request-Id for nodes: off leaves it alone, make sets a new one, trust keeps one that came",
    ),
]

QUEUE = [
    _proxy(
        "queue_size",
        INT,
        1000,
        "requests that may wait, in all workers, while every node is full",
        most=10**6,
    ),
    Setting(
        "queue_timeout", DURATION, 10.0, "that one waits at most, over all its tries", role=PROXY, least=0.05
    ),
    _proxy("queue_relief_size", INT, 0, "waiting normal clients that ask for relief; 0 for none"),
    _proxy(
        "queue_relief_chance", INT, 0, "percentage of turns that relief gives them before high ones", most=100
    ),
    _proxy("high_priority_cookie", TEXT, "", "cookie that marks a client of high priority"),
    _proxy("high_priority_cookie_contents", TEXT, "", "text that its decoded value must contain"),
    _proxy("low_priority_cookie", TEXT, "", "cookie that marks a client of low priority"),
    _proxy("low_priority_cookie_contents", TEXT, "", "text that its decoded value must contain"),
]

WHO = [
    _proxy(
        "allow_file", FILE, "", "file of networks that nothing limits or denies, followed when it changes"
    ),
    _proxy("deny_file", FILE, "", "file of networks that get 403, followed when it changes"),
    Setting("whitelist_file", FILE, "", "Perlbal's name for allow_file", role=PROXY, sets=("allow_file",)),
    Setting("blacklist_file", FILE, "", "Perlbal's name for deny_file", role=PROXY, sets=("deny_file",)),
]

# Perlbal's Throttle plugin: `SET plugins = throttle` switches it on, see throttle.py.
THROTTLE = [
    _proxy("log_only", BOOL, False, "let the service's limits refuse nobody, only count who would have been"),
    _proxy(
        "initial_delay",
        INT,
        3,
        "seconds by which Throttle delays a client that comes too often, doubled each time",
        most=LONGEST_DELAY_S,
    ),
    _proxy("max_delay", INT, 300, "and at most", most=LONGEST_DELAY_S),
    _proxy(
        "throttle_threshold_seconds",
        INT,
        60,
        "between two requests that are not too often",
        most=LONGEST_DELAY_S,
    ),
    Setting(
        "max_concurrent",
        INT,
        2,
        "requests of a client that wait; further ones get 503",
        PROXY,
        1,
        MOST_PLACES,
    ),
    _proxy("ban_threshold", INT, 0, "violations in a row for which a client is banned; 0 for never"),
    _proxy("ban_expiration", INT, 60, "seconds in which it gets 403 then", most=LONGEST_DELAY_S),
    _proxy(
        "default_action",
        DEFAULT_ACTION,
        "throttle",
        "whether limits are about who is on no list: throttle or allow",
    ),
    _proxy(
        "blacklist_action",
        LISTED_ACTION,
        "deny",
        "what becomes of who is on deny_file: deny, or throttle (limit)",
    ),
    _proxy("path_regex", PATH_PATTERN, "", "paths that Throttle is about, decoded and normal; none for all"),
    _proxy("method_regex", METHOD_PATTERN, "", "methods that it is about; none for all"),
    _proxy(
        "log_events",
        LOG_EVENTS,
        "none",
        "what it logs: ban, whitelisted, blacklisted, concurrent, throttled, banned, all; a ban ends unseen",
    ),
    _later("memcached_servers", TEXT, "", "where Perlbal counted; here all workers share a table"),
    _later("memcached_async_clients", INT, 10, "connections to them"),
    _proxy("instance_name", TEXT, "", "services of one name know each other's clients; none for its own"),
]

LATER = [
    _later("connect_ahead", INT, 0, "node connections opened in advance"),
    _later("buffer_size_reproxy_url", SIZE, 50 * 1024, "buffer_size for reproxied URLs"),
    _later("buffer_uploads", BOOL, False, "keep uploads on disk before a node is asked for"),
    _later("buffer_uploads_path", TEXT, "", "where they are kept"),
    _later("buffer_upload_threshold_size", SIZE, 250 * 1024, "smaller ones are not"),
    _later("buffer_upload_threshold_time", INT, 5, "those that take fewer seconds are not"),
    _later("buffer_upload_threshold_rate", INT, 0, "faster ones are not"),
    _later("enable_reproxy", BOOL, False, "obey X-REPROXY fields of nodes"),
    _later("reproxy_cache_maxsize", INT, 0, "reproxied answers remembered"),
    _later("upload_status_listeners", TEXT, "", "who is told by UDP of uploads"),
    _later("server_process", TEXT, "", "program that is run as a node"),
    _later("enable_ssl", BOOL, False, "speak TLS to clients", role="*"),
    _later("ssl_key_file", TEXT, "", "key", role="*"),
    _later("ssl_cert_file", TEXT, "", "certificate", role="*"),
    _later("ssl_cipher_list", TEXT, "", "ciphers", role="*"),
    _later("ssl_honor_cipher_order", BOOL, False, "prefer our order of ciphers", role="*"),
    _later("ssl_ca_path", TEXT, "", "authorities for client certificates", role="*"),
    _later("ssl_verify_mode", INT, 0, "whether clients must show one", role="*"),
    Setting("plugins", PLUGINS, "none", "what is plugged in: throttle (Perlbal's), or none"),
    _later("latency", INT, 0, "milliseconds of artificial delay", role=SELECTOR),
    _later("default_service", TEXT, "", "where unmatched requests go", role=SELECTOR),
    _later("docroot", TEXT, "", "directory of the files", role=WEB),
    _later("index_files", TEXT, "index.html", "files that stand for a directory", role=WEB),
    _later("dirindexing", BOOL, False, "list directories", role=WEB),
    _later("enable_put", BOOL, False, "accept PUT", role=WEB),
    _later("enable_delete", BOOL, False, "accept DELETE", role=WEB),
    _later("enable_md5", BOOL, True, "check Content-MD5", role=WEB),
    _later("max_put_size", SIZE, 0, "longest PUT", role=WEB),
    _later("min_put_directory", INT, 0, "depth below which directories are made", role=WEB),
    _later("enable_concatenate_get", BOOL, False, "several files in one answer", role=WEB),
]

SERVICE_SETTINGS = Table(
    "service",
    [
        *CONNECTIONS,
        *BUFFERS,
        *TIMEOUTS,
        *LIMITS,
        *RETRIES,
        *STICKY,
        *SPLIT,
        *QUEUE,
        *IDENTITY,
        *ANSWERS,
        *WHO,
        *THROTTLE,
        *ADMIN_SETTINGS,
        *LATER,
    ],
)
