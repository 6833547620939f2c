"""`orchestrator backtest`: prints what `backtest.py` finds, as a table, CSV or JSON.

Arguments and printing belong here; reading the history is `history.py`'s.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.entities import pins, read, resolve
from pipeline.rankings import backtest, history, quality
from pipeline.rankings.assets import allows_data_collection, label, load_profiles
from pipeline.rankings.backtest import STRATEGIES, Choice
from pipeline.rankings.history import PastCall
from pipeline.rankings.profile import ProfileError
from pipeline.settings import SettingError
from warehouse import environment
from warehouse.connect import DatabaseError, open_reader
from warehouse.locations import locations

FORMATS = ("table", "csv", "json")

_FLOOR = 1_350.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    environment.load()
    parser = argparse.ArgumentParser(
        prog="orchestrator backtest",
        description="Replay the recorded history against a profile, using on each day only what was published by then.",
    )
    parser.add_argument("--profile", help="profile to replay (default: the default one)")
    parser.add_argument("--from", dest="since", type=dt.date.fromisoformat, metavar="DATE", help="first day")
    parser.add_argument("--to", dest="until", type=dt.date.fromisoformat, metavar="DATE", help="last day")
    parser.add_argument("--every", type=int, default=7, metavar="DAYS", help="days between two choices (default 7)")
    parser.add_argument(
        "--floor", type=float, default=_FLOOR, help=f"least quality of the cheapest strategy (default {_FLOOR:g})"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="table", help="csv and json hold every choice of every day"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write to this file instead of the terminal")
    parser.add_argument("--build", type=Path, help="build database to read (default: the last refresh's)")
    chosen = parser.parse_args(arguments)
    if chosen.every < 1:
        parser.error("--every takes a number of days from 1")
    path = chosen.build or locations().build
    try:
        profiles = load_profiles()
        profile = next((p for p in profiles if p.name == chosen.profile or (not chosen.profile and p.is_default)), None)
        if profile is None:
            names = ", ".join(p.name for p in profiles)
            return _complain(f"There is no profile {chosen.profile!r}. There are: {names}.")
        with open_reader(path) as connection:
            copy = history.with_bundled(connection)
            known, model_ids = read.records(connection), read.previous_ids(connection)
        known = known.remove(known["record_id"].str.starts_with("~"))
        past = history.read(
            copy, lambda names: resolve.resolve(names, known, model_ids, pins=pins.load()), lambda text: _tell(text)
        )
        days = _days(history.catalogue_days(past), chosen.since, chosen.until, chosen.every)
        if not days:
            return _complain(
                "No catalogue was recorded in that time. Read recordings with: orchestrator refresh --from DIR"
            )
        choices = backtest.replay(
            past,
            profile,
            quality.terms(),
            days,
            floor=chosen.floor,
            allow_data_collection=allows_data_collection(),
            progress=lambda day, done: _tell(f"{day}  {done} of {len(days)}"),
        )
        calls = [c for c in history.read_calls(copy) if days[0] <= c.at.date() <= days[-1]]
    except FileNotFoundError:
        return _complain(f"There is no build database at {path}. Run: orchestrator refresh")
    except DatabaseError as error:
        return _complain(f"{path} cannot be read: {error}\nIs a refresh running? Then wait for it to finish.")
    except (ProfileError, SettingError, ValueError) as error:
        return _complain(str(error))
    text = report(profile.name, choices, calls) if chosen.format == "table" else rows(choices, chosen.format)
    if chosen.output is None:
        print(text, end="")
    else:
        chosen.output.write_text(text, encoding="utf-8")
        _tell(f"Wrote {chosen.output}.")
    return 0


def _days(catalogues: Sequence[dt.date], since: dt.date | None, until: dt.date | None, every: int) -> list[dt.date]:
    """From the first whole catalogue in the span to its end: every so many days, and the last one."""
    last = min(until or dt.date.max, catalogues[-1]) if catalogues else None
    first = max(since, catalogues[0]) if since and catalogues else next(iter(catalogues[1:]), None)
    if first is None or last is None or first > last:
        return []
    days = [first + dt.timedelta(days=n) for n in range(0, (last - first).days + 1, every)]
    return days if days[-1] == last else [*days, last]


def report(name: str, choices: Sequence[Choice], calls: Sequence[PastCall] = ()) -> str:
    """Means of every strategy, and when the profile's choice changed."""
    summaries = backtest.summarise(choices)
    if not summaries:
        return "Nothing that was offered then could be ranked.\n"
    days = sorted({choice.day for choice in choices})
    lines = [
        f"{name}, {days[0]} to {days[-1]}, {len(days)} days; a call of medium difficulty at the prices of each day,",
        "judged by what is known at the end; regret is the score lost against hindsight",
        "",
        f"{'strategy':<22}{'choices':>8}{'quality':>9}{'time':>9}{'1,000 calls':>13}{'score':>8}{'regret':>8}"
        f"{'worst':>8}",
    ]
    lines += [
        f"{one.strategy:<22}{one.choices:>8}{one.quality:>9.0f}{one.latency_ms / 1000:>7.1f} s"
        f"{f'${one.cost_in_usd_per_call * 1000:.2f}':>13}{one.score:>8.3f}{one.regret:>8.3f}{one.worst_regret:>8.3f}"
        for one in summaries
    ]
    lines += ["", *(f"{strategy:<22}{meaning}" for strategy, meaning in STRATEGIES.items()), ""]
    lines.append(f"{'since':<12}{'the profile chose':<54}{'expected':>9}{'end':>6}{'1,000 calls':>13}{'regret':>8}")
    last = None
    for choice in choices:
        if choice.strategy != backtest.PROFILE or (choice.offer_id, choice.effort) == last:
            continue
        last = (choice.offer_id, choice.effort)
        lines.append(
            f"{choice.day!s:<12}{label(*last):<54}{_number(choice.quality):>9}{_number(choice.final_quality):>6}"
            f"{'$' + _number(choice.final_cost_in_usd_per_call, 1000, 2):>13}{_number(choice.regret, 1, 3):>8}"
        )
    if calls:
        paid = [call.cost_usd for call in calls if call.cost_usd is not None]
        mean_s = sum(call.total_ms for call in calls) / len(calls) / 1000
        cost = f", ${sum(paid) / len(paid) * 1000:.2f} a thousand" if paid else ""
        lines += ["", f"Own calls of that time: {len(calls)} answered, {mean_s:.1f} s on average{cost}."]
    return "\n".join(lines) + "\n"


def rows(choices: Sequence[Choice], output_format: str) -> str:
    """Every choice of every day, as CSV or JSON."""
    if output_format == "json":
        return json.dumps([choice._asdict() for choice in choices], default=str, indent=1) + "\n"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Choice._fields)
    writer.writerows(choices)
    return text.getvalue()


def _number(value: float | None, times: float = 1, digits: int = 0) -> str:
    return "?" if value is None else f"{value * times:.{digits}f}"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _complain(text: str) -> int:
    print(text, file=sys.stderr)
    return 2


if __name__ == "__main__":
    environment.end_with_the_reader()
    sys.exit(main())
