"""Whose fault it was: an upstream's refusal in, its cause out, and with the cause what to do next.

Two tables: `RULES` recognises a cause by status, the vendors' own words and message patterns, first match wins;
`FATES` says what follows from it. A new wire shape is a new row. Doing what follows does not belong here, nor do
failures without an answer (`client.py`). Pure. A cause carries no text of the upstream: messages can quote prompts.

What nothing recognises is judged by its status alone: 400, 413 and 422 are the caller's, everything else is not.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

Action = Literal["next", "repair", "larger_context", "return"]
Opens = Literal["nothing", "model", "key"]

LONGEST_WAIT_S = 24 * 3600.0
"""No upstream is believed when it asks for a longer rest."""

LEAST_REPAIRED_MAX_TOKENS = 256
"""A request is not repaired to fewer completion tokens than this: the answer would be cut off."""

_LONGEST_MESSAGE = 4_000
_LONGEST_BODY = 256 * 1024


class Repair(NamedTuple):
    """The change to a request that would let the same candidate take it. `dialects.adapt` applies it."""

    kind: Literal["limit_max_tokens", "drop", "rename"]
    field: str
    value: int | str | None = None
    """The limit, or the new name."""


class Fate(NamedTuple):
    """What follows from a cause."""

    outcome: str
    """One of `warehouse.outcomes.OUTCOMES`."""
    action: Action
    opens: Opens
    """Whose breaker counts it: nobody's, the model's at this upstream, or the key's with all of its models."""
    is_lasting: bool = False
    """Waiting does not mend it: the breaker opens at once."""
    meaning: str = ""


class Cause(NamedTuple):
    """Why an attempt was refused, and what follows."""

    name: str
    """A key of `FATES`, or `status_NNN`."""
    outcome: str
    action: Action
    opens: Opens
    retry_after_s: float | None = None
    """Rest the upstream asked for, in seconds."""
    is_lasting: bool = False
    repair: Repair | None = None
    """With action `repair`: what to change. When that is impossible, go on to the next candidate."""
    is_explained: bool = True
    """A rule recognised it. If not, only the status spoke."""


FATES: dict[str, Fate] = {
    "context_exceeded": Fate("refused", "larger_context", "nothing", meaning="the prompt is longer than the window"),
    "max_tokens_too_large": Fate("refused", "repair", "nothing", meaning="asks for more tokens than this host allows"),
    "unaffordable": Fate("refused", "repair", "nothing", meaning="the balance does not cover this `max_tokens`"),
    "parameter_unsupported": Fate("refused", "repair", "nothing", meaning="this host does not know a field or value"),
    "feature_unsupported": Fate("refused", "next", "nothing", meaning="no tools, images, schemas, prefill here"),
    "foreign_reasoning": Fate("refused", "next", "nothing", meaning="thinking signed or encrypted by another host"),
    "moderated": Fate("refused", "next", "nothing", meaning="a content filter refused this prompt"),
    "data_policy": Fate("refused", "next", "nothing", meaning="no host fits the caller's or account's data policy"),
    "generation_failed": Fate("malformed", "next", "nothing", meaning="the model's own output broke its schema"),
    "request_exceeds_rate": Fate("overloaded", "next", "nothing", meaning="this one request is over the rate limit"),
    "model_removed": Fate("refused", "next", "model", True, "the name is unknown here, or no longer served"),
    "model_unavailable": Fate("overloaded", "next", "model", meaning="known, but not served at the moment"),
    "endpoint_missing": Fate("refused", "next", "model", True, "this upstream has no such route"),
    "key_invalid": Fate("refused", "next", "key", True, "the key is wrong, revoked or missing"),
    "key_forbidden": Fate("refused", "next", "key", True, "the key, account or region may not use this upstream"),
    "balance_empty": Fate("refused", "next", "key", True, "no credit, or a spending limit reached"),
    "rate_limited": Fate("overloaded", "next", "model", meaning="too many requests or tokens"),
    "overloaded": Fate("overloaded", "next", "model", meaning="no capacity"),
    "server_error": Fate("malformed", "next", "model", meaning="the upstream failed"),
    "timed_out": Fate("stalled", "next", "model", meaning="the upstream's own time ran out"),
    "conflict": Fate("refused", "next", "nothing", meaning="409 or 425: not now"),
    "redirected": Fate("refused", "next", "model", True, "it points elsewhere; redirects are not followed"),
    "blocked": Fate("refused", "next", "model", meaning="403 without a known reason: a firewall, or a permission"),
    "bad_request": Fate("caller_error", "return", "nothing", meaning="400 or 422 without a known reason"),
    "too_large": Fate("caller_error", "return", "nothing", meaning="413 without a known reason"),
    "unexpected": Fate("refused", "next", "model", meaning="a status that means nothing to us"),
}
"""Every cause by name."""

