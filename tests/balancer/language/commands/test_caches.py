"""CREATE CACHE and SET: what a page cache is called, and which service has it."""

import pytest

from tests.balancer.stage import Stage
from tests.balancer.test_dump import dumped, replay
from wsgistack.balancer.configuration import read
from wsgistack.balancer.difference import difference
from wsgistack.balancer.language.replies import Order


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.make_site()
    stage.do("CREATE CACHE pages", "SET max_bytes = 10m", "SET mysite.cache = pages")
    return stage


def test_a_cache_is_dumped_before_the_service_that_has_it_and_can_be_replayed(stage: Stage) -> None:
    stage.do(
        "CREATE CACHE news",
        "SET rules = /news/* ttl=60 grace=5m; /api/* bypass",
        "SET news.key_cookies = beta=on|off",
        "SET mysite.cache = news",
    )
    lines = dumped(stage)
    assert "CREATE CACHE pages" in lines
    assert lines.index("  SET rules = /news/* ttl=60 grace=300; /api/* bypass") < lines.index(
        "  SET cache = news"
    )
    assert dumped(replay(lines)) == lines


@pytest.mark.parametrize(
    ("lines", "commands"),
    [
        (["SET pages.profile = rfc9111"], ["SET pages.profile = rfc9111"]),
        (["SET mysite.cache = off"], ["SET mysite.cache = off"]),
        (["SET mysite.cache = off", "DELETE CACHE pages"], ["SET mysite.cache = off", "DELETE CACHE pages"]),
        (
            ["CREATE CACHE x", "SET strict = off", "SET mysite.cache = x"],
            ["CREATE CACHE x", "SET x.strict = off", "SET mysite.cache = x"],
        ),
        (["SET mysite.cache = on"], []),
    ],
)
def test_what_differs_is_told_as_commands(stage: Stage, lines: list[str], commands: list[str]) -> None:
    before = stage.control.blueprint()
    stage.do(*lines)
    assert difference(before, stage.control.blueprint()) == commands


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("CREATE CACHE pages", "cache 'pages' already exists"),
        ("CREATE CACHE mysite", "service 'mysite' already exists"),
        ("CREATE POOL pages", "cache 'pages' already exists"),
        ("SET mysite.cache = pagse", "cache 'pagse' does not exist (did you mean 'pages'?)"),
        ("SET mysite.cache = onn", "cache 'onn' does not exist (did you mean 'on'?)"),
        ("DELETE CACHE onn", "cache 'onn' does not exist"),
        ("SET admin.cache = pages", "The 'cache' option can only be set on a 'reverse_proxy' service"),
        ("DELETE CACHE pages", "cache 'pages' is used by service 'mysite'"),
        ("DELETE CACHE pagse", "cache 'pagse' does not exist (did you mean 'pages'?)"),
        ("SET pages.buffer_size = 1k", "'pages' is a cache, buffer_size belongs to a service"),
        ("SET mysite.profile = rfc9111", "'mysite' is a service, profile belongs to a cache"),
        ("SET pages.profil = rfc9111", "Unknown cache parameter 'profil' (did you mean 'profile'?)"),
        ("SET pages.store = memcahed://a", "(did you mean 'memcached'?)"),
        (
            "SET pages.store = memcached://",
            "store: memcached:// has no servers: expected memcached://10.0.0.1",
        ),
        ("SET pages.store = here", "store: store 'here' is not a URL such as"),
        ("SET pages.key_cookies = session=1", "key_cookies: 'session' is one of identity_cookies"),
        ("SET mysite.cach = pages", "Unknown service parameter 'cach' (did you mean 'cache'?)"),
    ],
)
def test_what_is_refused_says_why(stage: Stage, line: str, error: str) -> None:
    (said,) = stage.say(line)
    assert said.startswith("ERROR: ")
    assert error in said


