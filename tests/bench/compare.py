"""Run gateways side by side against one mock upstream and print how they compare.

usage: compare.py GATEWAYS.json [--seconds 4] [--rounds 3] [--concurrency 1,16,64]

GATEWAYS.json: {"name": {"url": "http://127.0.0.1:PORT/v1/chat/completions", "model": "...", "key": "...",
"headers": "k=v;k=v", "pid_file": "..."}}; each must already run, with 127.0.0.1:9100 as its upstream (see
upstream.conf, which must run too). 'direct' and 'nginx' are added. Needs wrk. Every round runs every gateway once at
each concurrency, so a drift of the machine's speed falls on all alike; the table shows medians over the rounds.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess

HERE = pathlib.Path(__file__).parent
WRK, PGREP = shutil.which("wrk") or "wrk", shutil.which("pgrep") or "pgrep"
CLOCK = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    children = subprocess.run([PGREP, "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [pid] + [p for child in children for p in tree(int(child))]


def cpu_and_rss(pid_file: str | None) -> tuple[float, int]:
    """CPU seconds used so far and resident KiB now, over the gateway's process tree."""
    if not pid_file:
        return 0.0, 0
    seconds, kib = 0.0, 0
    for pid in tree(int(pathlib.Path(pid_file).read_text())):
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            seconds += (int(fields[11]) + int(fields[12])) / CLOCK
            kib += int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))
        except (OSError, AttributeError):
            continue
    return seconds, kib


def run(gateway: dict, concurrency: int, seconds: int) -> dict:
    env = os.environ | {
        "MODEL": gateway.get("model", "bench/model"),
        "KEY": gateway.get("key", "sk-bench"),
        "HEADERS": gateway.get("headers", ""),
    }
    before, _ = cpu_and_rss(gateway.get("pid_file"))
    out = subprocess.run(
        [
            WRK,
            "-t1",
            f"-c{concurrency}",
            f"-d{seconds}s",
            "--timeout",
            "10s",
            "-s",
            str(HERE / "chat.lua"),
            gateway["url"],
        ],
        capture_output=True,
        text=True,
        env=env,
    ).stdout
    after, kib = cpu_and_rss(gateway.get("pid_file"))
    found = {k: float(v) for k, v in re.findall(r"(\w+)=(\d+)", out[out.index("RESULT") :])}
    found["cpu_ms_per_1k"] = 1e6 * (after - before) / max(found["rps"] * seconds, 1)
    found["rss_mib"] = kib / 1024
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("gateways")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", default="1,16,64")
    options = parser.parse_args()
    gateways = {
        "direct": {"url": "http://127.0.0.1:9100/v1/chat/completions"},
        "nginx": {"url": "http://127.0.0.1:9200/v1/chat/completions"},
    }
    gateways |= json.loads(pathlib.Path(options.gateways).read_text())
    levels = [int(c) for c in options.concurrency.split(",")]
    runs = {(name, c): [] for name in gateways for c in levels}
    for _ in range(options.rounds):
        for c in levels:
            for name, gateway in gateways.items():
                runs[name, c].append(run(gateway, c, options.seconds))
    middle = {key: {k: statistics.median(r[k] for r in rows) for k in rows[0]} for key, rows in runs.items()}
    print(
        f"{'gateway':<14}{'c':>4}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'+p50 ms':>9}{'cpu ms/1k':>11}"
        f"{'RSS MiB':>9}{'errors':>8}"
    )
    for (name, c), m in middle.items():
        added = (m["p50_us"] - middle["direct", c]["p50_us"]) / 1000
        print(
            f"{name:<14}{c:>4}{m['rps']:>9.0f}{m['p50_us'] / 1000:>9.2f}{m['p99_us'] / 1000:>9.2f}{added:>9.2f}"
            f"{m['cpu_ms_per_1k']:>11.0f}{m['rss_mib']:>9.0f}{m['non2xx'] + m['sock']:>8.0f}"
        )
    print("JSON " + json.dumps({f"{name}@{c}": m for (name, c), m in middle.items()}))


if __name__ == "__main__":
    main()
