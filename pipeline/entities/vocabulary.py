"""The words that model names are made of, as data: vendors, families, tiers, stages, formats, efforts.

A word that is missing here is part of the name itself, and so tells models apart. Add a word when it does not,
or when two sources spell one thing differently. How names are taken apart belongs to `names.py`.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VENDOR_SPELLINGS: dict[str, tuple[str, ...]] = {
    "01-ai": ("01ai", "yi"),
    "ai21": ("ai21labs", "ai21lab"),
    "allenai": ("ai2", "allenaiuw", "allenaiinstitute", "allen-ai"),
    "amazon": ("aws", "amazonnova"),
    "anthropic": (),
    "arcee-ai": ("arcee",),
    "baidu": ("paddlepaddle",),
    "bytedance": ("bytedanceseed", "seed", "doubao"),
    "cohere": ("cohereforai", "coherelabs", "coherelabscommunity", "c4ai"),
    "cognitivecomputations": ("ehartford", "dphn", "dolphin", "quixiai"),
    "databricks": ("mosaicml",),
    "deepcogito": (),
    "deepseek": ("deepseekai",),
    "eleutherai": (),
    "google": ("deepmind", "googledeepmind"),
    "huggingface": ("huggingfaceh4", "huggingfacetb", "hf"),
    "ibm": ("ibmgranite", "ibmresearch"),
    "inception": ("inceptionai", "inceptionlabs"),
    "inclusionai": ("antgroup", "inclusion"),
    "kwaipilot": ("kuaishou", "kwai", "kwaikat"),
    "lg": ("lgaiexaone", "lgai", "lgairesearch"),
    "liquid": ("liquidai",),
    "lmsys": ("lmsysorg",),
    "meituan": ("meituanlongcat", "longcat"),
    "meta": ("metallama", "facebook", "metaai", "metamodels", "llama", "codellama"),
    "microsoft": ("wizardlm", "wizardlmteam", "microsoftazure", "mai", "maiai", "azure"),
    "minimax": ("minimaxai",),
    "mistral": ("mistralai", "mistralcommunity"),
    "moonshotai": ("moonshot", "kimi"),
    "naver": ("naverhyperclovax",),
    "nex-agi": ("nexagi", "nex"),
    "nexusflow": (),
    "nous": ("nousresearch", "teknium"),
    "nvidia": (),
    "berkeley": ("ucberkeley", "berkeleynest"),
    "openai": ("openaicommunity",),
    "openbmb": (),
    "openchat": (),
    "perplexity": ("perplexityai", "ppl"),
    "prime-intellect": ("primeintellect", "intellect"),
    "qwen": ("alibaba", "alibabacloud", "qwenlm", "tongyi", "alibabanlp"),
    "reka": ("rekaai",),
    "servicenow": ("servicenowai",),
    "snowflake": (),
    "stepfun": ("stepfunai",),
    "tencent": ("tencenthunyuan", "hunyuan"),
    "thinkingmachines": ("thinky", "thinkingmachineslab"),
    "tii": ("tiiuae",),
    "trillion": ("trillionlabs",),
    "tsinghua": (),
    "upstage": ("upstageai",),
    "xai": ("xaiorg", "spacexai"),
    "xiaomi": ("xiaomimimo",),
    "z-ai": ("zai", "zaiorg", "zhipu", "zhipuai", "thudm"),
}
"""Canonical vendor → its other spellings, lower case, letters and digits only."""

VENDOR_OF_SPELLING: dict[str, str] = {
    "".join(c for c in spelling if c.isalnum()): vendor
    for vendor, others in VENDOR_SPELLINGS.items()
    for spelling in (vendor, *others)
}

VENDOR_OF_FAMILY: dict[str, str] = {
    "nemotron": "nvidia",
    "minitron": "nvidia",
    "claude": "anthropic",
    "gpt": "openai",
    "chatgpt": "openai",
    "gemini": "google",
    "gemma": "google",
    "palm": "google",
    "deepseek": "deepseek",
    "qwen": "qwen",
    "qwq": "qwen",
    "qvq": "qwen",
    "llama": "meta",
    "codellama": "meta",
    "mistral": "mistral",
    "mixtral": "mistral",
    "ministral": "mistral",
    "codestral": "mistral",
    "devstral": "mistral",
    "magistral": "mistral",
    "pixtral": "mistral",
    "voxtral": "mistral",
    "grok": "xai",
    "glm": "z-ai",
    "chatglm": "z-ai",
    "kimi": "moonshotai",
    "minimax": "minimax",
    "phi": "microsoft",
    "wizardlm": "microsoft",
    "command": "cohere",
    "aya": "cohere",
    "jamba": "ai21",
    "ernie": "baidu",
    "granite": "ibm",
    "hunyuan": "tencent",
    "olmo": "allenai",
    "tulu": "allenai",
    "molmo": "allenai",
    "yi": "01-ai",
    "exaone": "lg",
    "falcon": "tii",
    "dbrx": "databricks",
    "mimo": "xiaomi",
    "longcat": "meituan",
    "lfm": "liquid",
    "hermes": "nous",
    "smollm": "huggingface",
    "internlm": "internlm",
}
"""Family word → vendor, where a name comes without one. The first hit in this order counts, so derived families
(`nemotron`, a distilled `deepseek`) stand before the ones they are derived from."""

MIRROR_AUTHORS = _words(
    """unsloth bartowski thebloke mradermacher lmstudiocommunity mlxcommunity redhatai neuralmagic huggingquants
    quantfactory maziyarpanahi ggmlorg qtgguf modelcloud isaei lonestriker turboderp second-state secondstate
    bullerwins nvfp4 solidrust casperhansen technoelonewolf legraphista qwengguf cyankiwi quanttrio cpatonn
    nightmedia ollama huihuigguf duyntnet tensorblock dranger003 ubergarm lmkit gaianet nexaai nexaaidev
    katanemo prunaai unslothai nmtesting ibmgguf stduhpf anthonym ciscoai amd intel onnxcommunity kaitchup
    shuyuej jamesburton featherlessai xtunner aphroditeengine"""
)
"""Authors who publish other people's weights in another format. Letters and digits only."""

