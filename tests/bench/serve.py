"""Start the proxy as it is measured: 300 ranked models on one mock upstream, with key, breakers, log and metrics on.

usage: serve.py DIRECTORY [--port 18500] [--upstream http://127.0.0.1:9100/v1] [--workers 1]

Writes publication, upstreams and outcomes under DIRECTORY, the worker's process id to DIRECTORY/pid. The key is
sk-bench, as chat.lua sends it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.proxy.publication import offer, world, write  # noqa: E402  (found only now)
from tests.proxy.serving import upstreams_file  # noqa: E402


def prepared(directory: Path, port: int, upstream: str, workers: int = 1) -> tuple[list[str], dict[str, str]]:
    """Write what it needs; returns the command that starts it, and its environment."""
    directory.mkdir(parents=True, exist_ok=True)
    published = directory / "orchestrator.duckdb"
    if not published.exists():
        write(published, world([offer(f"vendor{i % 20}/model-{i}", upstream="bench") for i in range(300)]))
    upstreams_file(directory / "upstreams.toml", {"bench": upstream}, key="BENCH_KEY")
    environment = {
        "DATABASE_URL": f"duckdb:///{published}",
        "ORCHESTRATOR_UPSTREAMS": str(directory / "upstreams.toml"),
        "ORCHESTRATOR_ALLOWED_DOMAINS": "127.0.0.1",
        "ORCHESTRATOR_API_KEY": "sk-bench",
        "BENCH_KEY": "sk-upstream",
        "PYTHONPATH": str(ROOT),
    }
    return [sys.executable, "-m", "proxy", "--port", str(port), "--workers", str(workers)], environment


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=18500)
    parser.add_argument("--upstream", default="http://127.0.0.1:9100/v1")
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    directory: Path = chosen.directory.absolute()
    command, environment = prepared(directory, chosen.port, chosen.upstream, chosen.workers)
    (directory / "pid").write_text(str(os.getpid()))
    os.execve(sys.executable, command, os.environ | environment)  # noqa: S606  (its own interpreter)


if __name__ == "__main__":
    main()
