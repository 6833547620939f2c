"""The contract: every published table, column, type, key and meaning, and how to read them.

What the proxy may rely on is here and nowhere else; what the pipeline publishes is checked against it.
A new column is free. A removed or re-meant one raises `CONTRACT_VERSION`, and a reader refuses another major.
How rows are computed does not belong here, nor does where the file lies (`connect.py`).

Times are UTC timestamps without zone. Prices are US dollars per million tokens unless the name says otherwise.
A null means "not known"; it never means zero, free or unlimited.
"""

from __future__ import annotations

import datetime as dt
import types
import typing
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

CONTRACT_VERSION = 1
"""The major version of the published tables. Raised when a column is removed or means something else."""

SCHEMA = "published"

R = TypeVar("R")


class Model(NamedTuple):
    """One released checkpoint or API version. Efforts, hosts, variants and quantisations are the same model."""

    model_id: Annotated[str, "our lasting, readable name, vendor/name: 'anthropic/claude-opus-4.5'"]
    name: Annotated[str, "name for people"]
    vendor: Annotated[str | None, "who made it, canonical spelling: 'anthropic'"]
    family: Annotated[str | None, "family as read from the name: 'claude-opus'"]
    version: Annotated[str | None, "version as read from the name: '4.5'"]
    kind: Annotated[str, "what it can do: chat, base, embedding, guard, image, audio, video, router, other"]
    size_b: Annotated[float | None, "total parameters, in billions"]
    active_size_b: Annotated[float | None, "active parameters of a mixture, in billions"]
    released_on: Annotated[dt.date | None, "release date, or the first listing where no release date is known"]
    knowledge_cutoff: Annotated[str | None, "as the source states it"]
    license: Annotated[str | None, "as the source states it"]
    is_open_weights: Annotated[bool | None, "whether the weights can be downloaded"]
    sources: Annotated[tuple[str, ...], "sources that know it, sorted"]
    record_count: Annotated[int, "records that were linked into it"]
    offer_count: Annotated[int, "offers that can be called, or could with a key"]


class ModelRecord(NamedTuple):
    """One record of one source, and the model it was linked to."""

    source: Annotated[str, "openrouter, lmsys_arena, huggingface, artificial_analysis, upstream, ..."]
    record_id: Annotated[str, "exactly as the source spells it; for 'upstream' it is upstream name + ':' + model name"]
    model_id: Annotated[str, "published.models"]
    match_probability: Annotated[float, "linkage probability of its strongest link; 1 when pinned, exact or alone"]
    match_reason: Annotated[str, "pinned, exact, linked or alone"]
    matched_with: Annotated[str | None, "source:record_id of the record its strongest link leads to"]
    effort: Annotated[str | None, "reasoning effort or mode that the record's name states: none, low, high, max, ..."]
    variant: Annotated[str | None, "marketplace variant that the record's name states: free, exacto, batch, ..."]
    quantization: Annotated[str | None, "quantisation or file format that the record's name states"]
    observed_at: Annotated[dt.datetime, "when the source was observed to hold it"]


class ModelAlias(NamedTuple):
    """Another spelling that resolves to a model: a record's name, a former id, a moving alias."""

    alias: Annotated[str, "the spelling, lower case"]
    model_id: Annotated[str, "published.models"]
    kind: Annotated[str, "record, former_id, moving_alias or name"]


