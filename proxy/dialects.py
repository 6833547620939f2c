"""What each kind of upstream understands of a request: what is kept, translated, left out, or out of the question.

One row a dialect in `DIALECTS`, one word a field in `LOSSES` for whether leaving it out loses the caller's meaning.
A new upstream with habits of its own is a new row. Encoding the body, and sending it, do not belong here. Pure.

The rules hold for requests only. Answers are relayed as they come.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from proxy.causes import Repair
from warehouse.published import Offer

Reasoning = Literal["openrouter", "effort", "budget", "switch", "template", "none"]
"""How a dialect is told how hard to think.

`openrouter`: a `reasoning` object; `effort`: `reasoning_effort`; `budget`: `thinking` with tokens; `switch`: `thinking`
on or off; `template`: `reasoning_effort`, and `chat_template_kwargs` to switch it off; `none`: not at all.
"""

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""From no thinking to all of it."""


class Adapted(NamedTuple):
    """A body that the upstream understands. Values that did not change are the caller's own objects."""

    body: dict[str, Any]
    dropped: tuple[str, ...]
    """What was left out though it was asked for, sorted: field names, or `messages.cache_control`."""


class Disqualified(NamedTuple):
    """The caller's meaning would be lost at this upstream."""

    reason: str


# --- fields ----------------------------------------------------------------------------------------------------------


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STANDARD = _words(
    "model messages prompt input stream stream_options temperature top_p n stop max_tokens max_completion_tokens "
    "presence_penalty frequency_penalty logit_bias logprobs top_logprobs seed tools tool_choice parallel_tool_calls "
    "response_format functions function_call user metadata store service_tier safety_identifier prompt_cache_key "
    "modalities audio prediction verbosity web_search_options reasoning_effort suffix echo best_of encoding_format "
    "dimensions"
)
"""OpenAI's own fields: every dialect has them, save those it lists as lacking."""

SAMPLERS = _words("top_k min_p top_a repetition_penalty")
"""Widely understood, never standard: left out where nobody says they are understood."""

OPENROUTER_ONLY = _words("provider plugins transforms route models session_id usage include_reasoning reasoning trace")
"""The convention clients send; beyond OpenRouter they mean nothing, or are translated below."""

NATIVE = _words("num_ctx num_predict num_gpu num_keep num_thread keep_alive options format think mirostat raw_mode")
"""Ollama's own, which its OpenAI-compatible side does not read either."""


def _always(value: Any) -> bool:
    return True


def _asked(value: Any) -> bool:
    return bool(value)


_PLUGINS_THAT_ACT = ("web", "file-parser")

LOSSES: Mapping[str, Callable[[Any], bool]] = {
    "n": lambda value: value != 1,
    "best_of": lambda value: value != 1,
    "logprobs": lambda value: value is not False and value != 0,
    "top_logprobs": _asked,
    "logit_bias": _asked,
    "stop": _asked,
    "tools": _asked,
    "functions": _asked,
    "function_call": lambda value: value not in ("auto", "none"),
    "tool_choice": lambda value: value != "auto",
    "parallel_tool_calls": lambda value: value is False,
    "response_format": lambda value: not isinstance(value, dict) or value.get("type") != "text",
    "modalities": lambda value: value != ["text"],
    "audio": _always,
    "suffix": _asked,
    "echo": _asked,
    "web_search_options": _always,
    "search_parameters": lambda value: not isinstance(value, dict) or value.get("mode") != "off",
    "plugins": lambda value: any(
        not isinstance(one, dict) or (one.get("id") in _PLUGINS_THAT_ACT and one.get("enabled") is not False)
        for one in (value if isinstance(value, list) else [value])
    ),
    "prompt": _always,
    "messages": _always,
    "input": _always,
}
"""Whether leaving a field out loses what the caller means, by its value. Fields that are not named here are hints."""


