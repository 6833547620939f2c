"""What a person looks at after a refresh: the distribution of match weights, what is new, what is alone, and the
links nearest to the threshold, as Markdown for the asset's page and as an HTML page that needs no network.

Describes a linkage; decides nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from pipeline.entities import clustering, linkage

SHOWN = 20

_HOW_RARE = "mw_tf_adj_name"
"""What the linkage adds to a name's weight for how few records have it; to people it is the name's."""


def nearest(linked: linkage.Linkage, threshold: float, count: int = SHOWN) -> pl.DataFrame:
    """Links just above the threshold and pairs just below it, nearest first, with what speaks for and against.

    Of one model at most two come first: a family whose names are all alike would fill the list.
    """
    if linked.pairs.is_empty():
        return linked.pairs
    refused = {(link.left, link.right) for link, _ in linked.clusters.refused}
    cluster = linked.clusters.cluster_of
    weights = [name for name in linked.pairs.columns if name.startswith("mw_") and name != _HOW_RARE]
    units = {row["unique_id"]: linkage.unit_of_row(row) for row in linked.units.to_dicts()}
    rows = []
    for row in linked.pairs.to_dicts():
        left, right = sorted((row["unique_id_l"], row["unique_id_r"]))
        if (left, right) in refused:
            continue
        bits = {name[3:]: row[name] or 0.0 for name in weights}
        bits["name"] = bits.get("name", 0.0) + (row.get(_HOW_RARE) or 0.0)
        strong = sorted(((weight, name) for name, weight in bits.items()), key=lambda part: -abs(part[0]))[:4]
        is_linked = left in cluster and cluster.get(left) == cluster.get(right)
        against = clustering.contradiction(units[left], units[right])
        rows.append(
            {
                "left": left,
                "right": right,
                "match_probability": row["match_probability"],
                "distance": abs(row["match_probability"] - threshold),
                "is_linked": is_linked,
                "because": "" if is_linked else f"differ in {against}" if against else "too little speaks for it",
                "model": cluster.get(left, left),
                "strongest": ", ".join(f"{name} {weight:+.1f}" for weight, name in strong),
            }
        )
    if not rows:
        return pl.DataFrame()
    found = pl.DataFrame(rows).sort("distance", "left", "right")
    is_one_more = pl.int_range(pl.len()).over("model") >= 2
    return found.sort(is_one_more, "distance", "left", "right").head(count)


PAGES = {
    "openrouter": "https://openrouter.ai/{}",
    "huggingface": "https://huggingface.co/{}",
}
"""Where a source shows a record to people, by its id."""


def links_to_review(linked: linkage.Linkage, threshold: float, count: int = SHOWN) -> str:
    """What `nearest` says as Markdown, each record with its page at the source, and what to do about a wrong one."""
    rows = nearest(linked, threshold, count)
    if rows.is_empty():
        return "No pair was compared."
    lines = ["| | record | record | probability | speaks for and against (bits) |", "|---|---|---|---:|---|"]
    for row in rows.to_dicts():
        verdict = "linked" if row["is_linked"] else f"apart: {row['because']}"
        lines.append(
            f"| {verdict} | {_page(row['left'])} | {_page(row['right'])} | {row['match_probability']:.3f} "
            f"| {row['strongest']} |"
        )
    return "\n".join(
        [*lines, "", "Wrong? Put a pin into `pipeline/entities/pins.toml`. More: `orchestrator why RECORD RECORD`."]
    )


def _page(record: str) -> str:
    source, _, record_id = record.partition(":")
    text = record.replace("|", "\\|")
    return f"[{text}]({PAGES[source].format(quote(record_id))})" if source in PAGES else text


def alone_by_source(model_records: pl.DataFrame) -> str:
    """How many records of each source found no other, as Markdown."""
    counted = (
        model_records.group_by("source")
        .agg(records=pl.len(), alone=(pl.col("match_reason") == "alone").sum())
        .sort("source")
    )
    lines = ["| source | records | alone |", "|---|---:|---:|"]
    lines += [f"| {source} | {records} | {alone} |" for source, records, alone in counted.iter_rows()]
    return "\n".join(lines)


def newly_linked(model_records: pl.DataFrame, before: dict[tuple[str, str], str]) -> list[str]:
    """Records that were not there, or alone, before and now share a model with another one."""
    members: dict[str, set[tuple[str, str]]] = {}
    for source, record_id, model_id in model_records.select("source", "record_id", "model_id").iter_rows():
        members.setdefault(model_id, set()).add((source, record_id))
    together: dict[str, set[tuple[str, str]]] = {}
    for record, model_id in before.items():
        together.setdefault(model_id, set()).add(record)
    found = []
    for model_id, records in members.items():
        for record in records:
            old = together.get(before.get(record, ""), set())
            if len(records) > 1 and not (old & records - {record}):
                found.append(f"{record[0]}:{record[1]} → {model_id}")
    return sorted(found)


def page(linked: linkage.Linkage, threshold: float, made_at: str) -> str:
    """The review page: tables only, self-contained."""
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{html.escape(str(cell))}</td>"
            for cell in (
                f"{row['match_probability']:.4f}",
                "linked" if row["is_linked"] else f"apart: {row['because']}",
                row["left"],
                row["right"],
                row["strongest"],
            )
        )
        + "</tr>"
        for row in nearest(linked, threshold, 100).to_dicts()
    )
    refused = "".join(
        f"<tr><td>{html.escape(reason)}</td><td>{link.match_weight:.1f}</td>"
        f"<td>{html.escape(link.left)}</td><td>{html.escape(link.right)}</td></tr>"
        for link, reason in linked.clusters.refused
    )
    return (
        "<!doctype html><meta charset=utf-8><title>Linkage review</title>"
        "<style>body{font:14px system-ui;margin:2rem;max-width:100rem}td,th{padding:.2rem .7rem;text-align:left;"
        "border-bottom:1px solid #ddd;vertical-align:top}</style>"
        f"<h1>Linkage review</h1><p>{html.escape(made_at)} · threshold {threshold}</p>"
        "<h2>Nearest to the threshold</h2><p>If one of these is wrong, write a pin in pipeline/entities/pins.toml.</p>"
        "<table><tr><th>probability<th>verdict<th>left<th>right<th>strongest comparisons (bits)</tr>"
        f"{rows}</table><h2>Kept apart by a constraint</h2>"
        f"<table><tr><th>reason<th>weight<th>left<th>right</tr>{refused}</table>"
    )


def write_pages(linked: linkage.Linkage, model: linkage.TrainedModel, directory: Path, made_at: str) -> dict[str, Path]:
    """Write the review page, and Splink's chart of the model's match weights unless this model's is there already."""
    directory.mkdir(parents=True, exist_ok=True)
    review = directory / "linkage-review.html"
    review.write_text(page(linked, model.threshold_match_probability, made_at), encoding="utf-8")
    mark = hashlib.sha256(json.dumps(model.settings, sort_keys=True).encode()).hexdigest()[:10]
    chart = directory / f"linkage-match-weights-{mark}.html"
    if not chart.exists():
        _write_match_weights(model.settings, chart)
    return {"review": review, "match_weights": chart}


def _write_match_weights(settings: dict[str, Any], path: Path) -> None:
    from pipeline.entities import records

    one = records.frame([{"source": "upstream", "record_id": "any:phi-4", "name": "phi-4"}])
    bench = linkage.Workbench(one)
    try:
        chart = bench.linker(settings).visualisations.match_weights_chart()
        with contextlib.redirect_stdout(io.StringIO()):  # it prints advice for notebooks
            chart.save_offline_chart(str(path))
    finally:
        bench.close()
