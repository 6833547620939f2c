"""`python -m proxy`: serve. Arguments, logging and the socket belong here; the application is `app.py`'s."""

from __future__ import annotations

import argparse
import errno
import ipaddress
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Sequence

import uvicorn
from uvicorn.supervisors import Multiprocess

from proxy import asked_names, keys, reading, settings
from proxy.asked_names import AskedNamesError
from proxy.keys import KeysError
from proxy.settings import SettingsError
from warehouse import environment, upstreams
from warehouse.locations import LocationError, locations

HOST = "127.0.0.1"
PORT = 8080


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; returns the exit code."""
    environment.load()
    parser = argparse.ArgumentParser(prog="python -m proxy", description="Serve the OpenAI-compatible proxy.")
    parser.add_argument("--host", default=os.environ.get("ORCHESTRATOR_HOST") or HOST, help=f"default {HOST}")
    parser.add_argument("--port", type=int, default=os.environ.get("ORCHESTRATOR_PORT") or PORT, help=f"default {PORT}")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the port (default 1)")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        checked = settings.load()
        published = locations().published
        upstreams.load()
        keyring = keys.load()
        asked_names.load()
    except (SettingsError, LocationError, upstreams.UpstreamsError, KeysError, AskedNamesError) as error:
        return _complain(str(error))
    if chosen.workers < 1 or not 0 <= chosen.port <= 65535:
        return _complain("--workers must be at least 1 and --port between 0 and 65535.")
    try:
        listening = _listen(chosen.host, chosen.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _complain(f"Port {chosen.port} on {chosen.host} is taken; choose another with --port.")
        return _complain(f"Cannot listen on {chosen.host}:{chosen.port}: {error.strerror or error}.")
    if checked.api_key is None and not keyring and not _is_loopback(chosen.host):
        print(
            f"warning: {chosen.host} is reachable from other machines, and neither ORCHESTRATOR_API_KEY nor "
            "ORCHESTRATOR_KEYS is set: anyone who reaches this port spends your keys' money.",
            file=sys.stderr,
        )
    if chosen.workers == 1:
        reading.begin(published, reading.TABLES)
    else:
        # Workers count in files of this directory, so that /metrics shows them all.
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="orchestrator-metrics-"))
    config = uvicorn.Config(
        "proxy.app:create_app",
        factory=True,
        host=chosen.host,
        port=chosen.port,
        workers=chosen.workers,
        loop="uvloop",
        http="proxy.server:Protocol",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(checked.drain_timeout_s)),
        # A worker that is slow to answer its parent is busy, not hung; killing it would cost every call it holds.
        timeout_worker_healthcheck=60,
        backlog=2048,
    )
    host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    print(f"Serving on http://{host}:{listening.getsockname()[1]}/v1", file=sys.stderr, flush=True)
    server = uvicorn.Server(config)
    if chosen.workers > 1:
        _Workers(config, sockets=[listening]).run()
        return 0
    server.run(sockets=[listening])
    return 0 if server.started else 1


class _Workers(Multiprocess):
    """Told to stop, it lets go of the socket at once: who connects while the last answers are finished is refused and
    can go elsewhere, rather than wait for nobody."""

    def terminate_all(self) -> None:
        for listening in self.sockets:
            listening.close()
        super().terminate_all()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.set_inheritable(True)
    return listening


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _complain(text: str) -> int:
    print(text, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
