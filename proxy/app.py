"""Assembles the proxy: `create_app` makes the ASGI application. What its parts do is in their own files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from proxy import settings as settings_module
from proxy.client import Transport
from proxy.clock import Clock, SystemClock
from proxy.framework import Framework
from proxy.gate import Gate
from proxy.routes.chat import ChatRoute
from proxy.runtime import Runtime
from proxy.settings import Settings
from proxy.shapes import SHAPES
from warehouse import environment as dotenv
from warehouse.locations import locations


def create_app(
    settings: Settings | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    published: Path | None = None,
    outcomes: Path | None = None,
    transport: Transport | None = None,
    clock: Clock | None = None,
) -> Gate:
    """The application. What is not given is read from the environment.

    Raises `SettingsError`, `UpstreamsError` or `LocationError` when the configuration cannot be used.
    """
    if environment is None:
        dotenv.load()
        environment = os.environ
    where = locations(dict(environment))
    settings = settings or settings_module.load(environment)
    runtime = Runtime(
        settings,
        environment,
        published or where.published,
        outcomes or where.outcomes,
        clock or SystemClock(),
        transport,
    )

    handlers = {path: ChatRoute(runtime, shape) for path, shape in SHAPES.items()}
    return Gate(Framework(runtime, settings), handlers, runtime, settings.api_key, settings.cors_origins)