class Offer(NamedTuple):
    """A way to call a model: an upstream's name for it, on one of its hosts where that is known."""

    offer_id: Annotated[str, "upstream:upstream_model, with @host_tag where the offer names a host"]
    model_id: Annotated[str, "published.models"]
    upstream: Annotated[str, "name of the upstream: a row of upstreams.toml, or 'openrouter'"]
    upstream_model: Annotated[str, "the name to send to that upstream"]
    host_tag: Annotated[str | None, "the upstream's tag of the host endpoint; null lets the upstream choose"]
    host_name: Annotated[str | None, "the host's name for people"]
    variant: Annotated[str | None, "free, batch, exacto, thinking, extended, ..."]
    quantization: Annotated[str | None, "as the source states it: fp8, bf16, q4_k_m"]
    kind: Annotated[str, "chat, base, embedding, guard, image, audio, video, router, alias, batch, expired, other"]
    is_callable: Annotated[bool, "whether a chat call may be routed to it"]
    not_callable_reason: Annotated[str | None, "why not"]
    is_free: Annotated[
        bool, "price zero at a marketplace (limits, and often training on prompts); false for local ones"
    ]
    is_local: Annotated[bool, "served by a server of the user's own"]
    may_train_on_prompts: Annotated[bool | None, "the host may train on or publish prompts"]
    price_in_usd_per_mtok: Annotated[float | None, "prompt tokens"]
    price_out_usd_per_mtok: Annotated[float | None, "completion tokens"]
    price_cache_read_usd_per_mtok: Annotated[float | None, "prompt tokens read from the host's cache"]
    price_cache_write_usd_per_mtok: Annotated[float | None, "prompt tokens written to the host's cache"]
    price_reasoning_usd_per_mtok: Annotated[float | None, "reasoning tokens, where they cost other than completion"]
    price_request_usd: Annotated[float | None, "each request"]
    price_image_usd: Annotated[float | None, "each input image"]
    price_tiers_json: Annotated[
        str | None,
        "prices of whole calls with longer prompts: JSON list by rising 'min_prompt_tokens', each with any of "
        "'price_in_usd_per_mtok', 'price_out_…', 'price_cache_read_…', 'price_cache_write_…'; the last tier that the "
        "prompt reaches replaces the prices it names",
    ]
    price_source: Annotated[str | None, "source:record_id the prices are from"]
    price_observed_at: Annotated[dt.datetime | None, "when that source was observed to state them"]
    context_tokens: Annotated[
        int | None, "prompt and completion together; the smaller of what model and endpoint state"
    ]
    max_output_tokens: Annotated[int | None, "most completion tokens of one call"]
    limits_source: Annotated[
        str | None, "source:record_id of the price list that window, output and abilities are from, not the listing"
    ]
    is_loaded: Annotated[bool | None, "a server of the user's own has it in memory; false: it is loaded first"]
    slots: Annotated[int | None, "calls a server of the user's own answers at once; more wait in its queue"]
    input_modalities: Annotated[tuple[str, ...], "text, image, audio, video, file"]
    supports_tools: Annotated[bool | None, "tools and tool_choice"]
    supports_json_schema: Annotated[bool | None, "response_format of type json_schema"]
    supports_json_mode: Annotated[bool | None, "response_format of type json_object"]
    supports_vision: Annotated[bool | None, "image input"]
    supports_audio: Annotated[bool | None, "audio input"]
    supports_reasoning: Annotated[bool | None, "a reasoning effort can be asked for"]
    reasoning_is_mandatory: Annotated[bool | None, "cannot be switched off"]
    supported_efforts: Annotated[tuple[str, ...], "efforts that can be asked for, as the source spells them"]
    default_effort: Annotated[str | None, "what the upstream uses when none is asked for"]
    supported_parameters: Annotated[tuple[str, ...], "request fields the upstream lists"]
    is_moderated: Annotated[bool | None, "the upstream filters prompts before the model"]
    latency_ms: Annotated[float | None, "time to the first token, median"]
    throughput_tokens_per_s: Annotated[float | None, "completion tokens a second after the first, median"]
    uptime_percent: Annotated[float | None, "share of calls answered in the last day, rate-limited ones left out"]
    expires_on: Annotated[dt.date | None, "announced last day"]
    source: Annotated[str, "source of the listing"]
    record_id: Annotated[str, "record of that source"]
    observed_at: Annotated[dt.datetime, "when the source was observed to hold it"]


