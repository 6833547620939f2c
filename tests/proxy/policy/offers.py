"""Offers for tests, each as plain as an offer can be, and a clock that is moved by hand."""

from __future__ import annotations

import datetime as dt
from contextlib import AbstractAsyncContextManager
from typing import Any

from proxy.clock import Limit
from warehouse.published import TABLE_OF, Offer

_PLAIN: dict[str, Any] = {
    column.name: None if column.is_nullable else () if column.sql_type == "VARCHAR[]" else False
    for column in TABLE_OF[Offer].columns
}


def offer(offer_id: str, **known: Any) -> Offer:
    """An offer `upstream:model@host`, callable, text only, of which nothing is known but what is given."""
    upstream, _, rest = offer_id.partition(":")
    upstream_model, _, host = rest.partition("@")
    return Offer(
        **{
            **_PLAIN,
            "offer_id": offer_id,
            "model_id": upstream_model.partition(":")[0],
            "upstream": upstream,
            "upstream_model": upstream_model,
            "host_tag": host or None,
            "kind": "chat",
            "is_callable": True,
            "input_modalities": ("text",),
            "source": "test",
            "record_id": offer_id,
            "observed_at": dt.datetime(2026, 8, 22),
            **known,
        }
    )


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: dt.datetime | None = None) -> None:
        self._start = now or dt.datetime(2026, 8, 22, 12)
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> dt.datetime:
        return self._start + dt.timedelta(seconds=self.seconds)

    def timeout_at(self, when: float | None) -> AbstractAsyncContextManager[Limit]:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
