"""The `orchestrator` command: starts the pipeline and the proxy as processes of their own, and imports neither.

Arguments and what a person reads in the terminal belong here; what the commands do belongs to the halves.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from warehouse import doctor, environment, query, supervise
from warehouse.locations import LocationError, locations

PROXY_PORT = 8080
UI_PORT = 3000

# Commands whose arguments are handed on untouched, and the module each starts.
_PASSED_ON: dict[tuple[str, ...], tuple[str, ...]] = {
    ("serve",): ("proxy",),
    ("route",): ("proxy.explain",),
    ("ui",): ("pipeline", "ui"),
    ("refresh",): ("pipeline", "refresh"),
    ("prune",): ("pipeline", "prune"),
    ("why",): ("pipeline.entities", "why"),
    ("resolve",): ("pipeline.entities", "resolve"),
    ("evaluate", "linkage"): ("pipeline.entities", "evaluate"),
    ("bench", "linkage"): ("pipeline.entities", "bench"),
    ("train", "linkage"): ("pipeline.entities", "train"),
    ("evaluate", "quality"): ("pipeline.rankings", "evaluate"),
    ("evaluate", "coverage"): ("pipeline.rankings", "coverage"),
    ("backtest",): ("pipeline.rankings.backtest_command",),
    ("evaluate", "difficulty"): ("proxy.difficulty", "evaluate"),
    ("bench", "difficulty"): ("proxy.difficulty", "bench"),
    ("train", "difficulty"): ("proxy.difficulty", "train"),
}

_HELP = """\
usage: orchestrator COMMAND [OPTIONS]

  up        refresh the warehouse, then serve: proxy on :8080, Dagster UI on :3000
            [--host H] [--port P] [--ui-port P] [--no-ui] [--offline]
  refresh   ingest, link, rank and publish                [--offline | --from DIR]
  serve     the proxy alone                               [--host H] [--port P] [--workers N]
  ui        the Dagster UI alone                          [--host H] [--port P]
  sql       ask the published warehouse, read-only        "SELECT ..." [--format table|csv|json] [--output FILE]
  route     explain a decision, call nothing              "a prompt" [--profile P]
  doctor    what is set, reachable and fresh, and what to do about the rest
  why       why two records are one model, or not         RECORD RECORD
  resolve   which models names are, say a server of yours  NAME ...
  prune     remove metrics older than the retention
  backtest  replay the recorded history against a profile [--profile P] [--from DATE] [--to DATE]
  evaluate  print how good a part is                      linkage | quality | coverage | difficulty
  train     remake a trained file                         linkage | difficulty
  bench     measure a part                                linkage | difficulty

`orchestrator COMMAND --help` tells more.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. 2 means the command was not understood."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    environment.load()
    try:
        locations()
    except LocationError as error:
        return _complain(str(error))
    if not words or words[0] in ("-h", "--help", "help"):
        print(_HELP, end="")
        return 0 if words else 2
    for command, module in _PASSED_ON.items():
        if tuple(words[: len(command)]) == command:
            return _start(module, words[len(command) :])
    own = {"up": _up, "sql": _sql, "doctor": _doctor}
    if words[0] in own:
        if words[0] == "sql":
            environment.end_with_the_reader()
        return own[words[0]](words[1:])
    parts = sorted(second for first, *rest in _PASSED_ON if first == words[0] for second in rest)
    if parts:
        return _complain(f"orchestrator {words[0]} takes one of: {', '.join(parts)}.")
    return _complain(f"There is no command {words[0]!r}. `orchestrator --help` lists them.")


def _complain(text: str) -> int:
    print(text, file=sys.stderr)
    return 2


def _start(module: tuple[str, ...], arguments: Sequence[str]) -> int:
    if module[0].split(".")[0] == "pipeline" and importlib.util.find_spec("dagster") is None:
        return _complain("This command needs the pipeline's packages. Run: uv sync")
    command = [sys.executable, "-m", *module, *arguments]
    try:
        return subprocess.call(command)
    except KeyboardInterrupt:
        # The child got the same Ctrl-C and has said what there is to say.
        return 130


def _up(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="orchestrator up", description="Refresh the warehouse, then serve until Ctrl-C."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address the proxy listens on (default: this machine only)")
    parser.add_argument("--port", type=int, default=PROXY_PORT, help=f"the proxy's port (default {PROXY_PORT})")
    parser.add_argument("--ui-port", type=int, default=UI_PORT, help=f"the Dagster UI's port (default {UI_PORT})")
    parser.add_argument("--no-ui", action="store_true", help="leave the Dagster UI and its schedules out")
    parser.add_argument("--offline", action="store_true", help="use cached or bundled data, ask no source")
    chosen = parser.parse_args(arguments)
    return supervise.up(
        host=chosen.host,
        port=chosen.port,
        ui_port=None if chosen.no_ui else chosen.ui_port,
        is_offline=chosen.offline,
    )


def _sql(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="orchestrator sql", description="Ask the published warehouse. Read-only; tables are in schema published."
    )
    parser.add_argument("query", help='for example: "SELECT * FROM rankings LIMIT 5"')
    parser.add_argument("--format", choices=query.FORMATS, default="table")
    parser.add_argument("--output", type=Path, help="write to this file instead of the terminal (parquet needs it)")
    chosen = parser.parse_args(arguments)
    try:
        query.run(locations().published, chosen.query, chosen.format, chosen.output)
    except query.QueryError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _doctor(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="orchestrator doctor", description="What is set, reachable and fresh, and what to do about the rest."
    )
    parser.add_argument("--port", type=int, default=PROXY_PORT)
    parser.add_argument("--ui-port", type=int, default=UI_PORT)
    parser.add_argument("--offline", action="store_true", help="do not try to reach the sources")
    chosen = parser.parse_args(arguments)
    return doctor.report(chosen.port, chosen.ui_port, is_offline=chosen.offline)


if __name__ == "__main__":
    sys.exit(main())
