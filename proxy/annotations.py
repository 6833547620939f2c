"""What is added to an answer's body, because clients lose headers: who answered, through whom, at what cost. Pure.

Only what the upstream left out is added, and only the fields touched are written anew; all else stays the upstream's
own bytes. Translations to other shapes read these fields like any other.
"""

from __future__ import annotations

from typing import Any

import msgspec

from warehouse.published import Offer

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_EMPTY = (msgspec.Raw(b'""'), msgspec.Raw(b"null"))


def annotated(body: bytes, offer: Offer, cost_usd: float | None, echo: str | None = None) -> bytes:
    """A completion, or a chunk of one, with `model`, `provider` and `usage.cost` filled in where they are missing.

    `echo` is the name that was asked for, where clients are to see that instead of the model that answered.
    """
    fields: dict[str, Any] = _fields(body)
    if echo is not None:
        fields["model"] = echo
    elif fields.get("model", _EMPTY[0]) in _EMPTY:
        fields["model"] = offer.upstream_model
    if fields.get("provider", _EMPTY[0]) in _EMPTY:
        fields["provider"] = offer.host_name or offer.upstream
    usage = fields.get("usage")
    if usage is not None and usage != _EMPTY[1] and cost_usd is not None:
        counted = _fields(usage)
        if "cost" not in counted:
            fields["usage"] = {**counted, "cost": cost_usd}
    return _encode(fields)