# --- dialects --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dialect:
    """What one kind of upstream understands beyond, and short of, OpenAI's standard fields."""

    name: str
    what: str
    """For people: whose dialect it is, and what is special."""
    hosts: tuple[str, ...] = ()
    """Ends of host names that speak it."""
    keeps: frozenset[str] = frozenset()
    """Fields beyond the standard that are sent as they are."""
    lacks: frozenset[str] = frozenset()
    """Standard fields that it refuses or silently ignores."""
    moot: frozenset[str] = frozenset()
    """Fields it need not be told: it does so anyway."""
    renames: Mapping[str, str] = field(default_factory=dict)
    is_strict: bool = False
    """It refuses fields it does not know: those that no table here names are left out."""
    length: Literal["max_tokens", "max_completion_tokens", "both"] = "max_tokens"
    """How it is told the most completion tokens."""
    needs_length: bool = False
    has_developer_role: bool = False
    has_completions: bool = False
    """It has the legacy `/completions` beside the chat, for every model. OpenAI's own has it for two old ones only."""
    reasoning: Reasoning = "effort"
    efforts: tuple[str, ...] = ()
    """Efforts it knows, where the offer does not say; empty for all."""
    history: frozenset[str] = frozenset()
    """Reasoning fields of earlier assistant messages that it wants back."""
    keeps_cache_control: bool = False
    takes_image_urls: bool = True
    """Images by address; otherwise inline data only."""
    response_formats: frozenset[str] = frozenset(("text", "json_object", "json_schema"))
    most_temperature: float = 2.0
    has_one_system_message: bool = False
    """System messages must come first and be one: many chat templates fail otherwise."""
    short_call_ids: bool = False
    """Ids of tool calls must be nine letters or digits."""


_HINTS_OF_OPENAI = "metadata store service_tier safety_identifier prompt_cache_key prediction verbosity"
_LOCAL = _words(f"{_HINTS_OF_OPENAI} user modalities audio web_search_options")
_REASONING_HISTORY = frozenset(("reasoning", "reasoning_content", "reasoning_details"))

