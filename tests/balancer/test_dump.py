"""dumpconfig: Perlbal's layout, and that it can be replayed."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.balancer.stage import Stage
from wsgistack.balancer.language.session import Session
from wsgistack.balancer.model import Snapshot


def dumped(stage: Stage) -> list[str]:
    lines = stage.say("dumpconfig")
    assert lines.pop() == "OK"
    return lines


def replay(lines: list[str]) -> Stage:
    stage = Stage(workers=1)
    stage.session = Session.of_file({})
    for line in lines:
        assert stage.say(line) == [], line
    stage.session = Session()
    return stage


def meaning(snapshot: Snapshot) -> object:
    pools = {
        name: (pool.settings, [replace(n, slot=0) for n in pool.nodes])
        for name, pool in snapshot.pools.items()
    }
    return snapshot.server, pools, snapshot.services


def test_a_site_is_dumped_in_perlbals_layout() -> None:
    stage = Stage()
    stage.make_site()
    stage.do("HEADER mysite INSERT X-Case: Hello World=Foo", "HEADER mysite REMOVE X-Bar")
    stage.do(
        "DEFAULT server_tokens = off",
        "SERVER max_connections = 500",
        "POOL ADD mypool [::1] weight=3 backup max=20",
    )
    stage.do("POOL DRAIN mypool 127.0.0.1:8002", "SET mypool.node_weight = 2")
    stage.do("set mypool.balance_method = least", "set mysite.listen = 127.0.0.1:8080, [::1]:8080")
    stage.do("CREATE SERVICE spare", "SET persist_client = on")
    assert dumped(stage) == [
        "SERVER workers = 2",
        "SERVER max_connections = 500",
        "DEFAULT server_tokens = off",
        "",
        "CREATE POOL mypool",
        "  SET balance_method = least",
        "  SET node_weight = 2",
        "  POOL ADD mypool 127.0.0.1:8001",
        "  POOL ADD mypool 127.0.0.1:8002",
        "  POOL ADD mypool [::1]:80 weight=3 max=20 backup",
        "  POOL DRAIN mypool 127.0.0.1:8002",
        "",
        "CREATE SERVICE mysite",
        "  SET role = reverse_proxy",
        "  SET listen = 127.0.0.1:8080, [::1]:8080",
        "  SET pool = mypool",
        "  SET buffer_size = 120k",
        "  SET server_tokens = on",
        "  SET verify_backend = on",
        "  HEADER mysite REMOVE x-bar",
        "  HEADER mysite INSERT X-Case: Hello World=Foo",
        "ENABLE mysite",
        "",
        "CREATE SERVICE admin",
        "  SET role = management",
        "  SET listen = 127.0.0.1:60000",
        "  SET server_tokens = on",
        "ENABLE admin",
        "",
        "CREATE SERVICE spare",
        "  SET persist_client = on",
        "",
    ]


names = st.sampled_from(["p1", "p2", "s1", "s2", "s-3"])
settings = st.sampled_from(
    [
        "persist_client = off",
        "persist_client = on",
        "buffer_size = 10k",
        "client_header_timeout = 200ms",
        "persist_client_timeout = 7",
        "idle_timeout = 1.001",
        "trusted_upstream_proxies = 10.0.0.0/8, ::1",
        "verify_backend_path = /A?b=C",
        "role = reverse_proxy",
        "role = management",
        "listen = 127.0.0.1:1",
        "listen = 127.0.0.1:2, [::1]:3",
        "listen = unix:/Run/x",
        "listen = 80",
        "pool = p1",
        "pool = p2",
        "split = p1 5% ip",
        "split = p2 5%, p1 1% header X-User",
        "split = none",
        "balance_method = least",
        "health_check = none",
        "health_path = /Up",
        "health_status = 200,300-399",
        "health_interval = 250ms",
        "node_weight = 3",
        "node_max_connections = 9",
    ]
)
commands = st.one_of(
    st.builds("CREATE POOL {}".format, names),
    st.builds("CREATE SERVICE {}".format, names),
    st.builds("USE {}".format, names),
    st.builds("SET {}".format, settings),
    st.builds("SET {}.{}".format, names, settings),
    st.builds("DEFAULT {}".format, settings),
    st.builds(
        "POOL {} {} {}{}".format,
        names,
        st.sampled_from(["add", "add", "remove", "drain", "undrain"]),
        st.sampled_from(["10.0.0.1", "10.0.0.2:81", "[::1]", "App.example", "srv:_a._b.c", "unix:/Run/App"]),
        st.sampled_from(["", "", " weight=3", " max=5 backup"]),
    ),
    st.builds("ENABLE {}".format, names),
    st.builds("DISABLE {}".format, names),
    st.builds("HEADER {} INSERT X-Case: {}".format, names, st.sampled_from(["A b", "c=d:e"])),
    st.builds("HEADER {} REMOVE {}".format, names, st.sampled_from(["A", "b"])),
    st.sampled_from(["SERVER max_connections = 7", "SERVER aio_mode = ioaio"]),
)
BEGINNING = ["CREATE POOL p1", "CREATE SERVICE s1", "SET role = reverse_proxy", "CREATE SERVICE s2"]


@given(st.lists(commands, max_size=30))
def test_what_is_dumped_and_replayed_is_the_same(lines: list[str]) -> None:
    stage = Stage()
    for line in [*BEGINNING, *lines]:
        stage.say(line)
    again = replay(dumped(stage))
    assert dumped(again) == dumped(stage)
    assert meaning(again.control.snapshot) == meaning(stage.control.snapshot)
    assert sorted(again.ports.open_now) == sorted(stage.ports.open_now)