REUPLOADERS = _words("nous nousresearch huggyllama alpindale mistralcommunity hpcaitech huggingface")
"""Authors who publish originals of others under their own account, unchanged. Letters and digits only."""

VENDOR_WORDS = _words(
    """meta nvidia ibm amazon google microsoft openai anthropic tencent baidu alibaba bytedance allenai ai21 c4ai
    cohere cohereforai lg xai snowflake upstage databricks thudm moonshotai zai mistralai metallama
    mosaicml facebook ppl perplexity ai2"""
)
"""Words that only say who made it. Vendors whose name is a family (qwen, mistral, deepseek) are not among them."""

TIERS = _words(
    """mini nano micro tiny small medium large xl xs xxl ultra max pro plus lite flash air turbo fast super premier
    haiku sonnet opus light heavy express"""
)

TUNED = frozenset({"instruct", "chat", "it", "inst"})
BASE = frozenset({"base", "pt", "pretrained", "pretrain"})

PREVIEWS: dict[str, str] = {
    "preview": "preview",
    "prev": "preview",
    "exp": "exp",
    "experimental": "exp",
    "beta": "beta",
    "alpha": "alpha",
    "early": "early",
}

MODALITIES = _words(
    """vl vision omni audio ocr speech asr tts embedding embed embeddings reranker rerank guard safeguard
    image video multimodal realtime transcribe search grounding"""
)

TRAININGS: dict[str, str] = {
    **{
        word: word
        for word in _words(
            """merge slerp dpo sft orpo ppo kto rlhf grpo lora qlora simpo sppo ipo abliterated uncensored
        distill finetune heretic reap pruned ft lorablated laser dare ties breadcrumbs roleplay rp cpt spin
        upscaled frankenmerge passthrough"""
        )
    },
    "distilled": "distill",
    "distillation": "distill",
    "merged": "merge",
    "finetuned": "finetune",
    "tuned": "finetune",
    "abliteration": "abliterated",
    "obliterated": "abliterated",
}

MODES: dict[str, str] = {
    "thinking": "thinking",
    "think": "thinking",
    "thinker": "thinking",
    "reasoning": "thinking",
    "reasoner": "thinking",
    "instant": "instant",
}
"""What is a way of running a model in one name and a checkpoint of its own in another. Settled among records."""

AMBIGUOUS_TIERS = frozenset({"max", "medium"})
"""Tiers in some names, efforts in others. Settled among records."""

EFFORTS = frozenset({"high", "low", "xhigh", "minimal", "none", "adaptive"})

FORMATS = _words(
    """gguf ggml awq gptq exl2 exl3 mlx bnb hqq aqlm imatrix ud qat nf4 onnx safetensors dynamic quantized quant
    quants autoround autogptq openvino litert bf16 fp16 fp32 f16 f32 bfloat16 float16 fp8 fp4 nvfp4 mxfp4 mxfp8
    int2 int3 int4 int5 int8 i1 unsloth w4afp8 marlin quip compressed modelopt torchao fp8dynamic"""
)

NOISE = frozenset({"hf", "latest", "api", "model", "pt", "paddle"})
"""Words that say nothing about which model it is."""

MONTHS: dict[str, int] = {
    name: number
    for number, names in enumerate(
        (
            "jan january",
            "feb february",
            "mar march",
            "apr april",
            "may",
            "jun june",
            "jul july",
            "aug august",
            "sep sept september",
            "oct october",
            "nov november",
            "dec december",
        ),
        start=1,
    )
    for name in names.split()
}