DIALECTS: dict[str, Dialect] = {
    one.name: one
    for one in (
        Dialect(
            "openrouter",
            "OpenRouter; leaves out by itself what a host does not know",
            hosts=("openrouter.ai",),
            keeps=SAMPLERS | OPENROUTER_ONLY | {"search_parameters", "image_config"},
            moot=frozenset(("usage",)),
            length="both",
            has_developer_role=True,
            reasoning="openrouter",
            history=_REASONING_HISTORY,
            keeps_cache_control=True,
            has_completions=True,
        ),
        Dialect(
            "openai",
            "any compatible server nobody knows more about",
            has_developer_role=False,
        ),
        Dialect(
            "openai_platform",
            "OpenAI itself",
            hosts=("api.openai.com",),
            renames={"session_id": "prompt_cache_key"},
            length="max_completion_tokens",
            has_developer_role=True,
            efforts=("none", "minimal", "low", "medium", "high", "xhigh"),
        ),
        Dialect(
            "azure",
            "Azure OpenAI",
            hosts=(".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"),
            lacks=_words("service_tier web_search_options"),
            renames={"session_id": "prompt_cache_key"},
            length="max_completion_tokens",
            has_developer_role=True,
            efforts=("none", "minimal", "low", "medium", "high", "xhigh"),
        ),
        Dialect(
            "anthropic",
            "Anthropic's compatible side; silently ignores much of what it lacks",
            hosts=("api.anthropic.com",),
            lacks=_words(
                f"{_HINTS_OF_OPENAI} n logprobs top_logprobs logit_bias response_format presence_penalty "
                "frequency_penalty seed user modalities audio web_search_options functions function_call"
            ),
            needs_length=True,
            reasoning="budget",
            most_temperature=1.0,
        ),
        Dialect(
            "google",
            "Gemini's compatible side; refuses unknown fields",
            hosts=("generativelanguage.googleapis.com", "aiplatform.googleapis.com"),
            keeps=frozenset(("extra_body",)),
            lacks=_words(
                f"{_HINTS_OF_OPENAI} logprobs top_logprobs logit_bias web_search_options functions function_call user"
            ),
            is_strict=True,
            length="both",
            efforts=("none", "minimal", "low", "medium", "high"),
        ),
        Dialect(
            "mistral",
            "Mistral; refuses unknown fields",
            hosts=("api.mistral.ai",),
            keeps=frozenset(("random_seed", "prompt_mode", "safe_prompt")),
            lacks=_words(
                "logprobs top_logprobs logit_bias functions function_call user store service_tier safety_identifier "
                "prompt_cache_key modalities audio verbosity web_search_options reasoning_effort"
            ),
            moot=frozenset(("stream_options",)),
            renames={"seed": "random_seed"},
            is_strict=True,
            reasoning="none",
            most_temperature=1.5,
            has_one_system_message=True,
            short_call_ids=True,
        ),
        Dialect(
            "groq",
            "Groq",
            hosts=("api.groq.com",),
            keeps=frozenset(("reasoning_format", "include_reasoning")),
            lacks=_words(
                "n logprobs top_logprobs logit_bias metadata store prompt_cache_key safety_identifier modalities audio "
                "prediction verbosity web_search_options"
            ),
            length="both",
        ),
        Dialect(
            "deepseek",
            "DeepSeek; wants its reasoning back between tool calls",
            hosts=("api.deepseek.com",),
            keeps=frozenset(("thinking",)),
            lacks=_words(
                f"{_HINTS_OF_OPENAI} n logit_bias seed parallel_tool_calls modalities audio web_search_options"
            ),
            reasoning="switch",
            history=frozenset(("reasoning_content",)),
            response_formats=frozenset(("text", "json_object")),
        ),
        Dialect(
            "xai",
            "xAI",
            hosts=("api.x.ai",),
            keeps=frozenset(("search_parameters", "deferred")),
            lacks=_words(f"{_HINTS_OF_OPENAI} logit_bias modalities audio functions function_call"),
            length="both",
            efforts=("none", "low", "medium", "high"),
        ),
        Dialect(
            "cohere",
            "Cohere's compatible side",
            hosts=("api.cohere.ai", "api.cohere.com"),
            lacks=_words(
                f"{_HINTS_OF_OPENAI} n logit_bias top_logprobs parallel_tool_calls user modalities audio "
                "web_search_options functions function_call"
            ),
            efforts=("none", "high"),
            most_temperature=1.0,
        ),
        Dialect(
            "together",
            "Together",
            hosts=("api.together.xyz", "api.together.ai"),
            keeps=SAMPLERS,
            lacks=_words(f"{_HINTS_OF_OPENAI} modalities audio web_search_options"),
            has_completions=True,
        ),
        Dialect(
            "fireworks",
            "Fireworks; refuses unknown fields",
            hosts=("api.fireworks.ai",),
            keeps=SAMPLERS | {"context_length_exceeded_behavior", "reasoning_history"},
            lacks=_words("store service_tier safety_identifier modalities audio verbosity web_search_options"),
            is_strict=True,
            has_completions=True,
        ),
        Dialect(
            "deepinfra",
            "DeepInfra",
            hosts=("api.deepinfra.com",),
            keeps=SAMPLERS,
            lacks=_words(f"{_HINTS_OF_OPENAI} modalities audio web_search_options"),
            has_completions=True,
        ),
        Dialect(
            "moonshot",
            "Moonshot; wants its reasoning back between tool calls",
            hosts=("api.moonshot.ai", "api.moonshot.cn"),
            keeps=frozenset(("thinking", "partial")),
            lacks=_words(f"{_HINTS_OF_OPENAI} logit_bias logprobs top_logprobs modalities audio web_search_options"),
            reasoning="switch",
            history=frozenset(("reasoning_content",)),
            most_temperature=1.0,
        ),
        Dialect(
            "zai",
            "Z.ai",
            hosts=("api.z.ai", "open.bigmodel.cn"),
            keeps=frozenset(("thinking", "do_sample", "tool_stream")),
            lacks=_words(
                f"{_HINTS_OF_OPENAI} n logit_bias logprobs top_logprobs seed parallel_tool_calls presence_penalty "
                "frequency_penalty modalities audio web_search_options"
            ),
            reasoning="switch",
            history=frozenset(("reasoning_content",)),
            response_formats=frozenset(("text", "json_object")),
            most_temperature=1.0,
        ),
        Dialect(
            "vllm",
            "vLLM",
            keeps=SAMPLERS | {"chat_template_kwargs", "structured_outputs", "guided_json", "continue_final_message"},
            lacks=_LOCAL,
            length="both",
            reasoning="template",
            history=frozenset(("reasoning", "reasoning_content")),
            has_one_system_message=True,
            has_completions=True,
        ),
        Dialect(
            "llamacpp",
            "llama.cpp's server",
            keeps=SAMPLERS | {"chat_template_kwargs", "grammar", "cache_prompt", "repeat_penalty"},
            lacks=_LOCAL,
            renames={"repetition_penalty": "repeat_penalty"},
            reasoning="template",
            history=frozenset(("reasoning_content",)),
            has_one_system_message=True,
            has_completions=True,
        ),
        Dialect(
            "lmstudio",
            "LM Studio",
            keeps=SAMPLERS | {"repeat_penalty", "ttl", "draft_model"},
            lacks=_LOCAL | _words("n logprobs top_logprobs parallel_tool_calls"),
            renames={"repetition_penalty": "repeat_penalty"},
            takes_image_urls=False,
            has_one_system_message=True,
            response_formats=frozenset(("text", "json_schema")),
            has_completions=True,
        ),
        Dialect(
            "ollama",
            "Ollama's compatible side; silently ignores what it lacks",
            lacks=_LOCAL | _words("n logit_bias tool_choice parallel_tool_calls functions function_call"),
            takes_image_urls=False,
            efforts=("none", "low", "medium", "high"),
            has_completions=True,
        ),
    )
}
"""Every dialect by name. The upstream kinds of `upstreams.toml` are among them."""

