"""What a person at a terminal sees of a run: one line a table, every warning, and the reason of a failure.

Only turning run events into lines belongs here; what assets report is theirs.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import dagster as dg


def describe(event: Any, message: str, level: int) -> str | None:
    """The line for one event of a run, or None when a reader learns nothing from it."""
    if event is None:
        # Steps left out after a failure need no line each: the failure has one.
        return message if level >= logging.WARNING and not message.startswith("Dependencies for step") else None
    kind = event.event_type_value
    if kind == "ASSET_MATERIALIZATION":
        materialization = event.step_materialization_data.materialization
        metadata = {name: value.value for name, value in materialization.metadata.items()}
        rows = metadata.get("dagster/row_count")
        notes = [str(metadata[name]) for name in ("origin", "note") if metadata.get(name)]
        counted = f"{rows:>9,} rows" if isinstance(rows, int) else " " * 14
        return f"{materialization.asset_key.to_user_string():<38} {counted}  {', '.join(notes)}".rstrip()
    if kind == "ASSET_CHECK_EVALUATION":
        check = event.asset_check_evaluation_data
        if check.passed:
            return None
        sign = "warning" if check.severity == dg.AssetCheckSeverity.WARN else "FAILED"
        return f"{sign}: {check.asset_key.to_user_string()}: {check.description or check.check_name}"
    if kind == "STEP_UP_FOR_RETRY":
        return f"trying again: {event.step_key}"
    if kind == "STEP_FAILURE":
        failure = event.step_failure_data
        told = failure.user_failure_data.description if failure.user_failure_data else None
        if told is None and failure.error is not None:
            innermost = failure.error
            while innermost.cause is not None:
                innermost = innermost.cause
            told = innermost.message.strip()
        return f"FAILED: {event.step_key}: {told}"
    return None


class _Lines(logging.Handler):
    def __init__(self, elapsed_s: Callable[[], float]) -> None:
        super().__init__()
        self._elapsed_s = elapsed_s

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {})
        text = describe(getattr(record, "dagster_event", None), meta.get("orig_message", ""), record.levelno)
        if text:
            print(f"{self._elapsed_s():6.1f} s  {text}", file=sys.stderr, flush=True)


def _terminal(context: dg.InitLoggerContext) -> logging.Logger:
    started = time.monotonic()
    logger = logging.Logger("terminal", level=logging.DEBUG)
    logger.addHandler(_Lines(lambda: time.monotonic() - started))
    return logger


terminal_logger = dg.LoggerDefinition(_terminal, description="One line a table, every warning, and why a run failed.")
"""What a person wants to read, instead of Dagster's console logger."""
