"""Assembles what Dagster loads: assets, checks, jobs, schedules, the sensor and their resources.

Takes overrides, so that a test builds the real thing with other resources. What the parts do is theirs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import dagster as dg

from pipeline import automation, publish, settings
from pipeline.checks import CHECKS
from pipeline.entities.assets import ASSETS as ENTITY_ASSETS
from pipeline.progress import terminal_logger
from pipeline.rankings.assets import ASSETS as RANKING_ASSETS
from pipeline.resources import BuildDatabase, Clock
from pipeline.sources import backfill
from pipeline.sources.assets import load_assets
from pipeline.sources.payloads import PayloadStore


def build_definitions(
    *, is_offline: bool = False, directory: str = "", resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Everything, with the payload origins that were asked for; `resources` replaces resources by name."""
    configured = settings.load()
    history = backfill.assets(backfill.directory(), configured)
    assets = [*load_assets(history), *history, *ENTITY_ASSETS, *RANKING_ASSETS, *publish.ASSETS]
    keys = [key for asset in assets for key in asset.keys]
    return dg.Definitions(
        assets=assets,
        asset_checks=CHECKS,
        jobs=[*automation.jobs(keys), automation.prune],
        schedules=automation.schedules(configured.openrouter_api_key is not None, configured.schedules),
        sensors=automation.sensors(configured.schedules),
        # One process a run: two steps that write one DuckDB file would collide.
        executor=dg.in_process_executor,
        loggers={"terminal": terminal_logger},
        resources={
            "build": BuildDatabase(),
            "clock": Clock(),
            "payloads": PayloadStore(offline=is_offline, directory=directory),
            **(resources or {}),
        },
    )


@dg.definitions
def deployed() -> dg.Definitions:
    """What this deployment's settings ask for. Made when Dagster asks, so that a wrong setting is told in one line."""
    return build_definitions(is_offline=settings.is_offline(os.environ))
