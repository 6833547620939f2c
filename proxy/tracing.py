"""Traces by OpenTelemetry's conventions for generative AI: a span a call, and below it a span an attempt.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set, and then the `otel` extra must be installed; the library is imported
nowhere else. Spans are made when a call has ended, from what is known of it anyway, so a call that runs pays nothing.
They hold names, numbers and causes, never a word of a prompt or an answer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from proxy.attempts import Attempt, Call
from proxy.clock import Clock
from proxy.settings import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SERVICE = "local-ai-orchestrator"
_OPERATIONS = {"embeddings": "embeddings", "completions": "text_completion"}
_PROVIDERS = {
    "openai_platform": "openai",
    "azure": "azure.ai.openai",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "xai": "x_ai",
    "moonshot": "moonshot_ai",
    "anthropic": "anthropic",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "groq": "groq",
}
"""The conventions' own names of vendors, by dialect; an upstream of another kind goes by its own name."""
_REQUESTED = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "n": "choice.count",
}


def load(environment: Mapping[str, str], clock: Clock) -> Traces | None:
    """Traces to the collector that the environment names; None where it names none.

    Raises `SettingsError` where it names one and the `otel` extra is not installed.
    """
    whole, base = (environment.get(name, "").strip() for name in _VARIABLES)
    if not (whole or base) or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise SettingsError(f"{_VARIABLES[1]} is set, but traces need the extra: uv sync --extra otel.") from error
    exporter = OTLPSpanExporter(endpoint=whole or f"{base.rstrip('/')}/v1/traces")
    return Traces(exporter, clock, environment.get("OTEL_SERVICE_NAME", "").strip() or _SERVICE)


class Traces:
    """Makes spans of calls that have ended and hands them to an exporter, in a thread of its own."""

    def __init__(self, exporter: SpanExporter, clock: Clock, service: str = _SERVICE) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._trace = trace
        self._clock = clock
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(_SERVICE)
        self._read_parent = TraceContextTextMapPropagator().extract

    def record(self, call: Call, status: int, traceparent: bytes | None) -> None:
        """Make the spans of a call that has ended, as children of the caller's own where it sent `traceparent`."""
        now_s = self._clock.monotonic()
        now_ns = round(self._clock.now().replace(tzinfo=dt.UTC).timestamp() * 1e9)

        def at(moment_s: float) -> int:
            return now_ns - round((now_s - moment_s) * 1e9)

        parent = self._read_parent({"traceparent": traceparent.decode("latin-1")}) if traceparent else None
        span = self._tracer.start_span(
            f"{_OPERATIONS.get(call.endpoint, 'chat')} {_asked(call)}",
            context=parent,
            kind=self._trace.SpanKind.SERVER,
            attributes=_of_call(call, status),
            start_time=at(call.started),
        )
        below = self._trace.set_span_in_context(span)
        for attempt in call.attempts:
            one = self._tracer.start_span(
                f"{_operation(attempt)} {attempt.ranked.candidate.offer.upstream_model}",
                context=below,
                kind=self._trace.SpanKind.CLIENT,
                attributes=_of_attempt(attempt),
                start_time=at(attempt.started),
            )
            if attempt.outcome != "answered":
                one.set_status(self._trace.StatusCode.ERROR)
            one.end(at(attempt.ended if attempt.ended is not None else now_s))
        if status >= 500:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(now_ns)

    def close(self) -> None:
        """Send what waits. Blocks on the network, for the exporter's time limit at most."""
        self._provider.shutdown()


def _asked(call: Call) -> str:
    """What was asked for, of few values: a name of habit or a typing error is no name for a span."""
    wanted = call.wanted
    return wanted.selections[0].model_id if wanted.selections else f"auto:{wanted.profile}"


def _operation(attempt: Attempt) -> str:
    return _OPERATIONS.get(attempt.endpoint, "chat")


def _of_call(call: Call, status: int) -> dict[str, Any]:
    last = call.attempts[-1] if call.attempts else None
    session = call.plan.session if call.plan is not None else None
    assessment = call.assessment
    found: dict[str, Any] = {
        "gen_ai.operation.name": _OPERATIONS.get(call.endpoint, "chat"),
        "gen_ai.request.model": call.request.asked_model or "auto",
        "gen_ai.response.model": last.ranked.candidate.offer.model_id if last is not None else None,
        "gen_ai.conversation.id": session.key if session is not None and session.is_stated else None,
        "http.response.status_code": status,
        "error.type": (last.cause if last is not None else None) or str(status) if status >= 400 else None,
        "orchestrator.decision_id": call.request_id,
        "orchestrator.endpoint": call.endpoint,
        "orchestrator.profile": call.profile,
        "orchestrator.difficulty": assessment.difficulty if assessment is not None else None,
        "orchestrator.difficulty_band": assessment.band if assessment is not None else None,
        "orchestrator.category": assessment.category if assessment is not None else None,
        "orchestrator.attempts": len(call.attempts),
        "orchestrator.cost_usd": sum(attempt.cost_usd or 0.0 for attempt in call.attempts),
        **_usage(last),
    }
    return {name: value for name, value in found.items() if value is not None}


def _of_attempt(attempt: Attempt) -> dict[str, Any]:
    candidate, request = attempt.ranked.candidate, attempt.call.request
    offer, account = candidate.offer, candidate.account
    where = urlsplit(account.urls["chat"]) if account is not None else None
    form = request.body.get("response_format")
    form = form.get("type") if isinstance(form, dict) else None
    found: dict[str, Any] = {
        "gen_ai.operation.name": _operation(attempt),
        "gen_ai.provider.name": _PROVIDERS.get(account.dialect, offer.upstream) if account is not None else None,
        "gen_ai.request.model": offer.upstream_model,
        "gen_ai.request.max_tokens": request.limit_tokens,
        "gen_ai.output.type": "json" if form in ("json_object", "json_schema") else None,
        "gen_ai.response.finish_reasons": (attempt.finish_reason,) if attempt.finish_reason else None,
        "server.address": where.hostname if where is not None else None,
        "server.port": (where.port or (443 if where.scheme == "https" else 80)) if where is not None else None,
        "http.response.status_code": attempt.status,
        "error.type": (attempt.cause or attempt.outcome) if attempt.outcome != "answered" else None,
        "orchestrator.model_id": offer.model_id,
        "orchestrator.offer_id": offer.offer_id,
        "orchestrator.effort": request.effort or candidate.effort,
        "orchestrator.outcome": attempt.outcome,
        "orchestrator.first_content_ms": attempt.first_content_ms,
        "orchestrator.cost_usd": attempt.cost_usd,
        **_usage(attempt),
    }
    for field, name in _REQUESTED.items():
        value = request.body.get(field)
        if isinstance(value, int | float) and not isinstance(value, bool) and not (field == "n" and value == 1):
            found[f"gen_ai.request.{name}"] = value
    return {name: value for name, value in found.items() if value is not None}


def _usage(attempt: Attempt | None) -> dict[str, int | None]:
    usage = attempt.usage if attempt is not None else None
    if usage is None:
        return {}
    return {
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
    }
