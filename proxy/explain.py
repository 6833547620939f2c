"""`python -m proxy.explain "a prompt"`: print where a prompt would go and why; call nothing.

Reads the same publication, upstreams and settings as the running proxy, but not its breakers: those are its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from proxy import settings
from proxy.asked_names import AskedNamesError
from proxy.clock import SystemClock
from proxy.errors import ProxyError
from proxy.keys import KeysError
from proxy.routes.decisions import explanation
from proxy.runtime import Runtime
from proxy.settings import SettingsError
from warehouse import environment
from warehouse.locations import LocationError, locations
from warehouse.upstreams import UpstreamsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Explain; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="orchestrator route", description="Explain where a prompt would go; call nothing."
    )
    parser.add_argument("prompt")
    parser.add_argument("--profile", help="default: the default profile")
    parser.add_argument("--model", default="auto", help="a model's name, or auto (default)")
    parser.add_argument("--limit", type=int, default=10, help="candidates to show (default 10)")
    parser.add_argument("--json", action="store_true", help="print the whole explanation as JSON")
    chosen = parser.parse_args(arguments)
    environment.load()
    body: dict[str, Any] = {"model": chosen.model, "messages": [{"role": "user", "content": chosen.prompt}]}
    if chosen.profile:
        body["routing_profile"] = chosen.profile
    try:
        where = locations()
        runtime = Runtime(settings.load(), os.environ, where.published, where.outcomes, SystemClock())
        asyncio.run(runtime.live.refresh())
        found = explanation(runtime, msgspec.json.encode(body), max(1, chosen.limit))
    except (ProxyError, SettingsError, UpstreamsError, LocationError, KeysError, AskedNamesError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found, indent=2, default=str) if chosen.json else as_text(found))
    return 0


def as_text(found: Mapping[str, Any]) -> str:
    """The explanation for people."""
    difficulty, needs = found["difficulty"], found["needs"]
    asks = ", ".join((*needs["features"], f"about {needs['tokens']:,} tokens"))
    lines = [
        f"Profile {found['profile']}, difficulty {difficulty['score']:.2f} ({difficulty['band']}, "
        f"{difficulty['category']}){_order(found)}; needs {asks}.",
        f"Publication {found['publication']}: {found['considered']} candidates considered, "
        f"{sum(found['removed'].values())} removed.",
        "",
    ]
    if found["candidates"]:
        lines.append(f"{'':>3} {'candidate':<56} {'score':>6} {'quality':>8} {'latency':>8} {'cost':>6}  $/call")
    for i, one in enumerate(found["candidates"], 1):
        name = one["offer"] + (f" at {one['effort']}" if one["effort"] else "")
        parts = [one["score"], one["quality_score"], one["latency_score"], one["cost_score"]]
        shown = [f"{part:.3f}" if part is not None else "-" for part in parts]
        cost = one["expected_cost_usd"]
        price = f"{cost:.6f}" if cost is not None else "-"
        lines.append(f"{i:>3} {name:<56} {shown[0]:>6} {shown[1]:>8} {shown[2]:>8} {shown[3]:>6}  {price}")
    if found["problem"]:
        lines += ["", f"None of them can be called yet. {found['problem']}"]
    if not found["candidates"]:
        lines.append("No candidate is left.")
    reasons: dict[str, int] = {}
    for one in found["rejected"]:
        reasons[one["reason"]] = reasons.get(one["reason"], 0) + 1
    for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
        lines.append(f"  not taken, {count} of those shown first: {reason}")
    return "\n".join(lines)


def _order(found: Mapping[str, Any]) -> str:
    """What is said of the order where it is that of a kind of task."""
    return f", ranked by who is good at {found['ranked_for']}" if "ranked_for" in found else ""


if __name__ == "__main__":
    environment.end_with_the_reader()
    sys.exit(main())