SYNONYMS: dict[str, tuple[str, ...]] = {
    "l2": ("llama", "2"),
    "l3": ("llama", "3"),
    "l3.1": ("llama", "3.1"),
    "l3.2": ("llama", "3.2"),
    "l3.3": ("llama", "3.3"),
    "ds": ("deepseek",),
}
"""Short forms that fine-tuners use, written out."""

LOCAL_NAMES: dict[str, dict[str, str]] = {
    "deepseek-r1": {
        "1.5b": "DeepSeek-R1-Distill-Qwen-1.5B",
        "7b": "DeepSeek-R1-Distill-Qwen-7B",
        "8b": "DeepSeek-R1-0528-Qwen3-8B",
        "14b": "DeepSeek-R1-Distill-Qwen-14B",
        "32b": "DeepSeek-R1-Distill-Qwen-32B",
        "70b": "DeepSeek-R1-Distill-Llama-70B",
        "671b": "DeepSeek-R1-0528",
        "latest": "DeepSeek-R1-0528-Qwen3-8B",
        "": "DeepSeek-R1-0528-Qwen3-8B",
    },
    "deepseek-v3": {"671b": "DeepSeek-V3", "latest": "DeepSeek-V3", "": "DeepSeek-V3"},
    "mistral": {
        "7b": "Mistral-7B-Instruct-v0.3",
        "latest": "Mistral-7B-Instruct-v0.3",
        "": "Mistral-7B-Instruct-v0.3",
        "instruct": "Mistral-7B-Instruct-v0.3",
    },
    "mixtral": {"8x7b": "Mixtral-8x7B-Instruct-v0.1", "8x22b": "Mixtral-8x22B-Instruct-v0.1"},
    "llama3": {"": "Meta-Llama-3-8B-Instruct", "latest": "Meta-Llama-3-8B-Instruct"},
    "llama3.1": {"": "Llama-3.1-8B-Instruct", "latest": "Llama-3.1-8B-Instruct"},
    "llama3.2": {"": "Llama-3.2-3B-Instruct", "latest": "Llama-3.2-3B-Instruct"},
    "llama3.3": {"": "Llama-3.3-70B-Instruct", "latest": "Llama-3.3-70B-Instruct"},
    "qwen2.5": {"": "Qwen2.5-7B-Instruct", "latest": "Qwen2.5-7B-Instruct"},
    "qwen3": {"": "Qwen3-8B", "latest": "Qwen3-8B"},
    "gemma3": {"": "gemma-3-4b-it", "latest": "gemma-3-4b-it"},
    "gemma2": {"": "gemma-2-9b-it", "latest": "gemma-2-9b-it"},
    "phi3": {"mini": "Phi-3-mini-4k-instruct", "medium": "Phi-3-medium-4k-instruct"},
    "phi4": {"": "phi-4", "latest": "phi-4", "14b": "phi-4"},
    "gpt-oss": {"": "gpt-oss-20b", "latest": "gpt-oss-20b"},
    "qwq": {"": "QwQ-32B", "latest": "QwQ-32B"},
    "mistral-nemo": {"": "Mistral-Nemo-Instruct-2407", "latest": "Mistral-Nemo-Instruct-2407"},
}
"""What a local server's short tag stands for, by its library: size tag → the repository it was made from.
`deepseek-r1:14b` is a distilled Qwen, not DeepSeek R1."""

PRICE_LISTS = frozenset({"models_dev", "genai_prices", "litellm_prices"})
"""Sources that repeat the names under which providers serve models: they follow the others, and anchor nothing."""

HOSTED_SOURCES = PRICE_LISTS | {"upstream"}
"""Sources whose names are those of a provider's API."""

HOSTED_NAMES: dict[str, str] = {
    "llama-3.3-70b-versatile": "llama-3.3-70b-instruct",
    "llama-3.1-70b-versatile": "llama-3.1-70b-instruct",
    "llama-3.1-8b-instant": "llama-3.1-8b-instruct",
    "llama3-70b-8192": "meta-llama-3-70b-instruct",
    "llama3-8b-8192": "meta-llama-3-8b-instruct",
    "mixtral-8x7b-32768": "mixtral-8x7b-instruct-v0.1",
}
"""Names that one provider made up for weights that others serve under their own."""

KIND_OF_FAMILY: dict[str, str] = {
    "whisper": "audio",
    "dall": "image",
    "imagen": "image",
    "flux": "image",
    "veo": "video",
    "sora": "video",
    "davinci": "base",
    "babbage": "base",
}
"""Family word → what the model can do, where that is not to chat and nothing else in the name says so."""
