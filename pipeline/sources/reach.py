"""Whether the sources answer: one request to each live address, nothing kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pipeline.settings import Settings
from pipeline.sources.assets import load_sources
from pipeline.sources.fetch import Fetcher, Limits, open_fetcher
from pipeline.sources.source import FetchError, Payload, Source

# Enough for a slow line, and short enough to wait for at a terminal.
_LIMITS = Limits(attempts=1, connect_s=5.0, read_s=10.0, total_s=20.0)


def reach(settings: Settings) -> list[tuple[bool, str]]:
    """For every source with live addresses: whether they answer, and a line that says so."""
    public = [s for s in load_sources() if any(p.addresses or p.needs(settings) for p in s.payloads(settings))]
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda source: _reach(source, settings), public))


def _reach(source: Source, settings: Settings) -> tuple[bool, str]:
    answering, silent, left_out = [], {}, []
    with open_fetcher(limits=_LIMITS) as fetcher:
        for payload in source.payloads(settings):
            missing = payload.needs(settings)
            if missing is not None:
                left_out.append(f"{payload.name} is not asked for ({missing})")
            elif payload.addresses:
                problem = _problem(fetcher, payload, settings)
                if problem is None:
                    answering.append(payload.name)
                else:
                    silent[payload.name] = problem
    told = [f"{', '.join(answering)} answer"] if answering else []
    if silent:
        # The first cause is most often everyone's: no network, or a host that is down.
        told.append(
            f"{', '.join(silent)} do not answer, {next(iter(silent.values()))}; the last good payloads are used"
        )
    return not silent, f"{source.step}: {'; '.join([*told, *left_out])}."


def _problem(fetcher: Fetcher, payload: Payload, settings: Settings) -> str | None:
    problem = None
    for address in payload.addresses:
        try:
            fetcher.get(address, payload.headers(settings))
        except FetchError as error:
            problem = problem or str(error)
        else:
            return None
    return problem
