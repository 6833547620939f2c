"""How `orchestrator up` ends what it started. That nothing of the real parts is left behind is `tests/test_up.py`'s."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from warehouse import supervise

LINGERS = """import signal, sys, threading
told = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: told.set())
print("ready", flush=True)
told.wait()
threading.Event().wait(float(sys.argv[1]))
"""


@pytest.mark.integration
def test_the_proxy_has_its_time_for_running_answers_and_others_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that takes two seconds to stop may, one part that takes for ever holds nobody up."""
    monkeypatch.setattr(supervise, "_STOP_GRACE_S", 0.0)
    monkeypatch.setenv("ORCHESTRATOR_DRAIN_TIMEOUT_S", "300")
    children = supervise._Children()
    for name, stops_after_s in (("the refresh", "1000"), ("the proxy", "2")):
        command = [sys.executable, "-c", LINGERS, stops_after_s]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        assert process.stdout is not None
        with process.stdout as said:
            assert said.readline() == b"ready\n"
        children._processes[name] = process

    children.stop()

    codes = {name: process.returncode for name, process in children._processes.items()}
    assert codes == {"the refresh": -signal.SIGKILL, "the proxy": 0}
