"""Reading single values out of foreign payloads: prices, counts, dates, switches. Pure; used by every parser.

Two manners. What a row stands or falls by (ids, prices, ratings) raises `BadValueError`, and the row is refused.
What only adorns it (a licence, a tokenizer's name) turns to None, so that a changed ornament costs no model.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from pipeline.sources.source import PayloadRefusedError, Refused

HIGHEST_PRICE_USD_PER_MTOK = 10_000.0
"""Dearer than this is a mistake of unit: the dearest listing so far asked 600."""

HIGHEST_CONTEXT_TOKENS = 100_000_000
"""Longer windows than this are placeholders."""


class BadValueError(ValueError):
    """A value that its row stands or falls by cannot be used. The text is the reason of the refusal."""


def document(body: bytes) -> Any:
    """JSON of a payload. Raises `PayloadRefusedError` that says what arrived instead."""
    start = body[:256].lstrip().lower()
    if not start:
        raise PayloadRefusedError("the payload is empty")
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        raise PayloadRefusedError("an HTML page arrived instead of JSON")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PayloadRefusedError(f"not valid JSON, perhaps cut off: {error}") from error


def entries(body: bytes, *names: str) -> list[Any]:
    """The list of a JSON payload: the payload itself, or what stands under the first of `names` it has.

    Raises `PayloadRefusedError` when there is no such list or it is empty.
    """
    found = document(body)
    if isinstance(found, dict):
        name = next((name for name in names if name in found), None)
        if name is None:
            raise PayloadRefusedError(f"no {' or '.join(map(repr, names))} in it; keys are {sorted(found)[:8]}")
        found = found[name]
    if not isinstance(found, list):
        raise PayloadRefusedError(f"expected a list of entries, found {type(found).__name__}")
    if not found:
        raise PayloadRefusedError("the list of entries is empty")
    return found


def table(body: bytes, columns: Collection[str]) -> list[dict[str, str | None]]:
    """Rows of a CSV payload by column; a short row lacks its last values, what is beyond the header is dropped.

    Raises `PayloadRefusedError` when it is no such table or one of `columns` is missing.
    """
    if body.lstrip()[:1] in (b"<", b""):
        raise PayloadRefusedError("an HTML page, or nothing, arrived instead of CSV")
    try:
        reader = csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline=""), restkey=_BEYOND)
        found = [{name: value for name, value in row.items() if name != _BEYOND} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise PayloadRefusedError(f"not readable CSV: {error}") from error
    missing = sorted(set(columns) - set(reader.fieldnames or ()))
    if missing:
        raise PayloadRefusedError(f"columns {missing} are missing; there are {list(reader.fieldnames or ())[:12]}")
    if not found:
        raise PayloadRefusedError("the table is empty")
    return found


_BEYOND = "\0beyond the header"


def mapping(value: object) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def required_text(value: object, what: str) -> str:
    """Text that must be there. Raises `BadValueError`."""
    if not isinstance(value, str):
        raise BadValueError(f"{what} is missing" if value is None else f"{what} is a {type(value).__name__}")
    if not value.strip():
        raise BadValueError(f"{what} is empty")
    return value.strip()


def text(value: object) -> str | None:
    """Text, None where empty or something else."""
    return (value.strip() or None) if isinstance(value, str) else None


def texts(value: object) -> list[str]:
    """The texts of a list."""
    return [item for item in value if isinstance(item, str) and item] if isinstance(value, list) else []


def truth(value: object) -> bool | None:
    """A switch, None where it is none."""
    return value if isinstance(value, bool) else None


def number(value: object) -> float | None:
    """A finite number, also from text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def positive(value: object) -> float | None:
    """A number above zero, None where the source writes 0 or −1 for unknown."""
    result = number(value)
    return result if result is not None and result > 0 else None


def count(value: object) -> int | None:
    """A whole number of at least zero, None for anything else."""
    result = number(value)
    return int(result) if result is not None and 0 <= result < 2**63 else None


def context(value: object) -> int | None:
    """A context window in tokens; None where unknown. Raises `BadValueError` for what no window can be."""
    if value is None:
        return None
    result = None if isinstance(value, (bool, str)) else number(value)
    if result is None:
        raise BadValueError(f"context length is {_shown(value)}")
    if result < 0 or result > HIGHEST_CONTEXT_TOKENS:
        raise BadValueError(f"context length of {result:.0f} tokens cannot be")
    return int(result) or None


def price(value: object, what: str, *, per_token: bool = True) -> float | None:
    """A price in USD per million tokens from USD per token (decimal text or number); None where absent.

    Raises `BadValueError` for NaN, negative and absurd prices and for what is no number.
    """
    if value is None or value == "":
        return None
    result = number(value)
    if result is None:
        raise BadValueError(f"{what} price is {_shown(value)}")
    if result < 0:
        raise BadValueError(f"{what} price is negative: {_shown(value)}")
    if per_token:
        # Decimal text times a million: rounding takes away what binary fractions add.
        result = round(result * 1e6, 9)
    if result > HIGHEST_PRICE_USD_PER_MTOK:
        raise BadValueError(f"{what} price is absurd: {_shown(value)} USD per {'token' if per_token else 'million'}")
    return result


def tiers_json(tiers: Sequence[Mapping[str, Any]]) -> str | None:
    """Prices from a prompt length on as `price_tiers_json` holds them, shortest first; None where there are none.

    A tier has `min_prompt_tokens` and any of the price columns.
    """
    ordered = sorted(tiers, key=lambda tier: tier["min_prompt_tokens"])
    return json.dumps(ordered, separators=(",", ":")) if ordered else None


def date(value: object) -> dt.date | None:
    """An ISO date, or the date of an ISO time."""
    if not isinstance(value, str):
        return None
    try:
        return dt.date.fromisoformat(value.strip()[:10])
    except ValueError:
        return None


def moment(value: object) -> dt.datetime | None:
    """UTC without zone from ISO text or seconds since 1970."""
    try:
        if isinstance(value, str):
            parsed = dt.datetime.fromisoformat(value.strip())
            return parsed.astimezone(dt.UTC).replace(tzinfo=None) if parsed.tzinfo else parsed
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return dt.datetime.fromtimestamp(value, dt.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def column_key(name: str) -> str:
    """A column's name without case, emoji, arrows, spaces and signs: '#Params (B)' and 'params_b' are the same."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def rows(
    entries: Sequence[object],
    read: Callable[[object], dict[str, Any]],
    key: Callable[[dict[str, Any]], object],
) -> tuple[list[dict[str, Any]], list[Refused]]:
    """Rows of the entries that can be read, and refusals of those that cannot or that repeat a key.

    Raises `PayloadRefusedError` when most are refused: then it is the payload that changed, not its rows.
    """
    found: dict[object, dict[str, Any]] = {}
    refused: list[Refused] = []
    for position, entry in enumerate(entries):
        names = mapping(entry)
        reference = text(names.get("id") or names.get("slug") or names.get("name")) or f"entry {position}"
        try:
            row = read(entry)
        except BadValueError as error:
            refused.append(Refused(reference, str(error), entry))
            continue
        if key(row) in found:
            refused.append(Refused(reference, "a second row under the same key", entry))
            continue
        found[key(row)] = row
    if len(refused) > len(found):
        raise PayloadRefusedError(
            f"{len(refused)} of {len(entries)} rows cannot be read; the first says: {refused[0].reason}"
        )
    return list(found.values()), refused


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "…"