_BY_UPSTREAM_NAME: Mapping[str, str] = {
    "openai": "openai_platform",
    "gemini": "google",
    "x-ai": "xai",
    "moonshotai": "moonshot",
    "z-ai": "zai",
    "zhipu": "zai",
    "togetherai": "together",
}


@cache
def dialect_of(kind: str, upstream: str = "", base_url: str = "") -> str:
    """Name of the dialect of an upstream: its kind, or for kind `openai` the vendor that its address or name tells."""
    if kind != "openai":
        return kind
    host = urlsplit(base_url).hostname or ""
    for one in DIALECTS.values():
        if any(host == end or host.endswith(end if end.startswith(".") else f".{end}") for end in one.hosts):
            return one.name
    name = upstream.lower()
    name = _BY_UPSTREAM_NAME.get(name, name)
    is_vendor = not base_url and name in DIALECTS and bool(DIALECTS[name].hosts)
    return name if is_vendor else kind


# --- adapting --------------------------------------------------------------------------------------------------------

_KEEP, _DROP, _SILENT, _READ = range(4)

_READ_FIELDS = frozenset(
    ("messages", "max_tokens", "max_completion_tokens", "reasoning", "reasoning_effort", "thinking", "enable_thinking")
) | {"provider", "response_format", "temperature", "include_reasoning", "tool_choice"}
"""Fields with rules of their own below."""


def _treatments(dialect: Dialect) -> dict[str, int]:
    known = STANDARD | SAMPLERS | OPENROUTER_ONLY | NATIVE
    found = {name: _KEEP if name in dialect.keeps or name in STANDARD else _DROP for name in known}
    found |= dict.fromkeys(dialect.keeps, _KEEP) | dict.fromkeys(dialect.lacks, _DROP)
    found |= dict.fromkeys(dialect.moot, _SILENT) | dict.fromkeys(_READ_FIELDS, _READ)
    return found


_TREATMENTS: dict[str, dict[str, int]] = {name: _treatments(one) for name, one in DIALECTS.items()}