class Configuration(NamedTuple):
    """A model at a reasoning effort: how good, how wordy, how fast, and on what evidence."""

    model_id: Annotated[str, "published.models"]
    effort: Annotated[str, "none, minimal, low, medium, high, xhigh, max, or 'default' where efforts mean nothing"]
    is_default: Annotated[bool, "what the model does when nothing is asked for"]
    quality: Annotated[float | None, "on the scale of the Arena text rating, overall category"]
    quality_sd: Annotated[float | None, "standard deviation of that estimate"]
    quality_basis: Annotated[str | None, "rated (by people), measured (by benchmarks) or inferred (from relatives)"]
    output_tokens: Annotated[float | None, "completion tokens of a typical answer, reasoning included"]
    latency_ms: Annotated[float | None, "time to the first answer token, reasoning included, median"]
    throughput_tokens_per_s: Annotated[float | None, "completion tokens a second, median"]
    latency_basis: Annotated[str | None, "outcomes, endpoint, measured (third party) or inferred"]


class CategoryQuality(NamedTuple):
    """How good a model at an effort is at one kind of prompt, on the scale of `configurations.quality`."""

    model_id: Annotated[str, "published.models"]
    effort: Annotated[str, "as in published.configurations"]
    category: Annotated[str, "the Arena's category: coding, math, hard_prompts, creative_writing, french, ..."]
    quality: Annotated[
        float, "rating points in this category; its ratings' mean is moved to that of 'overall', so ranks compare"
    ]
    quality_sd: Annotated[float, "standard deviation of that"]
    basis: Annotated[str, "rated (in this category), offset (its overall quality is), measured or inferred"]


class Ranking(NamedTuple):
    """An offer at an effort, placed in a profile. Score parts lie in 0..1, higher is better."""

    profile: Annotated[str, "published.profiles"]
    rank: Annotated[int, "1 is best; no two rows of a profile share one"]
    model_id: Annotated[str, "published.models"]
    offer_id: Annotated[str, "published.offers"]
    effort: Annotated[str | None, "effort to ask for; null leaves the upstream's default"]
    score: Annotated[float, "weighted sum of the parts, in 0..1"]
    quality_score: Annotated[float, "part of quality"]
    latency_score: Annotated[float, "part of latency"]
    cost_score: Annotated[float, "part of cost"]
    context_score: Annotated[float, "part of context length"]
    quality: Annotated[float | None, "estimate the part comes from, Arena scale"]
    quality_sd: Annotated[float | None, "its standard deviation"]
    quality_basis: Annotated[str | None, "rated, measured, inferred or missing"]
    latency_ms: Annotated[float | None, "expected time of a typical call, in all"]
    latency_basis: Annotated[str | None, "outcomes, endpoint, measured, inferred or missing"]
    cost_in_usd_per_call: Annotated[float | None, "expected cost of a typical call"]
    context_tokens: Annotated[int | None, "context window"]
    reliability: Annotated[float | None, "expected share of calls that are answered, rate limits included"]


class BandRanking(NamedTuple):
    """The same, for prompts of one difficulty band. Band 'medium' equals `rankings`."""

    profile: Annotated[str, "published.profiles"]
    difficulty_band: Annotated[str, "easy, medium or hard"]
    rank: Annotated[int, "1 is best; no two rows of a profile and band share one"]
    model_id: Annotated[str, "published.models"]
    offer_id: Annotated[str, "published.offers"]
    effort: Annotated[str | None, "effort to ask for; null leaves the upstream's default"]
    score: Annotated[float, "weighted sum of the parts, in 0..1"]
    quality_score: Annotated[float, "part of quality"]
    latency_score: Annotated[float, "part of latency"]
    cost_score: Annotated[float, "part of cost"]
    context_score: Annotated[float, "part of context length"]
    latency_ms: Annotated[float | None, "expected time of a typical call, in all"]
    cost_in_usd_per_call: Annotated[float | None, "expected cost of a typical call of that band"]


