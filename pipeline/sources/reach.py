"""Whether the sources answer: one short request to each live address, nothing kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pipeline.settings import Settings
from pipeline.sources.assets import load_sources
from pipeline.sources.fetch import Limits, open_fetcher
from pipeline.sources.source import FetchError, Payload

# Enough for a slow line, and short enough to wait for at a terminal.
_LIMITS = Limits(attempts=1, connect_s=5.0, read_s=10.0, total_s=20.0)


def reach(settings: Settings) -> list[tuple[bool, str]]:
    """For every payload with an address: whether it answers, and a line that says so."""
    payloads = [
        (source.name, payload)
        for source in load_sources()
        for payload in source.payloads(settings)
        if payload.addresses or payload.needs(settings)
    ]
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda one: _reach(one[0], one[1], settings), payloads))


def _reach(source: str, payload: Payload, settings: Settings) -> tuple[bool, str]:
    name = f"{source}/{payload.name}"
    missing = payload.needs(settings)
    if missing is not None:
        return True, f"{name}: not asked for ({missing})."
    problems = []
    with open_fetcher(limits=_LIMITS) as fetcher:
        for address in payload.addresses:
            try:
                size = len(fetcher.get(address, payload.headers(settings)).body)
            except FetchError as error:
                problems.append(str(error))
            else:
                return True, f"{name}: answers with {size / 1e6:.1f} MB."
    return False, f"{name}: {'; '.join(problems)}. Refreshes use the last good payload meanwhile."
