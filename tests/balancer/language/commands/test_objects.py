"""CREATE, USE, SET, DEFAULT, word by word."""

import pytest

from tests.balancer.stage import Stage


@pytest.fixture
def stage() -> Stage:
    """A stage with pool p1, service s1 (no role) and service proxy; the latter is meant."""
    stage = Stage()
    stage.do("CREATE POOL p1", "CREATE SERVICE s1", "CREATE SERVICE proxy", "SET role = reverse_proxy")
    return stage


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("create pool x", "OK"),
        ("CREATE SERVICE My-Site", "OK"),
        ("create", "ERROR: usage: CREATE {service|pool} <name>"),
        ("create pool", "ERROR: usage: CREATE {service|pool} <name>"),
        ("create pool a.b", "ERROR: usage: CREATE {service|pool} <name>"),
        ("create pool a b", "ERROR: usage: CREATE {service|pool} <name>"),
        (f"create pool {'x' * 64}", "ERROR: usage: CREATE {service|pool} <name>"),
        ("create limit", "ERROR: usage: CREATE {service|pool|limit|cache} <name>"),
        ("create cache a b", "ERROR: usage: CREATE {service|pool|limit|cache} <name>"),
        ("create pol a", "ERROR: usage: CREATE {service|pool} <name> (did you mean 'pool'?)"),
        ("create thing a", "ERROR: usage: CREATE {service|pool} <name>"),
        ("create pool p1", "ERROR: pool 'p1' already exists"),
        ("create service P1", "ERROR: pool 'p1' already exists"),
        ("create pool s1", "ERROR: service 's1' already exists"),
        ("create service s1", "ERROR: service 's1' already exists"),
        ("use p1", "OK"),
        ("USE S1", "OK"),
        ("use", "ERROR: usage: USE <service_or_pool_name>"),
        ("use a b", "ERROR: usage: USE <service_or_pool_name>"),
        ("use nope", "ERROR: Non-existent pool or service 'nope'"),
        ("use prxy", "ERROR: Non-existent pool or service 'prxy' (did you mean 'proxy'?)"),
        ("set", "ERROR: usage: SET [<service>] <param> = <value>"),
        ("set x", "ERROR: usage: SET [<service>] <param> = <value>"),
        ("set x =", "ERROR: usage: SET [<service>] <param> = <value>"),
        ("set nope.x = 1", "ERROR: service/pool 'nope' does not exist"),
        ("set prxy.pool = p1", "ERROR: service/pool 'prxy' does not exist (did you mean 'proxy'?)"),
        ("set pool=p1", "OK"),
        ("set proxy.pool = p1", "OK"),
        ("SET Proxy Pool = P1", "OK"),
        ("set pool = zzz", "ERROR: Pool 'zzz' not found"),
        ("set pool = p2", "ERROR: Pool 'p2' not found"),
        ("set s1.pool = p1", "ERROR: The 'pool' option can only be set on a 'reverse_proxy' service"),
        ("set s1.buffer_size = 1k", "ERROR: The 'buffer_size' option can only be set on a 'reverse_proxy' service"),
        ("set proxy.docroot = /x", "ERROR: The 'docroot' option can only be set on a 'web_server' service"),
        ("set s1.role = foo", "ERROR: Role not valid for service s1"),
        ("set s1.role = reverse_prox", "ERROR: Role not valid for service s1 (did you mean 'reverse_proxy'?)"),
        ("set s1.role = web_server", "ERROR: role 'web_server' is not available yet: let nginx have it"),
        ("set s1.role = Selector", "ERROR: role 'selector' is not available yet: let nginx have it"),
        ("set bufer_size = 1k", "ERROR: Unknown service parameter 'bufer_size' (did you mean 'buffer_size'?)"),
        ("set lisen = 80", "ERROR: Unknown service parameter 'lisen' (did you mean 'listen'?)"),
        ("set xyzzy = 80", "ERROR: Unknown service parameter 'xyzzy'"),
        ("set buffer_size = 12x", "ERROR: Expecting size unit value for parameter 'buffer_size' in bytes, or suffixed with 'K' or 'M'"),
        ("set persist_client = maybe", "ERROR: Expecting boolean value for parameter 'persist_client', on or off"),
        ("set max_backend_uses = x", "ERROR: Expecting integer value for parameter 'max_backend_uses'"),
        ("set enable_ssl = on", "ERROR: 'enable_ssl' is not available yet, only its default off is accepted"),
        ("set enable_ssl = off", "OK"),
        ("set connect_ahead = 2", "ERROR: 'connect_ahead' is not available yet, only its default 0 is accepted"),
        ("set server_process = /bin/app", "ERROR: 'server_process' is not available yet"),
        ("set plugins = none", "OK"),
        ("set plugins = vhosts", "ERROR: plugins: 'vhosts' is not built in (one of none, throttle)"),
        ("set trusted_upstream_proxies = junk", "ERROR: Error defining trusted upstream proxies: could not parse junk!"),
        ("set extra.key = 1", "ERROR: service/pool 'extra' does not exist"),
        ("set proxy.extra.key = 1", "ERROR: 'extra.key' is not available yet: there is no plugin 'extra'"),
        ("set p1.balance_method = least", "OK"),
        ("set p1.balance_method = lest", "ERROR: Unknown balance method (did you mean 'least'?)"),
        ("set p1.nodefile = none", "OK"),
        ("set p1.nodefile = /etc/nodes", "ERROR: nodefile /etc/nodes: No such file or directory"),
        ("set p1.helth_check = tcp", "ERROR: Unknown pool parameter 'helth_check' (did you mean 'health_check'?)"),
        ("set p1.health_check = htp", "ERROR: Unknown health check 'htp' (did you mean 'http'?)"),
        ("set p1.listen = 80", "ERROR: Unknown pool parameter 'listen': 'p1' is a pool, listen belongs to a service"),
        ("set balance_method = least", "ERROR: Unknown service parameter 'balance_method': 'proxy' is a service, balance_method belongs to a pool"),
        ("default persist_client = off", "OK"),
        ("DEFAULT buffer_size=10k", "OK"),
        ("default enable_ssl = off", "OK"),
        ("default", "ERROR: usage: DEFAULT <param> = <value>"),
        ("default x =", "ERROR: usage: DEFAULT <param> = <value>"),
        ("default persist_clent = on", "ERROR: Unknown service parameter 'persist_clent' (did you mean 'persist_client'?)"),
        ("default role = reverse_proxy", "ERROR: 'role' has no default"),
    ],
)  # fmt: skip
def test_a_line_gets_its_reply(stage: Stage, line: str, reply: str) -> None:
    assert stage.say(line) == [reply]