_BY_STATUS: dict[int, str] = {
    400: "bad_request",
    401: "key_invalid",
    402: "balance_empty",
    403: "blocked",
    404: "model_removed",
    405: "endpoint_missing",
    408: "timed_out",
    409: "conflict",
    410: "model_removed",
    413: "too_large",
    415: "endpoint_missing",
    422: "bad_request",
    425: "conflict",
    429: "rate_limited",
    451: "moderated",
    498: "overloaded",
    499: "conflict",
    501: "endpoint_missing",
    503: "overloaded",
    504: "timed_out",
    522: "timed_out",
    524: "timed_out",
    529: "overloaded",
}


class Said(NamedTuple):
    """An error body, whatever its shape: the words that vendors use as codes, and the message."""

    words: frozenset[str]
    """Codes, types, statuses and reasons, lower case."""
    message: str
    param: str | None
    fields: tuple[str, ...]
    """Names of fields that a list of validation errors calls superfluous."""
    wait_s: float | None
    """Wait that the body itself asks for (Google's RetryInfo)."""
    status: int | None
    """HTTP status that the body itself names."""
    headers: Mapping[str, str]
    """Headers of the host behind the upstream, where the body quotes them (OpenRouter)."""


class Rule(NamedTuple):
    """Recognises a cause. `words` or `pattern` has to match; status and kind too, where some are given."""

    cause: str
    statuses: frozenset[int]
    words: frozenset[str]
    pattern: re.Pattern[str] | None
    kinds: frozenset[str]


def _rule(cause: str, statuses: str, words: str = "", *patterns: str, kinds: str = "") -> Rule:
    numbers = frozenset(int(status) for status in statuses.split())
    pattern = re.compile("|".join(patterns), re.IGNORECASE) if patterns else None
    return Rule(cause, numbers, frozenset(words.split()), pattern, frozenset(kinds.split()))


_CLIENT = "400 404 413 422 500"
"""Statuses under which hosts report what is wrong with a request."""