def adapt(
    asked: Mapping[str, Any],
    kind: str,
    offer: Offer,
    effort: str | None = None,
    repairs: Iterable[Repair] = (),
) -> Adapted | Disqualified:
    """The body `asked` as the upstream of `offer` understands it, or why the caller's meaning would be lost there.

    `kind` is a dialect's name (`dialect_of`) or an upstream's kind. `effort` is the candidate's, and counts where the
    caller asks for none; so does the offer's host. `repairs` are what earlier refusals of this candidate asked for.
    The model's name is not written here.
    """
    name = kind if kind != "openai" else dialect_of(kind, offer.upstream)
    dialect = DIALECTS.get(name, DIALECTS["openai"])
    treatments = _TREATMENTS[dialect.name]
    unknown = _DROP if dialect.is_strict else _KEEP
    draft = _Draft(dialect, offer, effort)
    body, dropped = draft.body, draft.dropped
    for key, value in asked.items():
        treatment = treatments.get(key, unknown)
        if treatment == _KEEP:
            body[key] = value
        elif treatment == _READ:
            if value is not None:
                body[key] = value
        elif treatment == _DROP and value is not None:
            if key in dialect.renames:
                body.setdefault(dialect.renames[key], value)
            elif key in SAMPLERS and key in offer.supported_parameters:
                body[key] = value
            elif key in LOSSES and LOSSES[key](value):
                return Disqualified(f"{dialect.name} does not have {key}")
            else:
                dropped.add(key)
    for rule in (_tool_choice, _response_format, _messages, _length, _reasoning, _temperature, _host):
        problem = rule(draft)
        if problem is not None:
            return Disqualified(problem)
    for old, new in dialect.renames.items():
        if old in body:
            body[new] = body.pop(old)
    for repair in repairs:
        problem = _apply(repair, draft)
        if problem is not None:
            return Disqualified(problem)
    return Adapted(body, tuple(sorted(dropped)))


@dataclass
class _Draft:
    """A body in the making."""

    dialect: Dialect
    offer: Offer
    effort: str | None
    body: dict[str, Any] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)


# Each rule changes the draft, notes what it leaves out, and returns why the candidate is out of the question.


def _tool_choice(draft: _Draft) -> str | None:
    body, dialect = draft.body, draft.dialect
    choice = body.get("tool_choice")
    if choice is None or "tool_choice" not in dialect.lacks:
        return None
    del body["tool_choice"]
    if choice == "none":
        body.pop("tools", None)
    elif choice != "auto":
        return f"{dialect.name} cannot be told which tool to call"
    return None


def _response_format(draft: _Draft) -> str | None:
    body, dialect = draft.body, draft.dialect
    wanted = body.get("response_format")
    if wanted is None:
        return None
    named = wanted.get("type") if isinstance(wanted, dict) else None
    kind = named if isinstance(named, str) else None
    if "response_format" in dialect.lacks:
        del body["response_format"]
        return None if kind == "text" else f"{dialect.name} does not have response_format"
    if kind in dialect.response_formats or kind not in ("json_object", "json_schema"):
        return None
    if kind == "json_object" and "json_schema" in dialect.response_formats:
        any_object = {"name": "any_object", "schema": {"type": "object"}}
        body["response_format"] = {"type": "json_schema", "json_schema": any_object}
        return None
    return f"{dialect.name} does not have response_format {kind}"


def _temperature(draft: _Draft) -> str | None:
    body, dialect, dropped = draft.body, draft.dialect, draft.dropped
    value = body.get("temperature")
    if isinstance(value, int | float) and value > dialect.most_temperature:
        body["temperature"] = dialect.most_temperature
    listed = draft.offer.supported_parameters
    if dialect.reasoning != "openrouter" and listed:
        for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed"):
            if name in body and name not in listed:
                del body[name]
                dropped.add(name)
    return None


def _length(draft: _Draft) -> str | None:
    body, dialect = draft.body, draft.dialect
    given = {name: body[name] for name in ("max_completion_tokens", "max_tokens") if name in body}
    value = next(iter(given.values()), None)
    cap = draft.offer.max_output_tokens
    if value is None:
        if dialect.needs_length and "messages" in body:
            body["max_tokens"] = cap or 8_192
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        return None  # the upstream says what is wrong with it
    limited = value if cap is None or value <= cap else cap
    name = next(iter(given)) if dialect.length == "both" else dialect.length
    if "messages" not in body and "max_tokens" in given:
        name = "max_tokens"  # legacy completions know no other
    if len(given) == 1 and name in given and limited == value:
        return None
    for one in given:
        del body[one]
    body[name] = limited
    return None