class CategoryRanking(NamedTuple):
    """The same for prompts of one kind of task: the first hundred offers of each upstream, ranks as in the whole list.

    What follows them stands in the order of `band_rankings`; so do time and cost, which a kind of task leaves alone.
    """

    profile: Annotated[str, "published.profiles"]
    category: Annotated[str, "kind of task: coding, maths or writing"]
    difficulty_band: Annotated[str, "easy, medium or hard"]
    rank: Annotated[int, "1 is best; no two rows of a profile, category and band share one"]
    model_id: Annotated[str, "published.models"]
    offer_id: Annotated[str, "published.offers"]
    effort: Annotated[str | None, "effort to ask for; null leaves the upstream's default"]
    score: Annotated[float, "weighted sum of the parts, in 0..1"]
    quality_score: Annotated[float, "part of quality"]
    latency_score: Annotated[float, "part of latency"]
    cost_score: Annotated[float, "part of cost"]
    context_score: Annotated[float, "part of context length"]
    rated_in: Annotated[str, "category of published.category_qualities that speaks for the kind of task"]
    quality: Annotated[float | None, "estimate there"]
    quality_sd: Annotated[float | None, "its standard deviation, more where the offer is quantised"]
    quality_basis: Annotated[str | None, "rated (in that category), offset, measured, inferred or missing"]


class ParetoPlace(NamedTuple):
    """Whether another row of the profile is at least as good, quick and cheap, and better in one of these."""

    profile: Annotated[str, "published.profiles"]
    rank: Annotated[int, "published.rankings"]
    model_id: Annotated[str, "published.models"]
    offer_id: Annotated[str, "published.offers"]
    effort: Annotated[str | None, "effort to ask for; null leaves the upstream's default"]
    quality_lower: Annotated[float | None, "quality less so many standard deviations as the profile is cautious by"]
    latency_ms: Annotated[float | None, "expected time of a typical call, in all"]
    cost_in_usd_per_call: Annotated[float | None, "expected cost of a typical call"]
    is_undominated: Annotated[bool | None, "no other row is better in one and worse in none; null where not comparable"]
    dominated_by_offer_id: Annotated[str | None, "the best ranked undominated row that is no worse: its offer"]
    dominated_by_effort: Annotated[str | None, "that row's effort"]


class Profile(NamedTuple):
    """What a caller wants most, as weights that add up to one."""

    profile: Annotated[str, "its name; auto:<name> asks for it"]
    description: Annotated[str, "one sentence for people"]
    is_default: Annotated[bool, "used when a call names none"]
    weight_quality: Annotated[float, "weight of quality"]
    weight_latency: Annotated[float, "weight of latency"]
    weight_cost: Annotated[float, "weight of cost"]
    weight_context: Annotated[float, "weight of context length"]
    caution: Annotated[float, "standard deviations that quality is lowered by before it counts"] = 0.0
    wrong_answer_usd: Annotated[float, "what a wrong answer is taken to cost its reader beside its price"] = 0.0
    soon_enough_s: Annotated[float, "less time than this to a good answer is no better"] = 0.7
    cheap_enough_usd: Annotated[float, "less than this for a good answer is no better"] = 0.0001


class Signal(NamedTuple):
    """One value that a ranking used, and the source row it came from."""

    model_id: Annotated[str, "published.models"]
    offer_id: Annotated[str | None, "published.offers, where the signal belongs to an offer"]
    effort: Annotated[str | None, "effort it was observed at, where that is known"]
    signal: Annotated[str, "quality, latency, throughput, cost, context or reliability"]
    value: Annotated[float, "value in the signal's own unit"]
    unit: Annotated[str, "arena_rating, ms, tokens_per_s, usd_per_call, tokens, share"]
    basis: Annotated[str, "rated, measured, endpoint, outcomes, listed or inferred"]
    source: Annotated[str, "published.model_records"]
    record_id: Annotated[str, "published.model_records"]
    metric: Annotated[str, "metric of that record, as in published.observations"]
    metric_value: Annotated[float | None, "the metric as the source gives it"]
    observed_at: Annotated[dt.datetime, "when"]


class Change(NamedTuple):
    """Something that is otherwise than in the publication before this one. None on the first."""

    kind: Annotated[str, "offer_appeared, offer_vanished, offer_expires, price_in, price_out, quality or first_rank"]
    model_id: Annotated[str, "published.models; of a vanished offer, the publication before"]
    offer_id: Annotated[str | None, "published.offers, where the change is an offer's"]
    effort: Annotated[str | None, "effort, where the change is of one"]
    profile: Annotated[str | None, "published.profiles, for a change of first rank"]
    before: Annotated[float | None, "value before; for a change of first rank, the rank the new leader had"]
    after: Annotated[float | None, "value now; for an expiry, days left"]
    unit: Annotated[str, "usd_per_mtok, arena_rating, rank or days"]
    is_explained: Annotated[bool, "false for a change of first rank without a change of any input"]