RULES: tuple[Rule, ...] = (
    # --- money and keys, which several vendors report as 400, 403, 412 or 429 ---------------------------------------
    _rule("unaffordable", "402", "", r"can only afford \d+|requires more credits, or fewer max_tokens"),
    _rule(
        "balance_empty",
        "",
        "insufficient_quota insufficient_credits insufficient_balance billing_hard_limit_reached billing_not_active "
        "exceeded_current_quota_error credit_limit arrearage payment_required billing_error 1113",
    ),
    _rule(
        "balance_empty",
        "400 402 403 412 429",
        "",
        r"credit balance is too low|insufficient (balance|credits|funds|quota)|used all available credits",
        r"(monthly |total )?spend(ing)? limit|exceeded your current quota, please check your plan",
        r"key limit exceeded|account \S+ is suspended|余额不足|out of credits|never purchased credits",
    ),
    _rule("key_invalid", "", "invalid_api_key api_key_invalid invalid_authentication_error account_deactivated"),
    _rule(
        "key_invalid",
        "400 401 403",
        "authentication_error",
        r"(incorrect|invalid|not valid|expired|missing|no)\b.{0,20}\b(api[ _-]?key|api token|auth credentials)",
        r"api[ _-]?key.{0,20}(invalid|not valid|incorrect|expired|required)|user not found",
        r"access denied due to invalid",
    ),
    _rule(
        "key_forbidden",
        "",
        "unsupported_country_region_territory request_forbidden organization_restricted",
    ),
    _rule(
        "key_forbidden",
        "400 401 403",
        "",
        r"location is not supported|country, region, or territory not supported",
        r"organization has been (disabled|restricted)|api has not been used in project",
        r"ip address .{0,40}not (allowed|authorized)|does not have permission to use the",
    ),
    # --- what was wrong with this one prompt -----------------------------------------------------------------------
    _rule(
        "moderated",
        "400 403 422 451 498 500",
        "content_filter content_policy_violation responsibleaipolicyviolation data_inspection_failed "
        "invalid_prompt moderation_blocked sensitive_words_detected 1301 content_filter_error prohibited_content",
        r"moderation|flagged (as|by|for)|input was flagged|content management policy|content exists risk",
        r"violates? (our |the )?(usage|content|safety)|usage guidelines|content filtering policy",
        r"inappropriate content|considered high risk|safety_check|blocked (input|output)",
        r"prohibited content|content policy",
    ),
    _rule(
        "foreign_reasoning",
        _CLIENT,
        "invalid_encrypted_content thinking_signature_invalid",
        r"invalid `?signature`? in `?thinking|thought[_ ]signature",
        r"encrypted[_ ]content.{0,60}(could not|cannot|invalid)",
        r"`?(redacted_)?thinking`? (blocks?|content).{0,80}(cannot be modified|must|expected)",
        r"expected `?thinking`? or `?redacted_thinking`?",
        r"reasoning_content.{0,60}(must be passed|is not allowed|missing)",
    ),
    _rule(
        "generation_failed",
        "400 422 500",
        "tool_use_failed json_validate_failed output_parse_failed",
        r"failed to (call a function|generate json|parse tool call)|failed_generation",
    ),
    _rule(
        "request_exceeds_rate",
        "413 429",
        "",
        r"request too large for (model|gpt|o\d)|too large.{0,80}\b(tpm|tokens per min)",
    ),
    # --- lengths ---------------------------------------------------------------------------------------------------
    _rule(
        "max_tokens_too_large",
        "400 413 422",
        "",
        r"max_(completion_|output_|new_)?tokens.{0,3} (is )?too large",
        r"supports at most \d+ completion tokens|max_tokens: \d+ > \d+|valid range of max_tokens",
        r"range of max_(completion_)?tokens should be",
        r"`?max_(completion_)?tokens`? must be (less|smaller|at most|<=|between)",
        r"maxoutputtokens.{0,60}supported range|max_tokens.{0,40}exceeds? (the )?(maximum|model|limit)",
        r"max_tokens.{0,3} exceed context limit|requests with max_tokens > \d+",
        r"too many (output|completion) tokens requested",
    ),
    _rule(
        "context_exceeded",
        _CLIENT,
        "context_length_exceeded exceed_context_size_error context_window_exceeded string_above_max_length "
        "request_too_long model_context_window_exceeded 3051",
        r"maximum (context|prompt) (length|size)|context[ _](length|window|size|limit)|prompt is too long",
        r"(too many|number of|input) tokens?\b.{0,80}(exceed|cannot|limit|larger|greater|too)",
        r"input is too long|input token count.{0,40}exceeds|exceeds? the (available|maximum) context",
        r"exceeded model token limit|max_new_tokens`? must be <=|range of input length",
        r"longer than the maximum model length|too large for model with \d+ maximum",
        r"tokens to keep from the initial prompt|reduce the length of the|prompt contains \d+ tokens",
        r"exceeds the model's (maximum|context)",
    ),
    # --- the model -------------------------------------------------------------------------------------------------
    _rule(
        "data_policy",
        "400 403 404",
        "",
        r"match(ing)? your data policy|data policy|guardrail restrictions|no allowed providers",
        kinds="openrouter",
    ),
    _rule("feature_unsupported", "400 404", "", r"no endpoints found that (support|can handle)", kinds="openrouter"),
    _rule("model_removed", "400 404", "", r"no endpoints found|not a valid model id", kinds="openrouter"),
    _rule(
        "feature_unsupported",
        "400 404 422 500 501",
        "",
        r"does not support (tools?\b|tool use|function|image|vision|audio|assistant (message )?prefill|prefill|json)",
        r"does not support (structured|system|chat|response_format|streaming|thinking|reasoning|embedding)",
        r"tool choice requires|not a chat model|not support(ed)? (in|with|for) the v1/chat/completions",
        r"conversation must end with a user message|prefill(ing)? .{0,40}not supported",
        r"is not a multimodal model|image (input|content)s? (is|are) not (supported|enabled)",
        r"last message must (be|have role).{0,20}user|expected last role user",
        r"(does not|doesn.t) support (image|audio|video) (input|content)|image_url is only supported",
        r"no generation chunks|at most 0 image",
    ),
    _rule(
        "model_removed",
        "",
        "model_not_found model_decommissioned deploymentnotfound invalid_model model_not_available model_deprecated "
        "model_not_supported model_not_exist",
    ),
    _rule(
        "model_removed",
        "400 403 404 410 422 500",
        "",
        r"(model|deployment)\b.{0,120}(does not exist|not found|not exist|no longer|decommissioned|deprecated and)",
        r"(model|deployment)\b.{0,120}(has been (removed|retired|shut)|is (not available|retired)|not deployed)",
        r"model\b.{0,120}is not supported by any",
        r"^models?: \S+$|invalid model\b|unknown model|no such model|unable to access model",
        r"try pulling it first|unsupported model|model not exist",
    ),
    _rule(
        "endpoint_missing",
        "404 405",
        "unknown_url",
        r"^(not found|404 page not found|method not allowed|no route .*)$|invalid url|unknown request url",
    ),
    _rule(
        "model_unavailable",
        "400 404 500 503",
        "model_loading",
        r"loading model|model is (currently )?loading",
        kinds="llamacpp ollama lmstudio vllm",
    ),
    # --- fields ----------------------------------------------------------------------------------------------------
    _rule(
        "parameter_unsupported",
        "400 422",
        "unsupported_parameter unsupported_value unknown_parameter extra_forbidden unknown_argument",
        r"extra inputs are not permitted|unsupported (parameter|value)",
        r"unrecognized (request argument|key|field)|unknown (parameter|field|name|argument)",
        r"property '[^']+' is unsupported|argument not supported",
        r"does not support (the )?(parameters?|argument|value)|cannot both be (specified|set)",
        r"unexpected keyword argument|is deprecated for this model",
        r"(parameter|field|argument|option)s? .{0,60}(is|are) not (supported|allowed|permitted)",
        r"\b(temperature|top_p|top_k|stop|seed|logprobs|logit_bias|n|user|metadata)\b[`'\"]? .{0,30}not support",
        r"\b(verbosity|reasoning(_effort)?|thinking|parallel_tool_calls|stream_options)\b[`'\"]? .{0,30}not support",
        r"\b(frequency|presence)_penalty\b[`'\"]? .{0,30}not support",
    ),
    # --- capacity --------------------------------------------------------------------------------------------------
    _rule(
        "overloaded",
        "",
        "overloaded_error engine_overloaded capacity_exceeded service_tier_capacity_exceeded service_unavailable "
        "unavailable unavailable_error server_overloaded",
    ),
    _rule(
        "overloaded",
        "400 403 424 429 500 502 503 529",
        "",
        r"overloaded|(over|at|exceeded|no|insufficient) capacity|server busy|no instances available",
        r"pending requests exceeded|more system memory|out of memory",
    ),
    _rule(
        "rate_limited",
        "",
        "rate_limit_exceeded rate_limit_error resource_exhausted too_many_requests_error throttlingexception "
        "request_quota_exceeded tokens_per_minute_exceeded rate_limit_reached_error model_rate_limit too_many_requests",
    ),
    _rule("rate_limited", "400 403 429 500 503", "", r"rate[ -]?limit|too many requests|throttl"),
    _rule("key_forbidden", "403", "permission_error permission_denied"),
)
"""From particular to general; the first that matches decides."""