def test_a_service_can_have_the_usual_cache_without_a_word_about_it() -> None:
    stage = Stage()
    stage.make_site()
    stage.do("SET mysite.cache = on")
    assert stage.control.snapshot.services["mysite"].cache == "pages"
    assert "CREATE CACHE pages" in dumped(stage)
    stage.do("SET mysite.cache = off")
    assert stage.control.snapshot.services["mysite"].cache is None


def test_the_usual_cache_is_not_made_where_something_else_has_its_name() -> None:
    stage = Stage()
    stage.make_site()
    stage.do("CREATE POOL pages")
    assert stage.say("SET mysite.cache = on") == [
        "ERROR: pool 'pages' already exists: CREATE CACHE with another name"
    ]


def test_an_error_in_a_file_has_its_line_and_the_nearest_word() -> None:
    text = "CREATE CACHE pages\n  SET profile = rfc911\nCREATE CACHE other\n  SET verifi = 2\n"
    problems = [str(one) for one in read(text, "conf", environment={}, workers=1).problems][:2]
    assert problems == [
        "conf:2: SET profile = rfc911\n    profile: 'rfc911' is no profile (did you mean 'rfc9111'?)",
        "conf:4: SET verifi = 2\n    Unknown cache parameter 'verifi' (did you mean 'verify'?)",
    ]


def test_help_tells_of_the_settings(stage: Stage) -> None:
    assert stage.say("help purge_from")[0].startswith("SET purge_from = <networks>: networks whose PURGE")


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("cache purge http://a/b?c=d", Order(("pages",), "purge", "http://a/b?c=d", False)),
        ("cache pages softpurge http://a/", Order(("pages",), "softpurge", "http://a/", False)),
        ("CACHE tag news  sport", Order(("pages",), "tag", "news sport", False)),
        ("cache ban path=/a/* older=1h soft", Order(("pages",), "ban", "path=/a/* older=1h soft", False)),
        ("cache stats", Order(("pages",), "stats", "", True)),
        ("cache pages stats", Order(("pages",), "stats", "", True)),
        ("cache trace http://a/ Cookie: b=1", Order(("pages",), "trace", "http://a/ Cookie: b=1", True)),
    ],
)
def test_what_operators_ask_goes_to_the_keeper(stage: Stage, line: str, order: Order) -> None:
    stage.do("CREATE CACHE unused")
    assert stage.say(line) == []
    assert stage.orders == [order]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("cache", "cache : a cache or one of purge, softpurge, tag, ban, stats, trace is meant"),
        ("cache prge http://a/", "(did you mean 'purge'?)"),
        ("cache pagse stats", "(did you mean 'pages'?)"),
        ("cache purge", "usage: cache [<cache>] purge <url>"),
        ("cache stats now", "usage: cache [<cache>] stats"),
        ("cache unused stats", "no service has cache 'unused': SET <service>.cache = unused"),
    ],
)
def test_what_cannot_be_asked_is_refused(stage: Stage, line: str, error: str) -> None:
    stage.do("CREATE CACHE unused")
    (said,) = stage.say(line)
    assert said.startswith("ERROR: ")
    assert error in said
    assert stage.orders == []


def test_without_a_cached_service_there_is_nothing_to_ask() -> None:
    stage = Stage()
    stage.make_site()
    assert stage.say("cache stats") == ["ERROR: no service has a cache: SET <service>.cache = on"]


@pytest.mark.parametrize("action", ["purge http://a/", "softpurge http://a/", "tag a", "ban everything"])
def test_a_reader_may_look_and_nothing_more(stage: Stage, action: str) -> None:
    stage.session.readonly = True
    assert stage.say("cache stats", "cache trace http://a/") == []
    word = action.split()[0]
    refused = f"ERROR: this session is read-only, and 'cache {word}' changes something"
    assert stage.say(f"cache {action}") == [refused]
    assert [order.action for order in stage.orders] == ["stats", "trace"]