class PriceDisagreement(NamedTuple):
    """A price of one model at one provider that sources state differently, and what each says."""

    model_id: Annotated[str, "published.models"]
    provider: Annotated[str, "who asks it: openrouter, openai, groq, ..."]
    provider_name: Annotated[str, "what that provider calls the model, lower case, without a path of its own"]
    offer_id: Annotated[str | None, "published.offers, where it is offered here"]
    price: Annotated[str, "price_in_usd_per_mtok, price_out_..., price_cache_read_... or price_cache_write_..."]
    lowest_usd_per_mtok: Annotated[float, "least that a source says"]
    highest_usd_per_mtok: Annotated[float, "most that a source says"]
    ratio: Annotated[float | None, "highest to lowest; null where the lowest is zero"]
    used_usd_per_mtok: Annotated[float | None, "what the offer uses"]
    used_source: Annotated[str | None, "source:record_id the offer's prices are from"]
    usd_per_mtok_by_source: Annotated[dict[str, float], "what each says; 'outcomes' is what own calls reported"]
    observed_at_by_source: Annotated[dict[str, dt.datetime], "when each said it"]
    records: Annotated[tuple[str, ...], "source:record_id of each"]


class Observation(NamedTuple):
    """One metric of one record at one time: prices, ratings, latencies, benchmarks. Appended, then pruned by age."""

    source: Annotated[str, "source"]
    record_id: Annotated[str, "record of that source"]
    metric: Annotated[str, "what was measured, unit in the name: price_in_usd_per_mtok, rating, latency_p50_ms"]
    scope: Annotated[str, "'' or what narrows it: Arena subset/category, host tag, leaderboard"]
    value: Annotated[float, "value"]
    observed_at: Annotated[dt.datetime, "when the source said so"]


class SourceLoad(NamedTuple):
    """Which payload of a source is in use, where it came from and how old it is."""

    source: Annotated[str, "source"]
    payload: Annotated[str, "which of its payloads: models, endpoints, text, ..."]
    origin: Annotated[str, "live, cache, directory or bundled"]
    reference: Annotated[str, "address or file name it was read from"]
    sha256: Annotated[str, "hash of the payload"]
    observed_at: Annotated[dt.datetime, "when the source said it"]
    loaded_at: Annotated[dt.datetime, "when the pipeline read it"]
    rows_loaded: Annotated[int, "rows that went in"]
    rows_quarantined: Annotated[int, "rows that were refused"]
    problem: Annotated[str | None, "why something newer could not be used"]
    attribution: Annotated[str, "whom to credit, under which licence"]


class QuarantinedRow(NamedTuple):
    """A row that was refused, kept with its reason."""

    source: Annotated[str, "source"]
    payload: Annotated[str, "which of its payloads"]
    payload_reference: Annotated[str, "address or file name"]
    record_ref: Annotated[str, "id where there is one, else position in the payload"]
    reason: Annotated[str, "why it was refused"]
    row_json: Annotated[str, "the row, at most 2,000 characters of it"]
    observed_at: Annotated[dt.datetime, "when"]