def classify(
    kind: str,
    status: int,
    body: object,
    headers: Mapping[str, str],
    *,
    now: dt.datetime | None = None,
) -> Cause:
    """The cause of an answer with an error status.

    `kind` is the upstream's, `body` its bytes or what they were parsed to, `headers` any mapping with lower-case names
    (or one that ignores case). `now` (UTC) serves where the answer has no Date header and names a moment.
    """
    said = read_error(body)
    name = _recognised(kind, status, said)
    is_explained = name is not None
    if name is None:
        name = _by_status(status)
    fate = FATES[name]
    wait_s = retry_after_s(status, said, headers, now) if fate.opens != "nothing" or name == "conflict" else None
    action, repair = fate.action, None
    if name == "context_exceeded":
        room = _room_for_completion(said.message)
        if room is not None and room >= LEAST_REPAIRED_MAX_TOKENS:
            name, action, repair = "max_tokens_too_large", "repair", Repair("limit_max_tokens", "max_tokens", room)
    elif action == "repair":
        repair = _repair(name, said)
        if repair is None:
            action = "next"
            if name == "unaffordable":
                fate = FATES["balance_empty"]
    return Cause(name, fate.outcome, action, fate.opens, wait_s, fate.is_lasting, repair, is_explained)


def classify_success(
    kind: str, body: object, headers: Mapping[str, str], *, now: dt.datetime | None = None
) -> Cause | None:
    """The cause hidden in an answer under status 200, or in one event of a stream; None when it holds no error.

    `body` is the parsed JSON of the whole answer or of one event.
    """
    error = hidden_error(body)
    if error is None:
        return None
    said = read_error(error)
    return classify(kind, said.status or _status_of_words(said), error, headers, now=now)


