"""Which models a newly found server's names stand for, without waiting for a refresh.

Links the names beside all known records and reads off the ids of the last refresh; stores nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

from pipeline.entities import linkage, records
from pipeline.entities.identity import RecordRef
from pipeline.entities.pins import Pins

NEW = "newly-found"


def resolve(
    names: Sequence[str],
    known: pl.DataFrame,
    model_ids: Mapping[RecordRef, str],
    model: linkage.TrainedModel | None = None,
    pins: Pins | None = None,
) -> dict[str, str | None]:
    """Model id of each of `names` as a local server spells them; None where no known model fits."""
    found = records.frame(
        [{"source": "upstream", "record_id": f"{NEW}:{name}", "name": name} for name in dict.fromkeys(names)]
    )
    rows = linkage.link(pl.concat([known, found]), model, pins).records
    votes: dict[str, Counter[str]] = {}
    cluster_of: dict[str, str] = {}
    for source, record_id, cluster in rows.select("source", "record_id", "cluster_id").iter_rows():
        if source == "upstream" and record_id.startswith(f"{NEW}:"):
            cluster_of[record_id.removeprefix(f"{NEW}:")] = cluster
        elif (source, record_id) in model_ids:
            votes.setdefault(cluster, Counter())[model_ids[source, record_id]] += 1
    best = {cluster: min((-count, model_id) for model_id, count in held.items())[1] for cluster, held in votes.items()}
    return {name: best.get(cluster_of[name]) for name in names}