def _host(draft: _Draft) -> str | None:
    body, host_tag = draft.body, draft.offer.host_tag
    wish = body.get("provider")
    if draft.dialect.name != "openrouter":
        if wish is not None:
            del body["provider"]
            draft.dropped.add("provider")
        return None
    if host_tag is None or (wish is not None and not isinstance(wish, dict)):
        return None
    wish = wish or {}
    if wish.get("order") or wish.get("sort"):
        return None
    # A host that is ranked is the host that is called; the caller's own list of hosts stays, with ours first in it.
    body["provider"] = {**wish, "order" if wish.get("only") else "only": [host_tag]}
    return None


class _Thought(NamedTuple):
    """How hard the caller wants it to think, in whichever convention it was said."""

    effort: str | None
    budget: int | None
    is_hidden: bool
    fields: tuple[str, ...]


_THOUGHT_FIELDS = ("reasoning_effort", "reasoning", "thinking", "enable_thinking", "include_reasoning")
_BUDGETS = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 32_768, "max": 65_536}


def _thought(body: Mapping[str, Any]) -> _Thought:
    effort: str | None = None
    budget: int | None = None
    fields = tuple(name for name in _THOUGHT_FIELDS if name in body)
    thinking, reasoning = body.get("thinking"), body.get("reasoning")
    if isinstance(thinking, dict):
        if isinstance(thinking.get("budget_tokens"), int):
            budget = thinking["budget_tokens"]
        if thinking.get("type") == "disabled":
            effort = "none"
        elif budget is None:
            effort = "medium"
    if body.get("enable_thinking") is False:
        effort = "none"
    if isinstance(reasoning, dict):
        if reasoning.get("enabled") is False:
            effort = "none"
        if isinstance(reasoning.get("max_tokens"), int):
            budget = reasoning["max_tokens"]
        if isinstance(reasoning.get("effort"), str):
            effort = reasoning["effort"]
    if isinstance(body.get("reasoning_effort"), str):
        effort = body["reasoning_effort"]
    hidden = body.get("include_reasoning") is False or (
        isinstance(reasoning, dict) and reasoning.get("exclude") is True
    )
    return _Thought(effort, budget, hidden, fields)


def effort_of_budget(tokens: int) -> str:
    """The effort that a budget of thinking tokens comes nearest to."""
    if tokens <= 0:
        return "none"
    return next((name for name, most in _BUDGETS.items() if tokens <= most), "max")


def nearest_effort(effort: str, known: Sequence[str]) -> str | None:
    """The effort of `known` that is nearest to `effort`, the lesser of two; the effort itself where none is known."""
    if not known or effort in known:
        return effort
    if effort not in EFFORTS:
        return None
    at = EFFORTS.index(effort)
    places = [EFFORTS.index(one) for one in known if one in EFFORTS]
    if effort == "none" or not places:
        return None
    return EFFORTS[min(places, key=lambda place: (abs(place - at), place))]


def _reasoning(draft: _Draft) -> str | None:
    body, dialect, offer, effort, dropped = draft.body, draft.dialect, draft.offer, draft.effort, draft.dropped
    if effort is None and body.keys().isdisjoint(_THOUGHT_FIELDS):
        return None
    thought = _thought(body)
    own = effort if effort in EFFORTS and thought.effort is None and thought.budget is None else None
    if "prompt" in body and dialect.reasoning != "openrouter":
        own = None  # a text that is continued is not thought about first
    if not thought.fields and own is None:
        return None
    if dialect.reasoning == "openrouter":
        _reasoning_for_openrouter(body, thought, own)
        return None
    wanted = own or thought.effort or (effort_of_budget(thought.budget) if thought.budget is not None else None)
    known = offer.supported_efforts or dialect.efforts
    nearest = nearest_effort(wanted, known) if wanted else None
    kept = body.get("thinking") if "thinking" in dialect.keeps else None
    is_same = wanted is not None and body.get("reasoning_effort") == nearest
    for name in thought.fields:
        if not (name == "reasoning_effort" and is_same and dialect.reasoning in ("effort", "template")):
            del body[name]
    if thought.is_hidden:
        dropped.add("reasoning.exclude")
    if wanted is None:
        return None
    if offer.supports_reasoning is False or nearest is None or dialect.reasoning == "none":
        if own is None and not (wanted == "none" and offer.supports_reasoning is False):
            dropped.update(thought.fields)
        return None
    if dialect.reasoning == "effort":
        body["reasoning_effort"] = nearest
    elif dialect.reasoning == "template":
        if nearest == "none":
            body.pop("reasoning_effort", None)
            body["chat_template_kwargs"] = {"enable_thinking": False, **(body.get("chat_template_kwargs") or {})}
        else:
            body["reasoning_effort"] = nearest
    elif dialect.reasoning == "switch":
        body["thinking"] = kept or {"type": "disabled" if nearest == "none" else "enabled"}
    else:
        _budget_for_anthropic(body, thought, nearest, dropped)
    return None