def hidden_error(body: object) -> object | None:
    """The error that a body under status 200 holds, in the shape the upstream gave it; None where there is none."""
    if isinstance(body, list):
        return body if body and isinstance(body[0], dict) and body[0].get("error") else None
    if not isinstance(body, dict):
        return None
    if body.get("error") or body.get("object") == "error" or body.get("type") == "error":
        return body
    choices = body.get("choices")
    if isinstance(choices, list):
        for choice in choices:
            if isinstance(choice, dict) and choice.get("error"):
                return {"error": choice["error"]}
    if "choices" not in body and isinstance(body.get("detail"), str | list):
        return body
    return None


def _status_of_words(said: Said) -> int:
    if said.words & {"overloaded_error", "overloaded", "unavailable"}:
        return 529
    if said.words & {"rate_limit_error", "rate_limit_exceeded", "resource_exhausted", "too_many_requests"}:
        return 429
    if said.words & {"invalid_request_error", "invalid_argument", "bad_request", "badrequesterror"}:
        return 400
    if said.words & {"authentication_error", "unauthorized"}:
        return 401
    if said.words & {"not_found_error", "notfounderror", "not_found"}:
        return 404
    return 502


def _recognised(kind: str, status: int, said: Said) -> str | None:
    for rule in RULES:
        if (rule.statuses and status not in rule.statuses) or (rule.kinds and kind not in rule.kinds):
            continue
        if rule.words & said.words or (rule.pattern is not None and rule.pattern.search(said.message)):
            return rule.cause
    return None


def _by_status(status: int) -> str:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return "redirected"
    return "server_error" if status >= 500 else "unexpected"


# --- reading a body --------------------------------------------------------------------------------------------------


