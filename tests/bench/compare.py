"""Gateways side by side, all in one run: calls a second, latencies, CPU, memory, start, streams, growth.

usage: compare.py DIRECTORY [--litellm COMMAND] [--portkey COMMAND] [--sglang COMMAND] [--growth CALLS]
                  [--seconds 4] [--rounds 3] [--concurrency 1,64] [--port 9100]

    python tests/bench/compare.py /tmp/rig --litellm /tmp/litellm/bin/litellm --growth 200000 \\
        --portkey "node /tmp/portkey/node_modules/@portkey-ai/gateway/build/start-server.js" \\
        --sglang "/tmp/sglang/bin/python -m sglang_router.launch_router"

Starts all it needs on ports from --port on: a mock upstream and a plain reverse proxy (nginx), this proxy as `serve.py`
sets it up, and every other gateway whose command is given (`litellm[proxy]` and `sglang-router` are on PyPI,
`@portkey-ai/gateway` on npm). Each is started alone first: from its start to its first answered call, and its memory
when idle. Then every round runs every gateway once at each concurrency, so that a drift of the machine's speed falls on
all alike; the tables show medians over the rounds. Needs `nginx`, `wrk` and `pgrep`.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.bench.serve import prepared  # noqa: E402  (found only now)

WRK, PGREP, NGINX = (shutil.which(name) or name for name in ("wrk", "pgrep", "nginx"))
CLOCK = os.sysconf("SC_CLK_TCK")
START_S = 120.0
PATH = "/v1/chat/completions"


class Gateway(NamedTuple):
    """How one is started and called."""

    port: int
    command: Sequence[str] | None = None
    model: str = "bench/model"
    headers: str = ""
    """`name=value;name=value`"""
    environment: Mapping[str, str] = {}
    varies: bool = False
    """Every prompt is another one."""


class Running(NamedTuple):
    """One that runs."""

    pid: int
    start_s: float
    idle_mib: float


def gateways(chosen: argparse.Namespace, directory: Path) -> dict[str, Gateway]:
    """Those whose command is given, and the three that always are."""
    port = chosen.port
    upstream = f"http://127.0.0.1:{port}"
    command, environment = prepared(directory / "ours", port + 2, f"{upstream}/v1")
    ours = Gateway(port + 2, command, "auto", environment=environment)
    found = {"direct": Gateway(port), "nginx": Gateway(port + 1), "ours": ours}
    found["ours, varied"] = ours._replace(varies=True)
    if chosen.sglang:
        found["sglang"] = Gateway(
            port + 3,
            [
                *(*shlex.split(chosen.sglang), "--worker-urls", upstream),
                *("--host", "127.0.0.1", "--port", str(port + 3), "--prometheus-port", str(port + 8)),
            ],
        )
    if chosen.portkey:
        found["portkey"] = Gateway(
            port + 4,
            [*shlex.split(chosen.portkey), f"--port={port + 4}", "--headless"],
            headers=f"x-portkey-provider=openai;x-portkey-custom-host={upstream}/v1",
        )
    if chosen.litellm:
        config = directory / "litellm.yaml"
        config.write_text(
            "model_list:\n  - model_name: bench/model\n    litellm_params:\n      model: openai/bench\n"
            f"      api_base: {upstream}/v1\n      api_key: sk-upstream\n"
        )
        found["litellm"] = Gateway(
            port + 5,
            [*shlex.split(chosen.litellm), "--config", str(config), "--host", "127.0.0.1", "--port", str(port + 5)],
            environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": "sk-bench"},
        )
    return found


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    children = subprocess.run([PGREP, "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [pid] + [p for child in children for p in tree(int(child))]


def cpu_and_rss(pid: int) -> tuple[float, float]:
    """CPU seconds used so far and resident MiB now, over the process and all below it."""
    seconds, kib = 0.0, 0
    for one in tree(pid):
        with contextlib.suppress(OSError, AttributeError):
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            seconds += (int(fields[11]) + int(fields[12])) / CLOCK
            kib += int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{one}/status").read_text()).group(1))  # type: ignore[union-attr]
    return seconds, kib / 1024


def is_answered(gateway: Gateway, expected: bytes = b"steady answer") -> bool:
    """Make one call, streamed where the end of a stream is expected."""
    headers = {"content-type": "application/json", "authorization": "Bearer sk-bench"}
    headers |= dict(pair.split("=", 1) for pair in gateway.headers.split(";") if pair)
    is_stream = b"[DONE]" in expected
    ask = {"model": gateway.model, "messages": [{"role": "user", "content": "hi"}], "stream": is_stream}
    body = json.dumps(ask)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    try:
        connection.request("POST", PATH, body, headers)
        answer = connection.getresponse()
        return answer.status == 200 and expected in answer.read()
    except OSError:
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def process(name: str, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """One that runs as long as the block, its words in a file."""
    with (directory / f"{name}.log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | dict(environment), cwd=directory)
        try:
            yield running.pid
        finally:
            running.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(15)
            running.kill()


def started(name: str, gateway: Gateway, directory: Path, stack: contextlib.ExitStack) -> Running:
    """Start it, and measure until its first answer. Exits when it does not come."""
    began = time.monotonic()
    assert gateway.command is not None
    pid = stack.enter_context(process(name, gateway.command, directory, gateway.environment))
    while not is_answered(gateway):
        if time.monotonic() - began > START_S:
            sys.exit(f"{name} does not answer; see {directory / name}.log")
        time.sleep(0.01)
    start_s = time.monotonic() - began
    time.sleep(2)
    return Running(pid, start_s, cpu_and_rss(pid)[1])


def load(gateway: Gateway, pid: int | None, concurrency: int, seconds: int) -> dict[str, float]:
    """Call it as fast as it answers."""
    environment = os.environ | {"MODEL": gateway.model, "KEY": "sk-bench", "HEADERS": gateway.headers}
    if gateway.varies:
        environment["VARY"] = "1"
    before, _ = cpu_and_rss(pid) if pid else (0.0, 0.0)
    command = [WRK, "-t1", f"-c{concurrency}", f"-d{seconds}s", "--timeout", "10s", "-s", str(HERE / "chat.lua")]
    out = subprocess.run(
        [*command, f"http://127.0.0.1:{gateway.port}{PATH}"], capture_output=True, text=True, env=environment
    ).stdout
    after, mib = cpu_and_rss(pid) if pid else (0.0, 0.0)
    found = {key: float(value) for key, value in re.findall(r"(\w+)=(\d+)", out[out.index("RESULT") :])}
    found["cpu_us"] = 1e6 * (after - before) / max(found["rps"] * seconds, 1)
    found["mib"] = mib
    return found


STREAMS = (
    # events of a stream, ms between them, calls at a time, calls
    (20, 5, 1, 100),  # how much later the first content comes, after a pause in which all has gone cold
    (20, 0, 1, 500),  # and from an upstream that speaks at once
    (400, 0, 8, 400),  # how many events a second
)


def streams(chosen: argparse.Namespace, directory: Path) -> list[str]:
    """Streamed calls, direct and through this proxy: time to the first content, events a second, CPU time an event."""
    up, port = chosen.port + 6, chosen.port + 7
    command, environment = prepared(directory / "streaming", port, f"http://127.0.0.1:{up}/v1")
    ours = Gateway(port, command, "auto", environment=environment)
    lines = [
        f"{'streams of':<22}{'c':>3}{'direct: first ms':>18}{'events/s':>10}{'ours: first ms':>16}"
        f"{'p99':>7}{'added':>7}"
        f"{'events/s':>10}{'CPU us/event':>14}{'failed':>8}"
    ]
    for count, gap_ms, concurrency, calls in STREAMS:
        with contextlib.ExitStack() as stack:
            upstream = [sys.executable, str(HERE / "stream_upstream.py"), str(up), str(count), str(gap_ms)]
            stack.enter_context(process("stream-upstream", upstream, directory, {}))
            pid = stack.enter_context(process("streaming", ours.command or (), directory, environment))
            while not is_answered(ours, b"data: [DONE]"):
                time.sleep(0.1)
            direct = _streamed(up, "bench/model", concurrency, calls)
            before, _ = cpu_and_rss(pid)
            through = _streamed(port, "auto", concurrency, calls)
            cpu_us = 1e6 * (cpu_and_rss(pid)[0] - before) / (calls * count)
        first, through_first = direct["ttft_p50_us"] / 1000, through["ttft_p50_us"] / 1000
        lines.append(
            f"{f'{count} events, {gap_ms} ms apart':<22}{concurrency:>3}{first:>18.2f}{direct['events_per_s']:>10.0f}"
            f"{through_first:>16.2f}{through['ttft_p99_us'] / 1000:>7.2f}{through_first - first:>7.2f}"
            f"{through['events_per_s']:>10.0f}{cpu_us:>14.1f}{through['failed']:>8.0f}"
        )
    return lines


def _streamed(port: int, model: str, concurrency: int, calls: int) -> dict[str, float]:
    url = f"http://127.0.0.1:{port}{PATH}"
    said = subprocess.run(
        [sys.executable, str(HERE / "stream_client.py"), url, str(concurrency), str(calls)],
        capture_output=True,
        text=True,
        env=os.environ | {"MODEL": model},
    ).stdout
    return {key: float(value) for key, value in re.findall(r"(\w+)=(\d+)", said)}


def growth(gateway: Gateway, pid: int, calls: int) -> list[str]:
    """Memory over so many calls with ever other prompts."""
    done, warm, found = 0.0, None, {"mib": 0.0}
    lines: list[str] = []
    while done < calls:
        found = load(gateway, pid, 64, 10)
        done += found["rps"] * 10
        if warm is None and done >= min(20_000, calls / 4):
            # By then every bounded memory (decisions, sessions, prompts) is full.
            warm = found["mib"]
        lines.append(f"{done:>10,.0f} calls {found['mib']:>8.1f} MiB")
    return [*lines, f"growth after warming up: {found['mib'] - (warm or found['mib']):+.1f} MiB"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path)
    for name in ("litellm", "portkey", "sglang"):
        parser.add_argument(f"--{name}", metavar="COMMAND")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", default="1,64")
    parser.add_argument("--port", type=int, default=9100)
    parser.add_argument("--growth", type=int, default=0, metavar="CALLS")
    chosen = parser.parse_args()
    directory: Path = chosen.directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(directory / "ours", ignore_errors=True)
    shutil.rmtree(directory / "streaming", ignore_errors=True)
    text = (HERE / "upstream.conf").read_text()
    text = text.replace("9200", str(chosen.port + 1)).replace("9100", str(chosen.port))
    (directory / "nginx.conf").write_text(text)
    found = gateways(chosen, directory)
    levels = [int(level) for level in chosen.concurrency.split(",")]
    with contextlib.ExitStack() as stack:
        command = [NGINX, "-p", str(directory), "-c", str(directory / "nginx.conf")]
        stack.enter_context(process("nginx", command, directory, {}))
        time.sleep(1)
        with contextlib.ExitStack() as first:
            # Once before it counts: what a machine has never run it compiles and reads from disk.
            started("ours", found["ours"], directory, first)
        running: dict[str, Running] = {}
        for name, gateway in found.items():
            if gateway.command is not None and not gateway.varies:
                running[name] = started(name, gateway, directory, stack)
        running["ours, varied"] = running["ours"]
        pids = {name: one.pid for name, one in running.items()}
        runs: dict[tuple[str, int], list[dict[str, float]]] = {(name, c): [] for name in found for c in levels}
        for _ in range(chosen.rounds):
            for c in levels:
                for name, gateway in found.items():
                    runs[name, c].append(load(gateway, pids.get(name), c, chosen.seconds))
        grown = growth(found["ours, varied"], pids["ours"], chosen.growth) if chosen.growth else []
    middle = {key: {k: statistics.median(r[k] for r in rows) for k in rows[0]} for key, rows in runs.items()}

    print(f"{'gateway':<14}{'start s':>9}{'idle MiB':>10}")
    for name, one in running.items():
        if not found[name].varies:
            print(f"{name:<14}{one.start_s:>9.2f}{one.idle_mib:>10.0f}")
    ratios = [name for name in ("litellm", "portkey", "sglang", "nginx") if name in found]
    print(
        f"\n{'gateway':<14}{'c':>4}{'calls/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'+p50 ms':>9}{'CPU us':>9}{'MiB':>6}"
        f"{'errors':>8}" + "".join(f"{'/' + name:>10}" for name in ratios)
    )
    for (name, c), m in middle.items():
        added = (m["p50_us"] - middle["direct", c]["p50_us"]) / 1000
        line = (
            f"{name:<14}{c:>4}{m['rps']:>9.0f}{m['p50_us'] / 1000:>9.2f}{m['p99_us'] / 1000:>9.2f}{added:>9.2f}"
            f"{m['cpu_us']:>9.0f}{m['mib']:>6.0f}{m['non2xx'] + m['sock']:>8.0f}"
        )
        print(line + "".join(f"{m['rps'] / max(middle[other, c]['rps'], 0.1):>10.2f}" for other in ratios))
    print("\n" + "\n".join(streams(chosen, directory)))
    if grown:
        print("\n" + "\n".join(grown))


if __name__ == "__main__":
    main()
