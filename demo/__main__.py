"""`make demo`: start the backends and the balancer, say what to try, clean up; --once: play the story."""

import argparse
import signal
import sys
import time
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from demo.processes import Backend, Balancer, Trouble, choose_ports, stop_all
from demo.report import tell
from demo.story import Stage, play
from demo.telnet import Telnet

CONFIGURATION = Path(__file__).with_name("demo.conf")
PORTS = {"site": 8080, "admin": 60000, "Django": 8001, "Flask": 8002, "bare": 8003, "spare": 8004}
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RESTART_AFTER_S = 10.0
HEALTHY_TIMEOUT_S = 60.0
HINTS = """
   curl -i http://{site}/    some times: Django, Flask and the bare callable answer
   curl -i http://{site}/news    a page that is kept: Cache-Status says hit, and who made it stays
   curl -i -d vote=1 http://{site}/    a vote; the sixth within a minute gets 429
   telnet {port}             the admin port; there, for instance:
       nodes                              what each backend got and answered
       pool mypool add {spare}     a fourth backend, which runs already, joins
       pool mypool remove {spare}  and leaves; no visitor notices
       cache purge http://{site}/news     and that page is made anew
       limit show votes                   how many votes passed, and how many were refused
       show service mysite                help lists the other commands
   .venv/bin/wsgistack admin {admin} nodes    the same without telnet
   kill -9 {victim}    Flask dies and no request fails; it comes back {after:.0f} s later
   Ctrl-C    ends everything
"""


def main() -> int:
    """Run the demo and return the exit status: 1 if the story did not hold."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="play the story and leave")
    once = parser.parse_args().once
    for end in ENDS:
        signal.signal(end, _end)
    with TemporaryDirectory(prefix="wsgistack-demo-") as folder:
        stage = make_stage(Path(folder), free_ports=once, loud=not once)
        try:
            start(stage)
            if once:
                play(stage, lambda seen: print(f"   {seen}", flush=True))
                print("-- demo: the story held", flush=True)
            else:
                stage.spare.start()
                hold(stage)
        except (Trouble, OSError, ValueError, HTTPException) as trouble:  # a visitor's request may fail too
            print("\n".join(tell(stage, trouble)), file=sys.stderr, flush=True)
            return 1
        except KeyboardInterrupt:
            print("\n-- demo: ending", flush=True)
        finally:
            _ignore_ends()
            stop_all([stage.balancer, *stage.pool, stage.spare])
    return 0


def _end(number: int, frame: object) -> None:
    """Begin to end; `make` hands a signal on that its group got too, so a second one is on its way."""
    _ignore_ends()
    raise KeyboardInterrupt


def _ignore_ends() -> None:
    """Who is impatient would leave backends behind."""
    for end in ENDS:
        signal.signal(end, signal.SIG_IGN)


def make_stage(folder: Path, *, free_ports: bool, loud: bool) -> Stage:
    """Choose the ports, write the configuration with them below *folder*; start nothing."""
    wanted = [0 if free_ports else port for port in PORTS.values()]
    ports = dict(zip(PORTS, choose_ports(wanted), strict=True))
    text = CONFIGURATION.read_text()
    for name, port in ports.items():
        text = text.replace(f":{PORTS[name]}\n", f":{port}\n")
        if not free_ports and port != PORTS[name]:
            print(f"-- port {PORTS[name]} is taken: {port} instead")
    configuration = folder / "demo.conf"
    configuration.write_text(text)
    return Stage(
        site=f"127.0.0.1:{ports['site']}",
        admin=f"127.0.0.1:{ports['admin']}",
        pool=[
            Backend("Django", "django_site", ports["Django"]),
            Backend("Flask", "flask_site", ports["Flask"]),
            Backend("bare callable", "bare", ports["bare"]),
        ],
        spare=Backend("bare callable", "bare", ports["spare"]),
        balancer=Balancer(configuration, loud=loud),
    )


def start(stage: Stage) -> None:
    """Start the balancer beside the pool's backends; return once it has found each of them well."""
    print(f"-- demo: three WSGI backends, wsgistack balancer {stage.balancer.configuration}", flush=True)
    for backend in stage.pool:
        backend.start()
    stage.balancer.start()
    for backend in stage.pool:
        backend.wait()
        print(f"   {backend.address}  {backend.name}, process {backend.pid}", flush=True)
    stage.balancer.wait_ready()
    with Telnet(stage.admin) as telnet:
        for backend in stage.pool:
            await_health(telnet, backend.address)
    print(f"   http://{stage.site}/ balances, {stage.admin} is the admin port", flush=True)


def await_health(telnet: Telnet, address: str) -> None:
    """Return once the health checks of the balancer pass at *address*, as an operator would look."""
    deadline = time.monotonic() + HEALTHY_TIMEOUT_S
    while not is_healthy(lines := telnet.ask(f"nodes {address}"), address):
        if time.monotonic() > deadline:
            raise Trouble(f"{address} does not become healthy: {lines}")
        time.sleep(0.02)


def is_healthy(lines: list[str], address: str) -> bool:
    """Say whether *lines*, the answer to `nodes`, have *address* up in its pool."""
    return f"{address} health mypool up" in "\n".join(lines)


def hold(stage: Stage) -> None:
    """Print what to try, and run until Ctrl-C; a backend that dies comes back after a while."""
    flask = stage.pool[1]
    port = stage.admin.replace(":", " ")
    names = {"port": port, "site": stage.site, "admin": stage.admin, "spare": stage.spare.address}
    print(HINTS.format(**names, victim=flask.pid, after=RESTART_AFTER_S), flush=True)
    while stage.balancer.is_running():
        time.sleep(0.2)
        for backend in (*stage.pool, stage.spare):
            if not backend.is_running():
                print(f"-- {backend.name} at {backend.address} died; it comes back soon", flush=True)
                time.sleep(RESTART_AFTER_S)
                backend.start()
                backend.wait()
                print(f"-- {backend.name} is back: process {backend.pid}", flush=True)
    print("-- the balancer ended")


if __name__ == "__main__":
    sys.exit(main())