def read_error(body: object) -> Said:
    """An error body of any vendor, taken apart. Never raises."""
    words: set[str] = set()
    messages: list[str] = []
    fields: list[str] = []
    found: dict[str, Any] = {}
    if isinstance(body, bytes | bytearray | memoryview):
        body = _parsed(bytes(body[:_LONGEST_BODY]))
    _walk(body, words, messages, fields, found, depth=0)
    message = " ".join(messages)[:_LONGEST_MESSAGE]
    return Said(
        frozenset(words),
        message,
        found.get("param"),
        tuple(fields),
        found.get("wait_s"),
        found.get("status"),
        found.get("headers", {}),
    )


def _parsed(data: bytes) -> object:
    text = data.decode("utf-8", "replace").strip()
    if text.startswith(("{", "[")):
        try:
            parsed: object = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return parsed
    return text


def _walk(
    node: object, words: set[str], messages: list[str], fields: list[str], found: dict[str, Any], depth: int
) -> None:
    """Collect what an error says, outermost first. Knows the names under which vendors nest what matters."""
    if depth > 6 or len(messages) > 20:
        return
    if isinstance(node, str):
        messages.append(node)
        return
    if isinstance(node, list):
        for one in node[:10]:
            _walk(one, words, messages, fields, found, depth + 1)
        return
    if not isinstance(node, dict):
        return
    for name in ("code", "type", "status", "reason", "error_type", "statusCode", "status_code"):
        value = node.get(name)
        if isinstance(value, str) and value:
            words.add(value.lower())
            if " " in value:  # xAI puts a sentence there
                messages.append(value)
            if value.isdigit():
                value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
            found.setdefault("status", value)
    if isinstance(node.get("param"), str):
        found.setdefault("param", node["param"])
    if node.get("type") == "extra_forbidden" and isinstance(node.get("loc"), list) and node["loc"]:
        fields.append(str(node["loc"][-1]))
    delay = node.get("retryDelay")
    if isinstance(delay, str):
        found.setdefault("wait_s", duration_s(delay))
    if isinstance(node.get("headers"), dict):
        found["headers"] = {str(name).lower(): str(value) for name, value in node["headers"].items()}
    for name in ("error", "message", "msg", "detail", "errors", "innererror", "details", "metadata", "raw"):
        value = node.get(name)
        if name == "raw" and isinstance(value, str):
            value = _parsed(value.encode()[:_LONGEST_BODY])
        if value is not None:
            _walk(value, words, messages, fields, found, depth + 1)


# --- repairs ---------------------------------------------------------------------------------------------------------

