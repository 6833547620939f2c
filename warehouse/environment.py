"""Loads the project's `.env`, once, for every command. What a variable means belongs to whoever reads it."""

from __future__ import annotations

from dotenv import load_dotenv

from warehouse.connect import PROJECT_ROOT


def load() -> None:
    """Put the variables of `.env` at the project's root into the environment; what is already set wins."""
    load_dotenv(PROJECT_ROOT / ".env", override=False)