def test_a_refused_line_changes_nothing(stage: Stage) -> None:
    before = stage.control.snapshot
    stage.say("set pool = zzz", "create pool p1", "set nope.x = 1", "set listen = 1.2.3.4:80, junk")
    assert stage.control.snapshot is before


def test_set_without_a_name_needs_a_context() -> None:
    assert Stage().say("set role = reverse_proxy") == [
        "ERROR: omitted service/pool name not implied from context"
    ]


def test_names_are_stored_in_lower_case_and_meant_in_any() -> None:
    stage = Stage()
    stage.do("CREATE POOL CamelCase", "POOL CAMELCASE ADD 10.0.0.1", "USE camelCASE")
    assert stage.say("show pool") == ["camelcase nodes 1", "camelcase services 0", "."]


def test_use_changes_what_set_means(stage: Stage) -> None:
    stage.do("use p1", "set balance_method = random", "use proxy", "set persist_client = off")
    snapshot = stage.control.snapshot
    assert snapshot.pools["p1"].settings["balance_method"] == "random"
    assert snapshot.services["proxy"].settings["persist_client"] is False


def test_each_session_has_its_own_context(stage: Stage) -> None:
    stage.session.last_created = None
    assert stage.say("set pool = p1") == ["ERROR: omitted service/pool name not implied from context"]


def test_a_default_is_what_later_roles_give(stage: Stage) -> None:
    stage.do("default persist_client = off", "create service late", "set role = reverse_proxy")
    services = stage.control.snapshot.services
    assert services["late"].settings["persist_client"] is False
    assert services["proxy"].settings["persist_client"] is True


def test_perlbals_old_names_set_what_they_stand_for(stage: Stage) -> None:
    stage.do("set idle_timeout = 7")
    settings = stage.control.snapshot.services["proxy"].settings
    assert (settings["client_body_timeout"], settings["client_write_timeout"]) == (7.0, 7.0)
    assert settings["persist_client_idle_timeout"] == 30.0
    stage.do("set persist_client_timeout = 8", "default persist_client_timeout = 9")
    settings = stage.control.snapshot.services["proxy"].settings
    assert settings["persist_client_idle_timeout"] == settings["client_body_timeout"] == 8.0
    stage.do("set role = reverse_proxy")
    assert stage.control.snapshot.services["proxy"].settings["client_write_timeout"] == 9.0
