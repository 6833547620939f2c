"""Refusals in the wire shapes of their vendors: what was sent, and what the proxy has to make of it.

A new shape that is seen in the wild belongs here, with the vendor's name. Texts follow the vendors' documentation
and clients' reports; names, keys and numbers are ours.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from proxy.causes import Repair


@dataclass(frozen=True)
class Refusal:
    """One answer and its expected cause."""

    vendor: str
    status: int
    body: Any
    cause: str
    kind: str = "openai"
    headers: dict[str, str] = field(default_factory=dict)
    repair: Repair | None = None
    wait_s: float | None = None

    @property
    def id(self) -> str:
        return f"{self.vendor}-{self.status}-{self.cause}"

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def openai(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def openrouter(code: int, message: str, **metadata: Any) -> dict[str, Any]:
    error: dict[str, Any] = {"message": message, "code": code}
    if metadata:
        error["metadata"] = metadata
    return {"error": error, "user_id": "user_x"}


def anthropic(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_x"}


def google(code: int, status: str, message: str, *details: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"error": {"code": code, "message": message, "status": status, "details": list(details)}}]


def limit(tokens: int) -> Repair:
    return Repair("limit_max_tokens", "max_tokens", tokens)


REFUSALS: tuple[Refusal, ...] = (
    # --- OpenAI
    Refusal(
        "openai",
        400,
        openai(
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 131000 tokens. "
            "Please reduce the length of the messages.",
            "invalid_request_error",
            "context_length_exceeded",
            "messages",
        ),
        "context_exceeded",
    ),
    Refusal(
        "openai",
        400,
        openai(
            "max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you "
            "provided 100000.",
            "invalid_request_error",
            "invalid_value",
            "max_tokens",
        ),
        "max_tokens_too_large",
        repair=limit(16384),
    ),
    Refusal(
        "openai",
        400,
        openai(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
            "instead.",
            "invalid_request_error",
            "unsupported_parameter",
            "max_tokens",
        ),
        "parameter_unsupported",
        repair=Repair("rename", "max_tokens", "max_completion_tokens"),
    ),
    Refusal(
        "openai",
        400,
        openai(
            "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is "
            "supported.",
            "invalid_request_error",
            "unsupported_value",
            "temperature",
        ),
        "parameter_unsupported",
        repair=Repair("drop", "temperature"),
    ),
    Refusal(
        "openai",
        400,
        openai("Unrecognized request argument supplied: top_k", "invalid_request_error"),
        "parameter_unsupported",
        repair=Repair("drop", "top_k"),
    ),
    Refusal(
        "openai",
        404,
        openai(
            "The model `gpt-9` does not exist or you do not have access to it.",
            "invalid_request_error",
            "model_not_found",
        ),
        "model_removed",
    ),
    Refusal(
        "openai",
        404,
        openai(
            "This is not a chat model and thus not supported in the v1/chat/completions endpoint. Did you mean to use "
            "v1/completions?",
            "invalid_request_error",
            None,
            "model",
        ),
        "feature_unsupported",
    ),
    Refusal(
        "openai",
        404,
        openai("Invalid URL (POST /v1/responsez)", "invalid_request_error"),
        "endpoint_missing",
    ),
    Refusal(
        "openai",
        401,
        openai(
            "Incorrect API key provided: sk-x. You can find your API key at ...",
            "invalid_request_error",
            "invalid_api_key",
        ),
        "key_invalid",
    ),
    Refusal(
        "openai",
        429,
        openai(
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            "insufficient_quota",
        ),
        "balance_empty",
    ),
    Refusal(
        "openai",
        429,
        openai(
            "Rate limit reached for gpt-x in organization org-x on tokens per min (TPM): Limit 30000, Used 29000, "
            "Requested 2000. Please try again in 2s.",
            "tokens",
            "rate_limit_exceeded",
        ),
        "rate_limited",
        headers={"retry-after-ms": "1830", "retry-after": "2"},
        wait_s=1.83,
    ),
    Refusal(
        "openai",
        429,
        openai("Rate limit reached for requests", "requests", "rate_limit_exceeded"),
        "rate_limited",
        headers={
            "x-ratelimit-remaining-requests": "12",
            "x-ratelimit-reset-requests": "120ms",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        wait_s=360.0,
    ),
    Refusal(
        "openai",
        403,
        openai(
            "Country, region, or territory not supported",
            "request_forbidden",
            "unsupported_country_region_territory",
        ),
        "key_forbidden",
    ),
    Refusal(
        "openai",
        400,
        openai(
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
            "invalid_request_error",
            "invalid_prompt",
        ),
        "moderated",
    ),
    Refusal(
        "openai",
        400,
        openai(
            "The encrypted content gAAA... could not be verified.", "invalid_request_error", "invalid_encrypted_content"
        ),
        "foreign_reasoning",
    ),
    Refusal(
        "openai", 500, openai("The server had an error while processing your request.", "server_error"), "server_error"
    ),
    Refusal(
        "openai",
        400,
        openai("Invalid type for 'messages[0].content': expected one of a string or array.", "invalid_request_error"),
        "bad_request",
    ),
    # --- Azure OpenAI
    Refusal(
        "azure",
        400,
        {
            "error": {
                "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management "
                "policy.",
                "type": None,
                "param": "prompt",
                "code": "content_filter",
                "status": 400,
                "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
            }
        },
        "moderated",
    ),
    Refusal(
        "azure",
        404,
        {"error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}},
        "model_removed",
    ),
    Refusal(
        "azure",
        401,
        {
            "statusCode": 401,
            "message": "Unauthorized. Access token is missing, invalid, audience is incorrect, or have expired.",
        },
        "key_invalid",
    ),
    Refusal(
        "azure",
        429,
        {
            "error": {
                "code": "429",
                "message": "Requests to the ChatCompletions_Create Operation have exceeded token rate limit. Please "
                "retry after 20 seconds.",
            }
        },
        "rate_limited",
        wait_s=20.0,
    ),
    # --- Anthropic
    Refusal(
        "anthropic",
        400,
        anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        "context_exceeded",
    ),
    Refusal(
        "anthropic",
        400,
        anthropic(
            "invalid_request_error", "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"
        ),
        "max_tokens_too_large",
        repair=limit(10000),
    ),
    Refusal(
        "anthropic",
        400,
        anthropic(
            "invalid_request_error",
            "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for claude-x",
        ),
        "max_tokens_too_large",
        repair=limit(64000),
    ),
    Refusal(
        "anthropic",
        400,
        anthropic("invalid_request_error", "messages.1.content.0: Invalid `signature` in `thinking` block"),
        "foreign_reasoning",
    ),
    Refusal(
        "anthropic",
        400,
        anthropic(
            "invalid_request_error",
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ),
        "feature_unsupported",
    ),
    Refusal(
        "anthropic",
        400,
        anthropic("invalid_request_error", "reasoning_effort: Extra inputs are not permitted"),
        "parameter_unsupported",
        repair=Repair("drop", "reasoning_effort"),
    ),
    Refusal(
        "anthropic",
        400,
        anthropic("invalid_request_error", "`temperature` and `top_p` cannot both be specified for this model."),
        "parameter_unsupported",
        repair=Repair("drop", "top_p"),
    ),
    Refusal(
        "anthropic",
        400,
        anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
        "balance_empty",
    ),
    Refusal("anthropic", 401, anthropic("authentication_error", "invalid x-api-key"), "key_invalid"),
    Refusal("anthropic", 403, anthropic("permission_error", "Your API key cannot be used here."), "key_forbidden"),
    Refusal("anthropic", 404, anthropic("not_found_error", "model: claude-0"), "model_removed"),
    Refusal("anthropic", 413, anthropic("request_too_large", "Request exceeds the maximum size"), "too_large"),
    Refusal(
        "anthropic",
        429,
        anthropic("rate_limit_error", "This request would exceed your organization's rate limit."),
        "rate_limited",
        headers={
            "date": "Sat, 22 Aug 2026 12:00:00 GMT",
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2026-08-22T12:00:42Z",
        },
        wait_s=42.0,
    ),
    Refusal("anthropic", 529, anthropic("overloaded_error", "Overloaded"), "overloaded"),
    # --- OpenRouter
    Refusal("openrouter", 400, openrouter(400, "meta/llama-0 is not a valid model ID"), "model_removed", "openrouter"),
    Refusal("openrouter", 404, openrouter(404, "No endpoints found for meta/llama-0."), "model_removed", "openrouter"),
    Refusal(
        "openrouter",
        404,
        openrouter(404, "No endpoints found that support tool use. To learn more about provider routing, visit: ..."),
        "feature_unsupported",
        "openrouter",
    ),
    Refusal(
        "openrouter",
        404,
        openrouter(404, "No endpoints found matching your data policy (Free model training)."),
        "data_policy",
        "openrouter",
    ),
    Refusal(
        "openrouter",
        402,
        openrouter(
            402,
            "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only "
            "afford 12345. To increase, visit ... and add more credits",
        ),
        "unaffordable",
        "openrouter",
        repair=limit(12345),
    ),
    Refusal(
        "openrouter",
        402,
        openrouter(402, "Insufficient credits. Add more using https://openrouter.ai/settings/credits"),
        "balance_empty",
        "openrouter",
    ),
    Refusal("openrouter", 401, openrouter(401, "No auth credentials found"), "key_invalid", "openrouter"),
    Refusal("openrouter", 401, openrouter(401, "User not found."), "key_invalid", "openrouter"),
    Refusal("openrouter", 403, openrouter(403, "Key limit exceeded (total limit)."), "balance_empty", "openrouter"),
    Refusal(
        "openrouter",
        403,
        openrouter(
            403,
            'anthropic/claude-x requires moderation on Anthropic. Your input was flagged for "violence".',
            reasons=["violence"],
            flagged_input="…",
            provider_name="Anthropic",
        ),
        "moderated",
        "openrouter",
    ),
    Refusal(
        "openrouter",
        429,
        openrouter(
            429,
            "Rate limit exceeded: free-models-per-min.",
            headers={"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1787400030000"},
        ),
        "rate_limited",
        "openrouter",
        headers={"date": "Sat, 22 Aug 2026 12:00:00 GMT"},
        wait_s=30.0,
    ),
    Refusal(
        "openrouter",
        429,
        openrouter(
            429,
            "Provider returned error",
            raw="meta/llama-x:free is temporarily rate-limited upstream. Please retry shortly.",
            provider_name="Chutes",
        ),
        "rate_limited",
        "openrouter",
    ),
    Refusal(
        "openrouter",
        400,
        openrouter(
            400,
            "Provider returned error",
            raw=json.dumps(
                openai(
                    "Unsupported parameter: 'temperature' is not supported with this model.",
                    "invalid_request_error",
                    "unsupported_parameter",
                    "temperature",
                )
            ),
            provider_name="Azure",
        ),
        "parameter_unsupported",
        "openrouter",
        repair=Repair("drop", "temperature"),
    ),
    Refusal(
        "openrouter",
        400,
        openrouter(
            400,
            "This endpoint's maximum context length is 131072 tokens. However, you requested about 140000 tokens "
            "(100000 of text input, 40000 in the output). Please reduce the length of either one.",
        ),
        "max_tokens_too_large",
        "openrouter",
        repair=limit(31072),
    ),
    Refusal(
        "openrouter",
        400,
        openrouter(
            400,
            "This endpoint's maximum context length is 131072 tokens. However, you requested about 140000 tokens "
            "(139000 of text input, 1000 in the output).",
        ),
        "context_exceeded",
        "openrouter",
    ),
    Refusal("openrouter", 503, openrouter(503, "No instances available"), "overloaded", "openrouter"),
    Refusal("openrouter", 408, openrouter(408, "Request timed out"), "timed_out", "openrouter"),
    # --- Google, through its OpenAI-compatible endpoint: a list around the error
    Refusal(
        "google",
        400,
        google(
            400,
            "INVALID_ARGUMENT",
            "The input token count (1048580) exceeds the maximum number of tokens allowed (1048576).",
        ),
        "context_exceeded",
    ),
    Refusal(
        "google",
        400,
        google(
            400,
            "INVALID_ARGUMENT",
            "Unable to submit request because it has a maxOutputTokens value of 100000 but the supported range is "
            "from 1 (inclusive) to 65537 (exclusive).",
        ),
        "max_tokens_too_large",
        repair=limit(65536),
    ),
    Refusal(
        "google",
        400,
        google(
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
        ),
        "key_invalid",
    ),
    Refusal(
        "google",
        400,
        google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
        "key_forbidden",
    ),
    Refusal(
        "google",
        400,
        google(400, "INVALID_ARGUMENT", 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'),
        "parameter_unsupported",
        repair=Repair("drop", "seed"),
    ),
    Refusal(
        "google",
        400,
        google(400, "INVALID_ARGUMENT", "Function call is missing a thought_signature in functionCall parts."),
        "foreign_reasoning",
    ),
    Refusal(
        "google",
        429,
        google(
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota. Please retry in 17.4s.",
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"},
        ),
        "rate_limited",
        wait_s=17.0,
    ),
    Refusal(
        "google",
        404,
        google(404, "NOT_FOUND", "models/gemini-0 is not found for API version v1main, or is not supported"),
        "model_removed",
    ),
    Refusal(
        "google", 503, google(503, "UNAVAILABLE", "The model is overloaded. Please try again later."), "overloaded"
    ),
    # --- Mistral
    Refusal(
        "mistral",
        422,
        {
            "object": "error",
            "message": {
                "detail": [
                    {
                        "type": "extra_forbidden",
                        "loc": ["body", "logit_bias"],
                        "msg": "Extra inputs are not permitted",
                        "input": {},
                    }
                ]
            },
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        },
        "parameter_unsupported",
        repair=Repair("drop", "logit_bias"),
    ),
    Refusal(
        "mistral",
        400,
        {
            "object": "error",
            "message": "Invalid model: mistral-0",
            "type": "invalid_model",
            "param": None,
            "code": "1500",
        },
        "model_removed",
    ),
    Refusal(
        "mistral",
        400,
        {
            "object": "error",
            "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum "
            "context length",
            "type": "invalid_request_prompt",
            "code": "3051",
        },
        "context_exceeded",
    ),
    Refusal(
        "mistral",
        400,
        {
            "object": "error",
            "message": "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
            "type": "invalid_request_message_order",
            "code": "3230",
        },
        "feature_unsupported",
    ),
    Refusal(
        "mistral",
        429,
        {
            "object": "error",
            "message": "Service tier capacity exceeded for this model.",
            "type": "service_tier_capacity_exceeded",
            "code": "3505",
        },
        "overloaded",
    ),
    Refusal("mistral", 401, {"detail": "Unauthorized"}, "key_invalid"),
    Refusal("mistral", 429, {"message": "Requests rate limit exceeded"}, "rate_limited"),
    # --- Groq
    Refusal(
        "groq",
        400,
        openai(
            "The model `llama-0` has been decommissioned and is no longer supported.",
            "invalid_request_error",
            "model_decommissioned",
        ),
        "model_removed",
    ),
    Refusal(
        "groq",
        400,
        {
            "error": {
                "message": "Failed to call a function. Please adjust your prompt. See 'failed_generation'.",
                "type": "invalid_request_error",
                "code": "tool_use_failed",
                "failed_generation": "<function=x>",
            }
        },
        "generation_failed",
    ),
    Refusal(
        "groq",
        413,
        openai(
            "Request too large for model `llama-x` in organization `org_x` service tier `on_demand` on tokens per "
            "minute (TPM): Limit 6000, Requested 9000, please reduce your message size and try again.",
            "tokens",
            "rate_limit_exceeded",
        ),
        "request_exceeds_rate",
    ),
    Refusal(
        "groq",
        429,
        openai(
            "Rate limit reached for model `llama-x` in organization `org_x` on tokens per minute (TPM): Limit 6000, "
            "Used 5000, Requested 2000. Please try again in 1m7.66s. Need more tokens?",
            "tokens",
            "rate_limit_exceeded",
        ),
        "rate_limited",
        wait_s=67.66,
    ),
    Refusal(
        "groq",
        400,
        openai(
            "`max_tokens` must be less than or equal to `32768`, the maximum value for `max_tokens` is less than the "
            "`context_window` for this model",
            "invalid_request_error",
            None,
            "max_tokens",
        ),
        "max_tokens_too_large",
        repair=limit(32768),
    ),
    Refusal(
        "groq",
        400,
        openai("property 'logit_bias' is unsupported", "invalid_request_error"),
        "parameter_unsupported",
        repair=Repair("drop", "logit_bias"),
    ),
    # --- DeepSeek
    Refusal("deepseek", 402, openai("Insufficient Balance", "unknown_error", "invalid_request_error"), "balance_empty"),
    Refusal(
        "deepseek", 400, openai("Model Not Exist", "invalid_request_error", "invalid_request_error"), "model_removed"
    ),
    Refusal(
        "deepseek", 400, openai("Content Exists Risk", "invalid_request_error", "invalid_request_error"), "moderated"
    ),
    Refusal(
        "deepseek",
        400,
        openai("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", "invalid_request_error"),
        "max_tokens_too_large",
        repair=limit(8192),
    ),
    Refusal(
        "deepseek",
        401,
        openai("Authentication Fails, Your api key: ****x is invalid", "authentication_error", "invalid_request_error"),
        "key_invalid",
    ),
    # --- Together
    Refusal(
        "together",
        422,
        {
            "id": "x",
            "error": {
                "message": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 2000 "
                "`inputs` tokens and 7000 `max_new_tokens`",
                "type": "invalid_request_error",
                "param": "max_tokens",
                "code": None,
            },
        },
        "max_tokens_too_large",
        repair=limit(6193),
    ),
    Refusal(
        "together",
        404,
        openai(
            "Unable to access model meta/x. Please visit ... to view the list.",
            "invalid_request_error",
            "model_not_available",
        ),
        "model_removed",
    ),
    Refusal("together", 503, openai("The server is overloaded or not ready yet.", "service_unavailable"), "overloaded"),
    # --- Fireworks
    Refusal(
        "fireworks",
        404,
        {"error": {"code": "NOT_FOUND", "message": "Model not found, inaccessible, and/or not deployed"}},
        "model_removed",
    ),
    Refusal(
        "fireworks",
        400,
        {
            "error": {
                "object": "error",
                "type": "invalid_request_error",
                "code": "invalid_request_error",
                "message": "Extra inputs are not permitted, field: 'verbosity', value: 'low'",
            }
        },
        "parameter_unsupported",
        repair=Repair("drop", "verbosity"),
    ),
    Refusal(
        "fireworks",
        412,
        {"error": {"message": "Account x is suspended, possibly due to reaching the monthly spending limit"}},
        "balance_empty",
    ),
    Refusal(
        "fireworks",
        400,
        {"error": {"message": "The prompt is too long: 140000, model maximum context length: 131071"}},
        "context_exceeded",
    ),
    # --- xAI: the error is a sentence, the code another
    Refusal(
        "xai",
        400,
        {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***yz."},
        "key_invalid",
    ),
    Refusal(
        "xai",
        404,
        {
            "code": "Some requested entity was not found",
            "error": "The model grok-0 does not exist or your team x does not have access to it.",
        },
        "model_removed",
    ),
    Refusal(
        "xai",
        429,
        {
            "code": "Some resource has been exhausted",
            "error": "Your team x has either used all available credits or reached its monthly spending limit.",
        },
        "balance_empty",
    ),
    Refusal(
        "xai",
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        },
        "context_exceeded",
    ),
    Refusal(
        "xai",
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "Model grok-x does not support parameter presencePenalty.",
        },
        "parameter_unsupported",
        repair=Repair("drop", "presence_penalty"),
    ),
    Refusal(
        "xai",
        403,
        {
            "code": "The caller does not have permission to execute the specified operation",
            "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_X",
        },
        "moderated",
    ),
    # --- Cohere
    Refusal("cohere", 401, {"message": "invalid api token"}, "key_invalid"),
    Refusal(
        "cohere",
        404,
        {"message": "model 'command-0' not found, make sure the correct model ID was used and that you have access"},
        "model_removed",
    ),
    Refusal(
        "cohere",
        400,
        {"message": "too many tokens: total number of tokens in the prompt cannot exceed 128000 - received 140000."},
        "context_exceeded",
    ),
    Refusal(
        "cohere",
        429,
        {"message": "You are using a Trial key, which is limited to 10 API calls / minute."},
        "rate_limited",
    ),
    # --- Moonshot, Z.ai, Alibaba, Perplexity, Cerebras, Hugging Face
    Refusal(
        "moonshot",
        429,
        {"error": {"message": "Your account is suspended, check your plan", "type": "exceeded_current_quota_error"}},
        "balance_empty",
    ),
    Refusal(
        "moonshot",
        400,
        {
            "error": {
                "message": "Invalid request: Your request exceeded model token limit: 8192",
                "type": "invalid_request_error",
            }
        },
        "context_exceeded",
    ),
    Refusal("zai", 429, {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}}, "balance_empty"),
    Refusal(
        "alibaba",
        400,
        {
            "error": {
                "code": "data_inspection_failed",
                "param": None,
                "message": "Input data may contain inappropriate content.",
                "type": "data_inspection_failed",
            }
        },
        "moderated",
    ),
    Refusal(
        "alibaba",
        400,
        openai("Range of max_tokens should be [1, 8192]", "invalid_request_error", "invalid_parameter_error"),
        "max_tokens_too_large",
        repair=limit(8192),
    ),
    Refusal(
        "perplexity",
        400,
        {
            "error": {
                "message": "Invalid model 'sonar-0'. Permitted models can be found in ...",
                "type": "invalid_model",
                "code": 400,
            }
        },
        "model_removed",
    ),
    Refusal(
        "cerebras",
        429,
        {
            "message": "Requests per minute limit exceeded - too many requests sent.",
            "type": "too_many_requests_error",
            "param": "quota",
            "code": "request_quota_exceeded",
        },
        "rate_limited",
    ),
    Refusal(
        "huggingface",
        400,
        {"error": "The requested model 'x/y' is not supported by any provider you have enabled."},
        "model_removed",
    ),
    # --- servers of one's own
    Refusal(
        "vllm",
        404,
        {
            "object": "error",
            "message": "The model `x` does not exist.",
            "type": "NotFoundError",
            "param": None,
            "code": 404,
        },
        "model_removed",
        "vllm",
    ),
    Refusal(
        "vllm",
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (1000 "
            "in the messages, 4000 in the completion). Please reduce the length of the messages or completion.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
        "max_tokens_too_large",
        "vllm",
        repair=limit(3096),
    ),
    Refusal(
        "vllm",
        400,
        {
            "error": {
                "message": "'max_tokens' or 'max_completion_tokens' is too large: 10000. This model's maximum context "
                "length is 8192 tokens and your request has 500 input tokens (10000 > 8192 - 500).",
                "type": "BadRequestError",
                "param": "max_tokens",
                "code": 400,
            }
        },
        "max_tokens_too_large",
        "vllm",
        repair=limit(7692),
    ),
    Refusal(
        "vllm",
        400,
        {
            "object": "error",
            "message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
            "type": "BadRequestError",
            "code": 400,
        },
        "feature_unsupported",
        "vllm",
    ),
    Refusal(
        "llamacpp",
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 5000,
                "n_ctx": 4096,
            }
        },
        "context_exceeded",
        "llamacpp",
    ),
    Refusal(
        "llamacpp",
        503,
        {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}},
        "model_unavailable",
        "llamacpp",
    ),
    Refusal(
        "llamacpp",
        501,
        {"error": {"code": 501, "message": "This server does not support embeddings.", "type": "not_supported_error"}},
        "feature_unsupported",
        "llamacpp",
    ),
    Refusal(
        "ollama",
        404,
        {
            "error": {
                "message": 'model "x" not found, try pulling it first',
                "type": "api_error",
                "param": None,
                "code": None,
            }
        },
        "model_removed",
        "ollama",
    ),
    Refusal(
        "ollama",
        400,
        {"error": {"message": "registry.ollama.ai/library/x does not support tools", "type": "api_error"}},
        "feature_unsupported",
        "ollama",
    ),
    Refusal(
        "ollama",
        500,
        {"error": {"message": "model requires more system memory (8.0 GiB) than is available (4.2 GiB)"}},
        "overloaded",
        "ollama",
    ),
    Refusal(
        "ollama",
        503,
        {"error": "server busy, please try again. maximum pending requests exceeded"},
        "overloaded",
        "ollama",
    ),
    Refusal(
        "lmstudio",
        400,
        {
            "error": "The number of tokens to keep from the initial prompt is greater than the context length. Try to "
            "load the model with a larger context length, or provide a shorter input"
        },
        "context_exceeded",
        "lmstudio",
    ),
    # --- things in between
    Refusal(
        "cloudflare", 403, b"<!DOCTYPE html><title>Attention Required!</title>Sorry, you have been blocked", "blocked"
    ),
    Refusal("nginx", 502, b"<html><head><title>502 Bad Gateway</title></head></html>", "server_error"),
    Refusal("nginx", 504, b"<html><head><title>504 Gateway Time-out</title></head></html>", "timed_out"),
    Refusal("nginx", 404, b"404 page not found", "endpoint_missing"),
    Refusal("fastapi", 404, {"detail": "Not Found"}, "endpoint_missing"),
    Refusal("a balancer", 301, b"", "redirected"),
    Refusal(
        "a balancer",
        503,
        b"",
        "overloaded",
        headers={"date": "Sat, 22 Aug 2026 12:00:00 GMT", "retry-after": "Sat, 22 Aug 2026 12:02:00 GMT"},
        wait_s=120.0,
    ),
)