_LIMITS: tuple[re.Pattern[str], ...] = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"supports at most (\d+) completion tokens",
        r"max_tokens: \d+ > (\d+)",
        r"max_(?:completion_)?tokens is \[\d+, ?(\d+)\]",
        r"range of max_(?:completion_)?tokens should be \[\d+, ?(\d+)\]",
        r"max_(?:completion_)?tokens`? must be (?:less than or equal to|at most|<=|smaller than) `?(\d+)",
        r"max_(?:completion_)?tokens`? must be between \d+ and (\d+)",
        r"can only afford (\d+)",
        r"maximum (?:value|number of tokens)[^\d]{0,40}(\d+)",
    )
)
_GOOGLE_RANGE = re.compile(r"maxoutputtokens.{0,60}from \d+ \(inclusive\) to (\d+) \(exclusive\)", re.IGNORECASE)
_SUMS: tuple[tuple[re.Pattern[str], Callable[[int, int], int]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), room)
    for pattern, room in (
        # maximum context length is 4096 tokens. However, you requested 5000 tokens (1000 in the messages, 4000 in ...
        (
            r"maximum context length is (\d+) tokens.{0,60}requested (?:about )?\d+ tokens \((\d+) (?:in|of)",
            lambda window, prompt: window - prompt,
        ),
        # maximum context length is 8192 tokens and your request has 500 input tokens
        (
            r"maximum context length is (\d+) tokens and your request has (\d+) input tokens",
            lambda window, prompt: window - prompt,
        ),
        # exceed context limit: 190000 + 20000 > 200000
        (r"exceed context limit: (\d+) \+ \d+ > (\d+)", lambda prompt, window: window - prompt),
        # `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 900 `inputs` tokens
        (r"max_new_tokens`? must be <= (\d+)\. given: (\d+)", lambda window, prompt: window - prompt),
    )
)
_NAMED_FIELD: tuple[re.Pattern[str], ...] = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"unsupported (?:parameter|value)s?:? ['\"`\[]*([a-z_][\w.]*)",
        r"unrecognized (?:request argument supplied|key|field)[^\w]{1,12}([a-z_][\w.]*)",
        r"unknown (?:parameter|field|name|argument)[^\w]{1,6}([a-z_][\w.]*)",
        r"property '([a-z_]\w*)' is unsupported",
        r"extra inputs are not permitted, field: '([a-z_]\w*)",
        r"([a-z_][\w.]*): extra inputs are not permitted",
        r"argument not supported[^:]{0,40}: ([a-z_]\w*)",
        r"does not support (?:the )?(?:parameters?|argument)[^\w]{1,6}([a-z_]\w*)",
        r"unexpected keyword argument '([a-z_]\w*)'",
        r"`[a-z_]+` and `([a-z_]+)` cannot both be",
        r"[`'\"]?([a-z_]\w*)[`'\"]? is deprecated for this model",
        r"(?:parameter|field|argument|option)s? [`'\"]?([a-z_]\w*)[`'\"]?.{0,40}not (?:supported|allowed|permitted)",
        r"\b([a-z_]+)\b['\"`]? (?:is |are )?not support",
    )
)
_RENAMED = re.compile(r"use ['`\"]?(max_completion_tokens|max_tokens)['`\"]? instead", re.IGNORECASE)


def _room_for_completion(message: str) -> int | None:
    """Completion tokens that are left beside the prompt, where the message adds both up."""
    for pattern, room in _SUMS:
        match = pattern.search(message)
        if match:
            return room(int(match[1]), int(match[2]))
    return None


def _repair(name: str, said: Said) -> Repair | None:
    if name == "parameter_unsupported":
        return _repair_of_field(said)
    limit = _room_for_completion(said.message)
    if limit is None:
        match = _GOOGLE_RANGE.search(said.message)
        if match:
            limit = int(match[1]) - 1
    if limit is None:
        limit = next((int(match[1]) for match in (one.search(said.message) for one in _LIMITS) if match), None)
    if limit is None or limit < LEAST_REPAIRED_MAX_TOKENS:
        return None
    return Repair("limit_max_tokens", "max_tokens", limit)


def _repair_of_field(said: Said) -> Repair | None:
    name = said.fields[0] if said.fields else said.param
    if not name:
        name = next((match[1] for match in (one.search(said.message) for one in _NAMED_FIELD) if match), None)
    if not name:
        return None
    field = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name.partition(".")[0].partition("[")[0]).lower()
    renamed = _RENAMED.search(said.message)
    if renamed and renamed[1].lower() != field:
        return Repair("rename", field, renamed[1].lower())
    return Repair("drop", field)


# --- how long to wait ------------------------------------------------------------------------------------------------

_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)
_WAIT_IN_WORDS = re.compile(
    r"(?:try again|retry)(?: in| after)? ((?:\d+(?:\.\d+)?(?:ms|[dhms]))+)"
    r"|(?:try again|retry)(?: in| after) (\d+(?:\.\d+)?) sec",
    re.IGNORECASE,
)


def duration_s(text: str) -> float | None:
    """Seconds of `7.66s`, `6m0s`, `1h2m`, `120ms` or a bare number; None for anything else."""
    plain = text.strip().lower()
    try:
        return float(plain)
    except ValueError:
        pass
    match = _DURATION.fullmatch(plain)
    if not match or not any(match.groups()):
        return None
    days, hours, minutes, seconds, millis = (float(part) if part else 0.0 for part in match.groups())
    return days * 86_400 + hours * 3_600 + minutes * 60 + seconds + millis / 1_000


