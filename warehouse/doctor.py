"""`orchestrator doctor`: what is set, reachable and fresh, and what to do about the rest.

Looks and reports; changes nothing, and never prints a key.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import re
import subprocess
import sys
import textwrap
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

from warehouse import upstreams
from warehouse.locations import locations
from warehouse.published import ContractMismatchError, Snapshot, SourceLoad, read
from warehouse.supervise import port_is_free

_STALE_AFTER = dt.timedelta(days=2)
_LOCAL_SERVERS = {
    "ollama": "http://localhost:11434/v1",
    "lmstudio": "http://localhost:1234/v1",
}
_REACH_TIMEOUT_S = 2.0
_ADDRESS = re.compile(r"https?://\S+: ")
_LONGEST_PROBLEM = 160
_NAMED = 3


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    level: str
    """ok, note (works, but could be better) or bad (something a user wants does not work)."""
    text: str


def report(port: int, ui_port: int, *, is_offline: bool) -> int:
    """Print every finding; returns 1 when something is bad, else 0."""
    signs = {"ok": "ok  ", "note": "note", "bad": "BAD "}
    worst = 0
    for finding in findings(port, ui_port, is_offline=is_offline):
        print(f"{signs[finding.level]}  {finding.text}", flush=True)
        worst = max(worst, finding.level == "bad")
    if not is_offline and importlib.util.find_spec("dagster") is not None:
        print("Sources:", flush=True)
        subprocess.call([sys.executable, "-m", "pipeline", "reach"])
    return worst


def findings(port: int, ui_port: int, *, is_offline: bool) -> Iterator[Finding]:
    """Look at everything that needs no source: packages, upstreams and keys, publication, ports."""
    yield _packages()
    yield from _upstreams(is_offline)
    yield from _publication()
    for label, option, number in (("proxy", "--port", port), ("Dagster UI", "--ui-port", ui_port)):
        if port_is_free("127.0.0.1", number):
            yield Finding("ok", f"Port {number} ({label}) is free.")
        else:
            yield Finding("note", f"Port {number} ({label}) is taken; if not by us, choose another with {option}.")


def _packages() -> Finding:
    if importlib.util.find_spec("dagster") is None:
        return Finding("note", "Only the proxy is installed; for the pipeline run: uv sync")
    return Finding("ok", "Proxy and pipeline are installed.")


def _upstreams(is_offline: bool) -> Iterator[Finding]:
    try:
        rows = upstreams.load()
    except upstreams.UpstreamsError as error:
        yield Finding("bad", str(error))
        return
    usable = [row for row in rows if row.is_usable(os.environ)]
    for row in rows:
        if row in usable:
            key = f"{row.api_key_env} is set" if row.api_key_env else "no key needed"
            yield _local(row) if row.is_local else Finding("ok", f"Upstream {row.name}: {row.base_url} ({key}).")
        else:
            yield Finding("note", f"Upstream {row.name}: set {row.api_key_env} to use it.")
    if not usable:
        yield Finding("bad", "No upstream can be called, so chat calls get 503: set a key, or add a local server.")
    if not is_offline:
        names = {row.name for row in rows}
        for name, url in _LOCAL_SERVERS.items():
            if name not in names and _answers(f"{url}/models"):
                yield Finding(
                    "note",
                    f"A local {name} answers at {url}: set enabled = true for [{name}] in your upstreams.toml "
                    "and add localhost to ORCHESTRATOR_ALLOWED_DOMAINS to route to it.",
                )


def _local(row: upstreams.Upstream) -> Finding:
    """A server of the user's own: whether it may be called, and answers."""
    host = urllib.parse.urlsplit(row.base_url).hostname or ""
    allowed = {one.strip() for one in (os.environ.get("ORCHESTRATOR_ALLOWED_DOMAINS") or "").split(",")}
    if host not in allowed:
        return Finding(
            "note", f"Upstream {row.name}: add {host} to ORCHESTRATOR_ALLOWED_DOMAINS, if its address is a private one."
        )
    if not _answers(f"{row.base_url}/models"):
        return Finding("note", f"Upstream {row.name}: nothing answers at {row.base_url}/models. Is it running?")
    return Finding("ok", f"Upstream {row.name}: answers at {row.base_url}.")


def _publication() -> Iterator[Finding]:
    path = locations().published
    try:
        rows = read(path, (Snapshot, SourceLoad))
    except FileNotFoundError:
        yield Finding("bad", f"Nothing has been published at {path}. Run: orchestrator refresh")
        return
    except ContractMismatchError as error:
        yield Finding("bad", str(error))
        return
    snapshot = rows[Snapshot][0]
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    age = now - snapshot.built_at
    level = "note" if age > _STALE_AFTER else "ok"
    advice = " Run: orchestrator refresh" if level == "note" else ""
    yield Finding(level, f"Publication {snapshot.publication_id} is {_age(age)} old.{advice}")
    for source in sorted({load.source for load in rows[SourceLoad]}):
        yield _source(source, [load for load in rows[SourceLoad] if load.source == source], now)


def _source(name: str, loads: list[SourceLoad], now: dt.datetime) -> Finding:
    problems = _problems(loads)
    age = now - max(load.observed_at for load in loads)
    origins = ", ".join(sorted({load.origin for load in loads}))
    rows = sum(load.rows_loaded for load in loads)
    text = f"Source {name}: {rows:,} rows, {origins}, newest {_age(age)} old."
    if problems:
        return Finding("note", f"{text} Newer data could not be used: {problems}")
    return Finding("note" if age > _STALE_AFTER else "ok", text)


def _problems(loads: list[SourceLoad]) -> str:
    """What was wrong and with which payloads, the same cause once: most often it is everyone's, such as no network."""
    payloads: dict[str, list[str]] = {}
    for load in loads:
        if load.problem:
            # Before its cause a problem names the payload's own address, which is what differs.
            cause = _ADDRESS.sub("", " ".join(load.problem.split()), count=1)
            payloads.setdefault(textwrap.shorten(cause, _LONGEST_PROBLEM, placeholder=" …"), []).append(load.payload)
    return "; ".join(f"{cause} ({_few(names)})" for cause, names in payloads.items())


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _age(age: dt.timedelta) -> str:
    hours = age.total_seconds() / 3600
    if hours < 1:
        return f"{max(0, round(hours * 60))} min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"


def _answers(url: str) -> bool:
    try:
        # Only the fixed loopback addresses above and the user's own servers come here.
        with urllib.request.urlopen(url, timeout=_REACH_TIMEOUT_S) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False