class Decision(NamedTuple):
    """One call of the proxy: what was considered and tried, and its cost against what else could have answered."""

    decision_id: Annotated[str, "x-orchestrator-decision of the answer, which is the request_id of its outcomes"]
    began_at: Annotated[dt.datetime, "UTC start of the call"]
    total_ms: Annotated[float, "start of the call to its end"]
    endpoint: Annotated[str, "chat, completions, responses, messages or embeddings"]
    key_name: Annotated[str | None, "name of the client's key, never the key; null for the operator's own"]
    asked_model: Annotated[str | None, "the model field as it came, at most 200 characters of it"]
    profile: Annotated[str | None, "profile that chose; null when a model was named"]
    difficulty: Annotated[float | None, "0 to 1"]
    difficulty_band: Annotated[str | None, "easy, medium or hard"]
    category: Annotated[str | None, "kind of task"]
    publication_id: Annotated[str, "published.snapshot it was made under"]
    candidates: Annotated[int, "offers at an effort that could have been tried, breakers aside"]
    considered_json: Annotated[str, "the first ten of them in order: offer, effort, rank, score, expected_cost_usd"]
    removed_json: Annotated[str, "candidates that each filter removed: unavailable, needs, context, request, key, ..."]
    skipped_json: Annotated[str, "candidates whose turn came but that were not sent the call: offer, reason"]
    attempts_json: Annotated[str, "what was tried, in order: offer, effort, outcome, cause, status, ms"]
    attempts: Annotated[int, "how many were tried"]
    outcome: Annotated[str | None, "of the last attempt, one of OUTCOMES; null when nothing was tried"]
    model_id: Annotated[str | None, "published.models; of the last attempt"]
    offer_id: Annotated[str | None, "published.offers; of the last attempt"]
    effort: Annotated[str | None, "effort asked for"]
    prompt_tokens: Annotated[int | None, "of the last attempt, as the upstream reports"]
    completion_tokens: Annotated[int | None, "of the last attempt, reasoning included"]
    cost_usd: Annotated[float | None, "of all attempts together; null where no price or usage is known"]
    average_usd: Annotated[float | None, "the same tokens at the average of the candidates"]
    most_expensive_usd: Annotated[float | None, "the same tokens at the most expensive candidate"]
    most_expensive_offer_id: Annotated[str | None, "which that is"]
    route_json: Annotated[str, "what else decided: wishes of the request, session and its sum, hedging, cache"]


class Feedback(NamedTuple):
    """What a caller thought of an answer."""

    feedback_id: Annotated[str, "unique"]
    request_id: Annotated[str, "published.decisions"]
    given_at: Annotated[dt.datetime, "UTC"]
    score: Annotated[float, "-1 (useless) to 1 (just right); a thumb is one of the two"]
    profile: Annotated[str | None, "profile the call asked for; null where that is not known or a model was named"]
    model_id: Annotated[str | None, "published.models; null where the worker did not remember the call"]
    offer_id: Annotated[str | None, "published.offers"]
    effort: Annotated[str | None, "effort asked for"]


class ShadowCall(NamedTuple):
    """A call that a second candidate was sent as well, side by side with what the caller got."""

    decision_id: Annotated[str, "of the caller's call"]
    began_at: Annotated[dt.datetime, "UTC start of the shadow call"]
    profile: Annotated[str | None, "profile that chose"]
    difficulty_band: Annotated[str | None, "easy, medium or hard"]
    category: Annotated[str | None, "kind of task"]
    primary_model_id: Annotated[str, "published.models; answered the caller"]
    primary_offer_id: Annotated[str, "published.offers"]
    primary_effort: Annotated[str | None, "effort asked for"]
    primary_is_streamed: Annotated[bool, "whether the caller asked for a stream"]
    primary_ok: Annotated[bool, "whether it answered"]
    primary_first_content_ms: Annotated[float | None, "start of the attempt to the first content"]
    primary_total_ms: Annotated[float, "start of the attempt to its end"]
    primary_prompt_tokens: Annotated[int | None, "as the upstream reports"]
    primary_completion_tokens: Annotated[int | None, "as the upstream reports, reasoning included"]
    primary_cost_usd: Annotated[float | None, "reported, else computed"]
    primary_finish_reason: Annotated[str | None, "stop, length, tool_calls, ..."]
    shadow_model_id: Annotated[str, "published.models; was asked beside it"]
    shadow_offer_id: Annotated[str, "published.offers"]
    shadow_effort: Annotated[str | None, "effort asked for"]
    shadow_ok: Annotated[bool, "whether it answered"]
    shadow_cause: Annotated[str | None, "why not"]
    shadow_total_ms: Annotated[float, "start to end; it is never streamed"]
    shadow_prompt_tokens: Annotated[int | None, "as the upstream reports"]
    shadow_completion_tokens: Annotated[int | None, "as the upstream reports, reasoning included"]
    shadow_cost_usd: Annotated[float | None, "reported, else computed"]
    shadow_finish_reason: Annotated[str | None, "stop, length, tool_calls, ..."]


