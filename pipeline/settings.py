"""The pipeline's settings, read from the environment once. Every variable of the pipeline is named here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


class SettingError(ValueError):
    """A variable holds something that cannot be used. The text names the variable and what it takes."""


@dataclass(frozen=True)
class Settings:
    """What a deployment may change about ingestion."""

    offline_mode_enabled: bool
    """ORCHESTRATOR_OFFLINE_MODE_ENABLED: a source that is down falls back to its last good payload, else to the
    bundled snapshot. False makes a source's failure the run's failure."""
    metric_retention_days: int
    """ORCHESTRATOR_METRIC_RETENTION_DAYS: observations older than this are pruned; 0 keeps them for ever."""
    openrouter_base_url: str
    """OPENROUTER_BASE_URL."""
    openrouter_api_key: str | None
    """OPENROUTER_API_KEY: without it, endpoints' latency and throughput are not fetched."""
    hugging_face_token: str | None
    """HF_TOKEN: raises the Hub's rate limit."""
    artificial_analysis_api_key: str | None
    """ARTIFICIAL_ANALYSIS_API_KEY: without it that source uses its last good or bundled payload."""
    schedules: Mapping[str, str]
    """ORCHESTRATOR_SCHEDULES: job → when, in place of its usual rhythm. `automation.py` knows the names."""

    def __repr__(self) -> str:
        return "Settings(<keys are not shown>)"


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Raises `SettingError` for a value that cannot be used."""
    env = os.environ if environment is None else environment
    return Settings(
        offline_mode_enabled=_flag(env, "ORCHESTRATOR_OFFLINE_MODE_ENABLED", default=True),
        metric_retention_days=_days(env, "ORCHESTRATOR_METRIC_RETENTION_DAYS", default=30),
        openrouter_base_url=(env.get("OPENROUTER_BASE_URL") or "https://openrouter.ai/api/v1").rstrip("/"),
        openrouter_api_key=env.get("OPENROUTER_API_KEY", "").partition(",")[0].strip() or None,
        hugging_face_token=env.get("HF_TOKEN") or None,
        artificial_analysis_api_key=env.get("ARTIFICIAL_ANALYSIS_API_KEY") or None,
        schedules=_rhythms(env, "ORCHESTRATOR_SCHEDULES"),
    )


def is_offline(environment: Mapping[str, str] | None = None) -> bool:
    """ORCHESTRATOR_OFFLINE: runs started from the Dagster UI or by its schedules ask no source."""
    return _flag(os.environ if environment is None else environment, "ORCHESTRATOR_OFFLINE", default=False)


def _flag(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = (env.get(name) or "").strip().lower()
    if not text:
        return default
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise SettingError(f"{name} is {text!r}; it takes true or false.")


def _rhythms(env: Mapping[str, str], name: str) -> dict[str, str]:
    """`job=when; job=when`."""
    found = {}
    for part in (env.get(name) or "").split(";"):
        job, sign, when = (word.strip() for word in part.partition("="))
        if not part.strip():
            continue
        if not (job and sign and when):
            raise SettingError(f"{name} has {part.strip()!r}; it takes job=when; job=when, such as prune=0 4 * * *.")
        found[job] = when
    return found


def _days(env: Mapping[str, str], name: str, *, default: int) -> int:
    text = (env.get(name) or "").strip()
    if not text:
        return default
    if not text.isdecimal():
        raise SettingError(f"{name} is {text!r}; it takes a whole number of days, 0 for no limit.")
    return int(text)
