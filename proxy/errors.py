"""Every error the proxy raises, and the shape in which a client sees it.

    ProxyError
    ├── CallerError                     the request is at fault; nothing was called
    │   ├── InvalidRequestError         400
    │   ├── UnauthorizedError           401
    │   ├── BudgetSpentError            402, the key's money is gone until a day or month ends
    │   ├── NotAllowedError             403, the key does not allow it
    │   ├── UnknownRouteError           404
    │   ├── UnknownModelError           404, with the nearest names
    │   ├── MethodNotAllowedError       405
    │   ├── BodyTooLargeError           413
    │   ├── UnsupportedBodyError        415
    │   └── KeyLimitError               429, the key's own limit of calls, tokens or money in use
    ├── NoCandidateError                nothing that could be called would do
    │   ├── NothingPublishedError       503, no rankings in memory
    │   ├── NoUpstreamError             503, names the variable to set
    │   └── RequirementsError           400, names what the request asks for and how many candidates each filter removed
    ├── OverloadedError                 429, what could answer is at its limit of calls
    ├── LedgerUnavailableError          503, a key's limits cannot be checked
    ├── AttemptError                    one attempt failed; the failover loop decides what follows
    │   ├── UnreachableError            no connection, or none in time
    │   ├── StalledError                connected, then silent for too long
    │   ├── MalformedAnswerError        an answer that is none
    │   └── BrokenAnswerError           broke off
    └── AttemptsFailedError             every candidate that was tried failed: 429, 502, 503 or 504

Codes and texts belong here; which error an upstream's answer means does not (`causes.py`). This module waits for
nothing and imports nothing of the proxy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec


class ProxyError(Exception):
    """Base of all. `status`, `type`, `code` and `param` are what OpenAI's clients read."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None

    def __init__(self, message: str, *, param: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers: Mapping[str, str] = headers or {}

    def details(self) -> dict[str, Any]:
        """What this error adds to the envelope beyond OpenAI's four fields."""
        return {}


class CallerError(ProxyError):
    """The request is at fault."""

    status = 400
    type = "invalid_request_error"


class InvalidRequestError(CallerError):
    """The body is not JSON, or a field the proxy reads has the wrong type or value."""

    code = "invalid_request"


class UnauthorizedError(CallerError):
    """The key is missing or wrong."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class BudgetSpentError(CallerError):
    """The key's budget is spent until its day or month ends. Not 429: clients try those again at once."""

    status = 402
    type = "insufficient_quota"
    code = "budget_spent"


class NotAllowedError(CallerError):
    """The key is good, but not for this."""

    status = 403
    type = "permission_error"
    code = "not_allowed"


class KeyLimitError(CallerError):
    """The key is at one of its own limits; it passes by itself."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class UnknownRouteError(CallerError):
    """No such path."""

    status = 404
    code = "unknown_url"


class UnknownModelError(CallerError):
    """No model of that name is published; the message names the nearest."""

    status = 404
    code = "model_not_found"

    def __init__(self, message: str, nearest: Sequence[str] = ()) -> None:
        super().__init__(message, param="model")
        self.nearest = tuple(nearest)

    def details(self) -> dict[str, Any]:
        return {"nearest": list(self.nearest)}


class MethodNotAllowedError(CallerError):
    """The path exists, the method does not."""

    status = 405
    code = "method_not_allowed"


class BodyTooLargeError(CallerError):
    """The body is longer than ORCHESTRATOR_MAX_BODY_BYTES."""

    status = 413
    code = "request_too_large"


class UnsupportedBodyError(CallerError):
    """The body is declared to be something other than JSON."""

    status = 415
    code = "unsupported_media_type"


class NoCandidateError(ProxyError):
    """Nothing that could be called would do."""

    status = 503
    code = "no_candidate"


class NothingPublishedError(NoCandidateError):
    """There are no rankings to follow."""

    code = "nothing_published"


class NoUpstreamError(NoCandidateError):
    """No upstream can be called; the message says which variable to set."""

    code = "no_upstream"


class RequirementsError(NoCandidateError):
    """Candidates exist, but none fits the request."""

    status = 400
    type = "invalid_request_error"

    def __init__(self, message: str, removed: Mapping[str, int]) -> None:
        super().__init__(message)
        self.removed = dict(removed)

    def details(self) -> dict[str, Any]:
        return {"removed": self.removed}


class OverloadedError(ProxyError):
    """The proxy sheds this call rather than queue it for longer."""

    status = 429
    type = "rate_limit_error"
    code = "overloaded"


class LedgerUnavailableError(ProxyError):
    """The limits of a key cannot be checked, and without that it is not served."""

    status = 503
    code = "ledger_unavailable"


class AttemptError(ProxyError):
    """One attempt failed. `cause` is a short word for metrics and records, free of any prompt's text."""

    status = 502
    outcome: ClassVar[str] = "unreachable"

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


class UnreachableError(AttemptError):
    """No connection, or none in time."""

    outcome = "unreachable"


class StalledError(AttemptError):
    """Connected, then silent for too long."""

    outcome = "stalled"


class MalformedAnswerError(AttemptError):
    """An answer that is none: empty, truncated, not JSON."""

    outcome = "malformed"


class BrokenAnswerError(AttemptError):
    """The connection broke off amid the answer."""

    outcome = "broken"


class AttemptsFailedError(ProxyError):
    """Every candidate that was tried failed."""

    type = "upstream_error"
    code = "all_candidates_failed"

    def __init__(self, message: str, status: int, attempts: Sequence[Mapping[str, Any]], retry_after_s: float | None):
        headers = {} if retry_after_s is None else {"retry-after": str(max(1, round(retry_after_s)))}
        super().__init__(message, headers=headers)
        self.status = status  # type: ignore[misc]
        self.attempts = list(attempts)

    def details(self) -> dict[str, Any]:
        return {"attempts": self.attempts}


def envelope(error: ProxyError, request_id: str | None = None) -> bytes:
    """The error as OpenAI's clients expect it: `{"error": {"message", "type", "param", "code", ...}}`."""
    body: dict[str, Any] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
        **error.details(),
    }
    if request_id:
        body["request_id"] = request_id
    return msgspec.json.encode({"error": body})