def retry_after_s(status: int, said: Said, headers: Mapping[str, str], now: dt.datetime | None = None) -> float | None:
    """Seconds that the upstream asks to wait, by its most exact statement; None when it asks for nothing usable.

    In this order: retry-after-ms, Retry-After (seconds or date), the body (RetryInfo, "try again in 7.66s"), and for
    429 the reset times of limits (x-ratelimit-reset-*, anthropic-ratelimit-*-reset, x-ratelimit-reset).
    """
    moment = _date(headers.get("date")) or now
    for name, per_second in (("retry-after-ms", 1_000.0), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is not None:
            wait_s = _usable(_number(value, per_second))
            if wait_s is None:
                wait_s = _until(_date(value), moment)
            if wait_s is not None:
                return wait_s
    wait_s = _usable(said.wait_s)
    if wait_s is None:
        words = _WAIT_IN_WORDS.search(said.message)
        wait_s = _usable(duration_s(words[1] or words[2])) if words else None
    if wait_s is None and status == 429:
        wait_s = _of_limits(headers, moment)
        if wait_s is None and said.headers:
            wait_s = _of_limits(said.headers, moment)
    return wait_s


def _of_limits(headers: Mapping[str, str], moment: dt.datetime | None) -> float | None:
    """The longest reset among limits that are used up; the shortest of all when none says that it is."""
    waits: list[float] = []
    used_up: list[float] = []
    for reset, remaining in _limit_headers():
        value = headers.get(reset)
        if value is None:
            continue
        wait_s = _reset_s(value, moment)
        if wait_s is not None:
            (used_up if (headers.get(remaining) or "").strip() in ("0", "0.0") else waits).append(wait_s)
    if used_up:
        return max(used_up)
    return min(waits, default=None)


def _limit_headers() -> Iterator[tuple[str, str]]:
    yield "x-ratelimit-reset", "x-ratelimit-remaining"
    yield "ratelimit-reset", "ratelimit-remaining"
    for what in ("requests", "tokens", "project-tokens", "input-tokens", "output-tokens"):
        yield f"x-ratelimit-reset-{what}", f"x-ratelimit-remaining-{what}"
        yield f"anthropic-ratelimit-{what}-reset", f"anthropic-ratelimit-{what}-remaining"


def _reset_s(value: str, moment: dt.datetime | None) -> float | None:
    """Seconds until a reset given as a duration, a Unix time in seconds or milliseconds, or a timestamp."""
    number = duration_s(value)
    if number is None:
        try:
            at = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            return None
        return _until(_without_zone(at), moment)
    if number < 1e8:
        return _usable(number)
    seconds = number / 1_000 if number >= 1e11 else number
    try:
        return _until(dt.datetime.fromtimestamp(seconds, dt.UTC).replace(tzinfo=None), moment)
    except (OverflowError, ValueError, OSError):
        return None


def _number(text: str, per_second: float) -> float | None:
    try:
        return float(text) / per_second
    except ValueError:
        return None


def _usable(seconds: float | None) -> float | None:
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return None
    return min(seconds, LONGEST_WAIT_S)


def _date(text: str | None) -> dt.datetime | None:
    """An HTTP date, in UTC without zone."""
    if not text:
        return None
    try:
        return _without_zone(email.utils.parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _without_zone(at: dt.datetime) -> dt.datetime:
    try:
        return at.astimezone(dt.UTC).replace(tzinfo=None) if at.tzinfo else at
    except OverflowError:
        return at.replace(tzinfo=None)


def _until(at: dt.datetime | None, moment: dt.datetime | None) -> float | None:
    if at is None or moment is None:
        return None
    return _usable(max(0.0, (at - moment).total_seconds()))