def _reasoning_for_openrouter(body: dict[str, Any], thought: _Thought, own: str | None) -> None:
    if "thinking" in body or "enable_thinking" in body:
        body.pop("thinking", None)
        body.pop("enable_thinking", None)
        if "reasoning" not in body and "reasoning_effort" not in body:
            given = {"effort": thought.effort} if thought.budget is None else {"max_tokens": thought.budget}
            body["reasoning"] = given if given != {"effort": None} else {"enabled": True}
    if own is not None:
        stated = body.get("reasoning")
        body["reasoning"] = {**(stated if isinstance(stated, dict) else {}), "effort": own}


def _budget_for_anthropic(body: dict[str, Any], thought: _Thought, effort: str, dropped: set[str]) -> None:
    """Thinking needs 1,024 tokens at least, room for the answer beside it, and temperature 1."""
    room = body.get("max_tokens")
    budget = thought.budget or _BUDGETS.get(effort, 0)
    if isinstance(room, int):
        budget = min(budget, room * 4 // 5)
    if effort == "none":
        return
    if budget < 1_024:
        dropped.update(thought.fields)
        return
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    for name in ("temperature", "top_p", "top_k"):
        if body.pop(name, None) is not None:
            dropped.add(name)


# --- messages --------------------------------------------------------------------------------------------------------


def _messages(draft: _Draft) -> str | None:
    body, dialect, dropped = draft.body, draft.dialect, draft.dropped
    messages = body.get("messages")
    if not isinstance(messages, list):
        return None
    changed: list[Any] | None = None
    for i, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        content = message.get("content")
        is_plain = type(content) is str and len(message) == 2  # role and text: nothing to look at but the role
        if is_plain and (dialect.has_developer_role or message.get("role") != "developer"):
            continue
        new = _message(message, dialect, dropped)
        if isinstance(content, list):
            problem = _images(content, dialect)
            if problem is not None:
                return problem
        if new is not message:
            if changed is None:
                changed = list(messages)
            changed[i] = new
    if dialect.has_one_system_message:
        changed = _with_one_system_message(messages if changed is None else changed) or changed
    if changed is not None:
        body["messages"] = changed
    tools = body.get("tools")
    if not dialect.keeps_cache_control and isinstance(tools, list):
        stripped = _without_cache_control(tools)
        if stripped is not tools:
            body["tools"] = stripped
            dropped.add("tools.cache_control")
    return None


def _with_one_system_message(messages: list[Any]) -> list[Any] | None:
    """The first system messages as one, later ones as the user's; None where that is so already."""

    def is_system(message: Any) -> bool:
        return isinstance(message, dict) and message.get("role") == "system"

    if not any(is_system(message) for message in messages[1:]):
        return None
    leading = list(itertools.takewhile(is_system, messages))
    rest = [{**one, "role": "user"} if is_system(one) else one for one in messages[len(leading) :]]
    if len(leading) < 2:
        return [*leading, *rest]
    texts = [one.get("content") for one in leading]
    if all(isinstance(text, str) for text in texts):
        return [{"role": "system", "content": "\n\n".join(texts)}, *rest]
    parts = [[{"type": "text", "text": text}] if isinstance(text, str) else text or [] for text in texts]
    return [{"role": "system", "content": list(itertools.chain.from_iterable(parts))}, *rest]


def _message(message: dict[str, Any], dialect: Dialect, dropped: set[str]) -> dict[str, Any]:
    """One message as the dialect reads it; the same object where nothing changes."""
    new = message
    if message.get("role") == "developer" and not dialect.has_developer_role:
        new = {**new, "role": "system"}
    lost = _REASONING_HISTORY.intersection(message) - dialect.history
    if lost:
        # Thinking of an earlier turn is only of use to the host it came from.
        new = {name: value for name, value in new.items() if name not in lost}
        dropped.update(f"messages.{name}" for name in lost)
    if dialect.short_call_ids and ("tool_calls" in message or "tool_call_id" in message):
        new = _with_short_ids(new)
    if not dialect.keeps_cache_control:
        content = message.get("content")
        parts = _without_cache_control(content) if isinstance(content, list) else None
        if parts is not None and parts is not content:
            # What was a list for its mark's sake becomes the plain text again, which every host takes.
            is_plain = len(parts) == 1 and isinstance(parts[0], dict) and set(parts[0]) == {"type", "text"}
            new = {**new, "content": parts[0]["text"] if is_plain else parts}
            dropped.add("messages.cache_control")
        if "cache_control" in new:
            new = {name: value for name, value in new.items() if name != "cache_control"}
            dropped.add("messages.cache_control")
    return new


def _without_cache_control(parts: list[Any]) -> list[Any]:
    """The parts without their cache marks; the same object where there are none."""
    if not any(isinstance(part, dict) and "cache_control" in part for part in parts):
        return parts
    return [
        {name: value for name, value in part.items() if name != "cache_control"} if isinstance(part, dict) else part
        for part in parts
    ]


def _images(parts: list[Any], dialect: Dialect) -> str | None:
    if dialect.takes_image_urls:
        return None
    for part in parts:
        image = part.get("image_url") if isinstance(part, dict) else None
        url = image.get("url") if isinstance(image, dict) else image
        if isinstance(url, str) and not url.startswith("data:"):
            return f"{dialect.name} takes images inline only, not by address"
    return None


def _with_short_ids(message: dict[str, Any]) -> dict[str, Any]:
    new = dict(message)
    if isinstance(new.get("tool_call_id"), str):
        new["tool_call_id"] = _short_id(new["tool_call_id"])
    if isinstance(new.get("tool_calls"), list):
        new["tool_calls"] = [
            {**call, "id": _short_id(call["id"])}
            if isinstance(call, dict) and isinstance(call.get("id"), str)
            else call
            for call in new["tool_calls"]
        ]
    return new


def _short_id(call_id: str) -> str:
    """Nine letters or digits, the same for the same id."""
    if len(call_id) == 9 and call_id.isascii() and call_id.isalnum():
        return call_id
    return hashlib.blake2b(call_id.encode(), digest_size=8).hexdigest()[:9]


# --- repairs ---------------------------------------------------------------------------------------------------------


def _apply(repair: Repair, draft: _Draft) -> str | None:
    """Change the draft as the upstream's refusal asks. Returns why that cannot be done."""
    body, dialect, dropped = draft.body, draft.dialect, draft.dropped
    name = repair.field
    if repair.kind == "limit_max_tokens" and isinstance(repair.value, int):
        known = [one for one in ("max_completion_tokens", "max_tokens") if one in body]
        field_name = known[0] if known else ("max_tokens" if dialect.length == "both" else dialect.length)
        now = body.get(field_name)
        if isinstance(now, int) and now <= repair.value:
            return "its limit of completion tokens was kept and refused all the same"
        body[field_name] = repair.value
        return None
    if name in ("reasoning_effort", "reasoning", "thinking", "include_reasoning", "chat_template_kwargs"):
        found = [one for one in (*_THOUGHT_FIELDS, "chat_template_kwargs") if body.pop(one, None) is not None]
        dropped.update(found)
        return None if found else f"it refused {name}, which was not sent"
    if name not in body or name in ("model", "messages", "stream"):
        return f"it refused {name}"
    value = body[name]
    if repair.kind == "rename" and isinstance(repair.value, str):
        body[repair.value] = body.pop(name)
        return None
    if name in LOSSES and LOSSES[name](value):
        return f"it does not have {name}"
    del body[name]
    dropped.add(name)
    return None
