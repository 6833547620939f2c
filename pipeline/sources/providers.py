"""Who serves models under an API of their own: one canonical name each, its hosts, and how price lists spell it.

Data only. A provider that is missing here has no prices: add a row. Who *made* a model is a vendor, and belongs to
`pipeline/entities/vocabulary.py`; what a configured upstream is belongs to `warehouse/upstreams.py`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

PROVIDERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ai21": (("api.ai21.com",), ()),
    "alibaba": (("dashscope-intl.aliyuncs.com", "dashscope-us.aliyuncs.com"), ("dashscope",)),
    "anthropic": (("api.anthropic.com",), ()),
    "azure": (("openai.azure.com",), ()),
    "baseten": (("inference.baseten.co",), ()),
    "cerebras": (("api.cerebras.ai",), ()),
    "cohere": (("api.cohere.com", "api.cohere.ai"), ("cohere_chat",)),
    "deepinfra": (("api.deepinfra.com",), ()),
    "deepseek": (("api.deepseek.com",), ()),
    "fireworks": (("api.fireworks.ai",), ("fireworks-ai", "fireworks_ai")),
    "friendli": (("api.friendli.ai",), ("friendliai",)),
    "google": (("generativelanguage.googleapis.com",), ("gemini",)),
    "groq": (("api.groq.com",), ()),
    "hyperbolic": (("api.hyperbolic.xyz",), ()),
    "inception": (("api.inceptionlabs.ai",), ()),
    "minimax": (("api.minimax.io", "api.minimaxi.chat"), ()),
    "mistral": (("api.mistral.ai",), ()),
    "moonshotai": (("api.moonshot.ai",), ("moonshot",)),
    "nebius": (("api.studio.nebius.com", "api.studio.nebius.ai", "api.tokenfactory.nebius.com"), ()),
    "novita": (("api.novita.ai",), ("novita-ai",)),
    "openai": (("api.openai.com",), ()),
    "openrouter": (("openrouter.ai",), ()),
    "ovhcloud": (("oai.endpoints.kepler.ai.cloud.ovh.net",), ()),
    "perplexity": (("api.perplexity.ai",), ()),
    "sambanova": (("api.sambanova.ai",), ()),
    "scaleway": (("api.scaleway.ai",), ()),
    "siliconflow": (("api.siliconflow.com",), ()),
    "together": (("api.together.xyz", "api.together.ai"), ("togetherai", "together_ai")),
    "upstage": (("api.upstage.ai",), ()),
    "vercel": (("ai-gateway.vercel.sh",), ("vercel_ai_gateway",)),
    "wandb": (("api.inference.wandb.ai",), ()),
    "xai": (("api.x.ai",), ("x-ai",)),
    "z-ai": (("api.z.ai",), ("zai",)),
}
"""Canonical name → (API hosts, other spellings). Subscriptions and regional twins with prices of their own are none."""

_OF_SPELLING = {spelling: name for name, (_, others) in PROVIDERS.items() for spelling in (name, *others)}


def of_spelling(spelling: object) -> str | None:
    """Canonical name of a provider as a price list spells it; None where it is not one of ours."""
    return _OF_SPELLING.get(spelling.lower()) if isinstance(spelling, str) else None


def of_address(base_url: str) -> str | None:
    """Canonical name of the provider whose API answers at `base_url`, subdomains included."""
    host = (urlsplit(base_url).hostname or "").lower()
    return next(
        (
            name
            for name, (hosts, _) in PROVIDERS.items()
            if any(host == known or host.endswith(f".{known}") for known in hosts)
        ),
        None,
    )
