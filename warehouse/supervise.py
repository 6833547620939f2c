"""`orchestrator up`: refreshes, starts proxy and UI, and stops all it started when it stops.

Every child leads a process group of its own, so that a signal reaches what we started and nothing else. What the
children do does not belong here.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from warehouse.locations import Locations, locations

_STOP_GRACE_S = 30.0
"""How long a part may take to stop before it is killed; the proxy has the time for its running answers on top."""

_DRAIN_VARIABLE, _DRAIN_DEFAULT_S = "ORCHESTRATOR_DRAIN_TIMEOUT_S", 30.0
_POLL_S = 0.2


class _StopRequestedError(Exception):
    """Ctrl-C or SIGTERM reached us."""


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def up(*, host: str, port: int, ui_port: int | None, is_offline: bool) -> int:
    """Refresh, serve, wait. Returns 0 after Ctrl-C, 1 when something we started fails, 2 when a port is taken."""
    for label, option, wanted_host, wanted in (
        ("the proxy", "--port", host, port),
        ("the Dagster UI", "--ui-port", "127.0.0.1", ui_port),
    ):
        if wanted is not None and not port_is_free(wanted_host, wanted):
            print(
                f"Port {wanted} for {label} is taken: is another orchestrator running? "
                f"Stop it, or choose another with {option}.",
                file=sys.stderr,
            )
            return 2
    if importlib.util.find_spec("dagster") is None:
        print("`up` needs the pipeline's packages (run: uv sync). The proxy alone: orchestrator serve", file=sys.stderr)
        return 2
    children = _Children()
    previous = {number: signal.signal(number, _raise_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return _run(children, locations(), host, port, ui_port, is_offline)
    except _StopRequestedError:
        print("\nStopping.", flush=True)
        return 0
    finally:
        # A second Ctrl-C while stopping must not leave children behind.
        for number in previous:
            signal.signal(number, signal.SIG_IGN)
        children.stop()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _run(children: _Children, places: Locations, host: str, port: int, ui_port: int | None, is_offline: bool) -> int:
    refresh = ["pipeline", "refresh", *(["--offline"] if is_offline else [])]
    has_publication = places.published.exists()
    if not has_publication:
        print("First start: building the warehouse, then serving.", flush=True)
        children.start("the refresh", refresh)
        code = children.wait_for("the refresh")
        if code != 0:
            print("The refresh failed (see above), and there is nothing to serve yet.", file=sys.stderr)
            return 1
    children.start("the proxy", ["proxy", "--host", host, "--port", str(port)])
    if ui_port is not None:
        ui = ["pipeline", "ui", "--port", str(ui_port), *(["--offline"] if is_offline else [])]
        children.start("the Dagster UI", ui)
    if not children.wait_until_listening("the proxy", host, port):
        return 1
    print(f'Proxy:      http://{host}:{port}/v1   (any OpenAI client; model "auto")', flush=True)
    if ui_port is not None:
        print(f"Dagster UI: http://127.0.0.1:{ui_port}   (takes some seconds to start)", flush=True)
    print("Ctrl-C stops both.", flush=True)
    if has_publication:
        print("Serving the last publication while the warehouse is refreshed.", flush=True)
        children.start("the refresh", refresh)
    return children.wait_for_failure(may_finish="the refresh")


def _raise_stop(number: int, frame: FrameType | None) -> None:
    raise _StopRequestedError


class _Children:
    """The processes `up` started, by what they are."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, module: Sequence[str]) -> None:
        self._processes[name] = subprocess.Popen(
            [sys.executable, "-m", *module], stdin=subprocess.DEVNULL, start_new_session=True
        )

    def wait_for(self, name: str) -> int:
        return self._processes[name].wait()

    def wait_until_listening(self, name: str, host: str, port: int) -> bool:
        target = "127.0.0.1" if host in ("0.0.0.0", "") else "::1" if host == "::" else host  # noqa: S104
        while self._processes[name].poll() is None:
            try:
                with socket.create_connection((target, port), timeout=1):
                    return True
            except OSError:
                time.sleep(_POLL_S)
        print(f"{name.capitalize()} did not start (see above).", file=sys.stderr)
        return False

    def wait_for_failure(self, may_finish: str) -> int:
        """Wait until something that should go on has ended; a refresh may end, well or badly."""
        while True:
            for name, process in list(self._processes.items()):
                code = process.poll()
                if code is None:
                    continue
                if name == may_finish:
                    del self._processes[name]
                    if code != 0:
                        print("The refresh failed (see above); serving the last publication.", file=sys.stderr)
                    continue
                print(f"{name.capitalize()} ended with code {code}; stopping the rest.", file=sys.stderr)
                return 1
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Ask every group to end, then end it."""
        for process in self._processes.values():
            _signal_group(process, signal.SIGTERM)
        began = time.monotonic()
        for name, process in self._processes.items():
            grace_s = _STOP_GRACE_S + (_drain_s() if name == "the proxy" else 0.0)
            try:
                process.wait(timeout=max(0.1, began + grace_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue
        for process in self._processes.values():
            # Also when the leader has gone: its own children may not have.
            _signal_group(process, signal.SIGKILL)
            process.wait()


def _drain_s() -> float:
    """What the proxy was told, which refused to start with anything that is no number."""
    try:
        return float(os.environ.get(_DRAIN_VARIABLE) or _DRAIN_DEFAULT_S)
    except ValueError:
        return 0.0


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