class Snapshot(NamedTuple):
    """The publication itself. One row."""

    contract_version: Annotated[int, "CONTRACT_VERSION it was written under"]
    publication_id: Annotated[str, "names the file: UTC time of publication"]
    built_at: Annotated[dt.datetime, "when it was published"]
    run_id: Annotated[str, "run that published it"]
    source_observed_at: Annotated[dict[str, dt.datetime], "newest observation of each source"]
    source_ages_s: Annotated[dict[str, float], "age of that observation at publication"]
    source_origins: Annotated[dict[str, str], "live, cache, directory or bundled, by source"]


@dataclass(frozen=True)
class Column:
    """A column of the contract."""

    name: str
    sql_type: str
    is_nullable: bool
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table of the contract: its row type carries columns, types and meanings."""

    name: str
    row: type[Any]
    key: tuple[str, ...]
    order: tuple[str, ...]
    is_later: bool = False
    """Came after the first publications of this contract version: a file without it is read as if it were empty."""

    @property
    def meaning(self) -> str:
        """What one row is."""
        return (self.row.__doc__ or "").strip()

    @property
    def columns(self) -> tuple[Column, ...]:
        """Columns in order."""
        return _columns(self.row)


TABLES: tuple[Table, ...] = (
    Table("models", Model, ("model_id",), ("model_id",)),
    Table("model_records", ModelRecord, ("source", "record_id"), ("source", "record_id")),
    Table("model_aliases", ModelAlias, ("alias",), ("alias",)),
    Table("offers", Offer, ("offer_id",), ("offer_id",)),
    Table("configurations", Configuration, ("model_id", "effort"), ("model_id", "effort")),
    Table(
        "category_qualities",
        CategoryQuality,
        ("model_id", "effort", "category"),
        ("category", "model_id", "effort"),
    ),
    Table("rankings", Ranking, ("profile", "rank"), ("profile", "rank")),
    Table(
        "band_rankings",
        BandRanking,
        ("profile", "difficulty_band", "rank"),
        ("profile", "difficulty_band", "rank"),
    ),
    Table(
        "category_rankings",
        CategoryRanking,
        ("profile", "category", "difficulty_band", "rank"),
        ("profile", "category", "difficulty_band", "rank"),
        is_later=True,
    ),
    Table("pareto", ParetoPlace, ("profile", "rank"), ("profile", "rank")),
    Table("profiles", Profile, ("profile",), ("profile",)),
    Table("signals", Signal, (), ("model_id", "signal", "source", "record_id", "metric")),
    Table("changes", Change, (), ("kind", "model_id", "offer_id", "effort", "profile")),
    Table(
        "price_disagreements",
        PriceDisagreement,
        ("provider", "provider_name", "price"),
        ("provider", "provider_name", "price"),
    ),
    Table(
        "observations",
        Observation,
        ("source", "record_id", "metric", "scope", "observed_at"),
        ("source", "record_id", "metric", "scope", "observed_at"),
    ),
    Table("source_loads", SourceLoad, ("source", "payload"), ("source", "payload")),
    Table("quarantine", QuarantinedRow, (), ("source", "payload", "record_ref")),
    Table("decisions", Decision, ("decision_id",), ("began_at", "decision_id")),
    Table("feedback", Feedback, ("feedback_id",), ("given_at", "feedback_id")),
    Table("shadow_calls", ShadowCall, ("decision_id",), ("began_at", "decision_id")),
    Table("snapshot", Snapshot, ("publication_id",), ("publication_id",)),
)

TABLE_OF: dict[type[Any], Table] = {table.row: table for table in TABLES}

_SQL_TYPES: dict[Any, str] = {
    str: "VARCHAR",
    int: "BIGINT",
    float: "DOUBLE",
    bool: "BOOLEAN",
    dt.date: "DATE",
    dt.datetime: "TIMESTAMP",
    tuple[str, ...]: "VARCHAR[]",
    dict[str, float]: "MAP(VARCHAR, DOUBLE)",
    dict[str, str]: "MAP(VARCHAR, VARCHAR)",
    dict[str, dt.datetime]: "MAP(VARCHAR, TIMESTAMP)",
}


def _columns(row: type[Any]) -> tuple[Column, ...]:
    columns = []
    for name, hint in typing.get_type_hints(row, include_extras=True).items():
        python_type, meaning = typing.get_args(hint)
        is_nullable = isinstance(python_type, types.UnionType)
        if is_nullable:
            (python_type,) = (part for part in typing.get_args(python_type) if part is not type(None))
        columns.append(Column(name, _SQL_TYPES[python_type], is_nullable, meaning))
    return tuple(columns)


class ContractMismatchError(Exception):
    """A published file does not hold what this version of the program reads. The text says what to do."""


def read_version(path: Path) -> tuple[int, str]:
    """Contract version and publication id of the file at `path`.

    Raises `ContractMismatchError` when the file has no readable `published.snapshot`.
    """
    with _reader(path) as connection:
        return _version(connection, path)


def _reader(path: Path) -> AbstractContextManager[Any]:
    # Who only wants to know what rows look like shall not wait for the database's library, nor keep it in memory.
    from warehouse.connect import open_reader

    return open_reader(path)


def _version(connection: Any, path: Path) -> tuple[int, str]:
    try:
        rows = connection.execute(f"SELECT contract_version, publication_id FROM {SCHEMA}.snapshot").fetchall()
    except Exception as error:
        raise ContractMismatchError(f"{path} is not a publication ({error}). Run: orchestrator refresh") from error
    if len(rows) != 1:
        raise ContractMismatchError(f"{path} has {len(rows)} snapshot rows, expected 1. Run: orchestrator refresh")
    return rows[0]  # type: ignore[no-any-return]


class PublishedRows:
    """Rows of one publication, by row type: `rows[Offer]` is a list of `Offer`."""

    def __init__(self, loaded: dict[type[Any], list[Any]]) -> None:
        self._loaded = loaded

    def __getitem__(self, row: type[R]) -> list[R]:
        return self._loaded[row]


def read(path: Path, rows: Iterable[type[Any]]) -> PublishedRows:
    """All rows of the tables whose row types are given, in the contract's order, and nothing kept open.

    Raises `ContractMismatchError` when the file was written under another contract version or lacks a column.
    """
    loaded: dict[type[Any], list[Any]] = {}
    with _reader(path) as connection:
        version, _ = _version(connection, path)
        if version != CONTRACT_VERSION:
            raise ContractMismatchError(
                f"{path} was published under contract version {version}, this program reads version "
                f"{CONTRACT_VERSION}. Run: orchestrator refresh"
            )
        there = _tables(connection)
        for row in rows:
            table = TABLE_OF[row]
            if table.is_later and table.name not in there:
                loaded[row] = []
                continue
            names = ", ".join(column.name for column in table.columns)
            query = f"SELECT {names} FROM {SCHEMA}.{table.name} ORDER BY {', '.join(table.order)}"
            try:
                found = connection.execute(query).fetchall()
            except Exception as error:
                raise ContractMismatchError(
                    f"{path} does not hold published.{table.name} as this program reads it ({error}). "
                    "Run: orchestrator refresh"
                ) from error
            lists = [i for i, column in enumerate(table.columns) if column.sql_type.endswith("[]")]
            if lists:
                found = [_with_tuples(values, lists) for values in found]
            loaded[row] = [row(*values) for values in found]
    return PublishedRows(loaded)


def _tables(connection: Any) -> set[str]:
    query = "SELECT table_name FROM duckdb_tables() WHERE schema_name = ?"
    return {name for (name,) in connection.execute(query, [SCHEMA]).fetchall()}


def _with_tuples(values: tuple[Any, ...], positions: list[int]) -> tuple[Any, ...]:
    changed = list(values)
    for position in positions:
        changed[position] = tuple(changed[position] or ())
    return tuple(changed)
