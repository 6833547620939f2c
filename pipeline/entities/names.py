"""Takes a model's name apart in small pure steps, listed in order in `STEPS`.

What a name says is decided here, from the name alone. What needs other records (is `-thinking` a way of running the
model or a checkpoint of its own?) is only noted here and settled in `linkage.py`. Words are listed in `vocabulary.py`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from pipeline.entities import vocabulary as words_of

LONGEST_NAME = 200
"""Characters; nothing longer is a model's name."""


class NameParts(NamedTuple):
    """A name taken apart. Empty text and None mean that the name does not say."""

    vendor: str
    """Canonical vendor as stated by author, prefix or organisation."""
    family_vendor: str
    """Vendor that the family word belongs to: meta for any llama."""
    words: str
    """Family and every word the vocabulary does not know, sorted: 'claude', 'hermes llama'."""
    tier: str
    """mini, flash, pro, opus, ...; sorted."""
    modality: str
    training: str
    """distill, merge, dpo, abliterated, ...; sorted."""
    version: str
    """Version numbers, sorted: '3.1', '3 3.1'."""
    revision: str
    """Checkpoint counter of Gemini's kind: '001', '002'."""
    size: str
    """Total parameters in billions as written, or experts x size: '70', '8x7'."""
    size_b: float | None
    """Total parameters, in billions."""
    active_b: float | None
    """Active parameters, in billions."""
    context: str
    """Context length that belongs to the name: '128k'."""
    date: str
    """Release date, '?' for what is not said: '2024-08-06', '????-05-28', '2025-07-??'."""
    stage: str
    """'instruct', 'chat', 'base' or ''."""
    preview: str
    """preview, exp, beta, alpha or ''."""
    mode: str
    """thinking, instant, max, medium where that may be a mode or a checkpoint; see `linkage.py`."""
    mode_in_brackets: bool
    effort: str
    variant: str
    quantization: str
    order: str
    """Words and numbers in the order they stand, without company, format and noise: tells two repositories of one
    author apart that say the same in another order or say it twice."""
    is_garbage: bool
    """Holds no word or number that could name a model."""


@dataclass
class _Draft:
    """What the steps pass on to each other."""

    text: str
    source: str
    vendor: str = ""
    author: str = ""
    brackets: list[str] = field(default_factory=list)
    pieces: list[tuple[str, str]] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    effort: list[str] = field(default_factory=list)
    mode: str = ""
    mode_in_brackets: bool = False
    preview: str = ""
    variant: str = ""
    quantization: list[str] = field(default_factory=list)


@lru_cache(maxsize=200_000)
def vendor_of(spelling: str) -> str:
    """Canonical vendor of any spelling: 'Meta-Llama' → 'meta', 'zai-org' → 'z-ai'; an unknown one is kept plain."""
    plain = re.sub(r"[^a-z0-9]+", "", spelling.lower())
    known = words_of.VENDOR_OF_SPELLING.get(plain)
    if known:
        return known
    short = _COMPANY_ENDING.sub("", plain)
    return words_of.VENDOR_OF_SPELLING.get(short, short)


_COMPANY_ENDING = re.compile(r"(?<=.{4})(ai|labs?|org|research|team|inc|official|technologies|initiative)+$")


# -- steps ------------------------------------------------------------------------------------------------------------

_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def fold(draft: _Draft) -> None:
    """Lower case, compatibility forms, no invisible or direction-changing characters, a bounded length."""
    text = draft.text
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text[: LONGEST_NAME * 2]))
    draft.text = text.lower().strip()[:LONGEST_NAME]


_GGUF_FILE = re.compile(r"([^/]+?)(?:-\d{5}-of-\d{5})?\.gguf$")


_HOSTED_SPEED = re.compile(r"(?:(?<=instruct)-(?:turbo|lite|reference)|-tput)(?=$|-)")
_POINT_AS_P = re.compile(r"(?<![a-z0-9])([a-z]*\d+)p(\d+)(?![a-z0-9])")


def unpack_hosted_name(draft: _Draft) -> None:
    """`accounts/fireworks/models/llama-v3p1-8b-instruct`, `models/gemini-2.5-pro`, `…-instruct-turbo`: what a provider
    puts around a name, and how it quantises the weights it serves."""
    if draft.source not in words_of.HOSTED_SOURCES:
        return
    text = re.sub(r"^(?:accounts/[^/]+/)?models/", "", draft.text)
    text = _POINT_AS_P.sub(r"\1.\2", text)
    speed = _HOSTED_SPEED.search(text)
    if speed:
        text = _HOSTED_SPEED.sub("", text)
        draft.quantization.append(speed[0].removeprefix("-"))
    if draft.source in words_of.PRICE_LISTS:
        text, _, draft.variant = text.partition(":")
    draft.text = words_of.HOSTED_NAMES.get(text, text)


def unpack_local_name(draft: _Draft) -> None:
    """Ollama's `library:tag`, `hf.co/author/repository:quant`, GGUF paths: written out as repositories are."""
    if draft.source != "upstream":
        return
    text = draft.text.removeprefix("hf.co/").removeprefix("huggingface.co/").removeprefix("library/")
    file = _GGUF_FILE.search(text)
    if file:
        draft.text = file[1]
        draft.quantization.append("gguf")
        return
    library, _, tag = text.partition(":")
    size = re.match(r"(?:\d+x)?\d+(?:\.\d+)?b|latest|mini|medium|instruct|", tag)
    known = words_of.LOCAL_NAMES.get(library, {}).get(size[0] if size else "")
    if known and "text" not in tag:
        rest = tag[len(size[0]) :] if size else ""
        draft.text = known.lower() + rest.replace(":", "-")
    else:
        # Ollama's "text" tag is the base model
        tag = re.sub(r"\btext\b", "base", tag)
        draft.text = f"{library}-{tag}" if tag else library


def detach_variant(draft: _Draft) -> None:
    """`:free`, `:batch`, `:thinking` are offers of a marketplace, not models. `~` marks a moving alias."""
    if draft.source == "openrouter":
        text, _, draft.variant = draft.text.lstrip("~").partition(":")
        draft.text = text


_AUTHOR_IN_REPOSITORY = re.compile(r"^([a-z0-9-]{2,20})_(?=[a-z])(.+)$")


def detach_author(draft: _Draft) -> None:
    """`author/name`, and `author_name` as some mirrors write it."""
    author, slash, rest = draft.text.rpartition("/")
    if slash:
        draft.author = author.rpartition("/")[2]
        draft.text = rest
        # a server's copy of a conversion says nothing about whose model it is
        if not draft.vendor and not (draft.source == "upstream" and _is_mirror(draft.author)):
            draft.vendor = vendor_of(draft.author)
    if "_" in draft.text and draft.source in ("huggingface", "upstream"):
        match = _AUTHOR_IN_REPOSITORY.match(draft.text)
        if match and re.sub(r"[^a-z0-9]", "", match[1]) in words_of.VENDOR_OF_SPELLING:
            draft.text = match[2]


def _is_mirror(author: str) -> bool:
    return re.sub(r"[^a-z0-9]", "", author) in words_of.MIRROR_AUTHORS


_BRACKET = re.compile(r"\(([^()]*)\)")
_EFFORT_IN_BRACKETS = re.compile(r"\b(non-reasoning|no-thinking|non-thinking|reasoning|thinking|fallback|harness)\b")


def read_brackets(draft: _Draft) -> None:
    """`(Reasoning, High Effort)`, `(thinking-32k)`, `(xHigh)` say how it was run; other brackets belong to the name."""
    if "(" not in draft.text:
        return
    kept = []
    for inside in _BRACKET.findall(draft.text):
        for part in inside.split(","):
            part = part.strip()
            if "harness" in part:
                draft.variant = part
            elif _EFFORT_IN_BRACKETS.search(part) or part.endswith("effort"):
                if part.startswith(("non", "no-")):
                    draft.effort.append("none")
                elif "fallback" not in part:
                    if "reasoning" in part or "thinking" in part:
                        draft.mode, draft.mode_in_brackets = "thinking", True
                    word = re.search(r"\b(xhigh|high|medium|low|minimal|max|\d+k)\b", part)
                    if word:
                        draft.effort.append(word[1])
            elif part in words_of.EFFORTS or part in words_of.AMBIGUOUS_TIERS:
                draft.effort.append(part)
            elif part not in ("free", "batch"):
                kept.append(part)
    draft.text = f"{_BRACKET.sub(' ', draft.text)} {' '.join(kept)}"


def cut(draft: _Draft) -> None:
    """Into pieces: a kind (word, number, size, active, context, format, date, ...) and a value each."""
    text = draft.text
    if "+" in text:
        text = text.replace("+", " plus ")
    if "'" in text or "’" in text:
        text = text.replace("'", " ").replace("’", " ")
    pieces = draft.pieces
    for chunk in _SEPARATOR.split(text):
        if chunk:
            pieces.extend(_pieces(chunk))


_SEPARATOR = re.compile(r"[^\w.]+|_|(?<!\d)\.|\.(?!\d)")

_SIZE = re.compile(r"^(\d*\.?\d+)(b|m|t)$")
_EXPERTS = re.compile(r"^(\d+)x(\d+(?:\.\d+)?)(b|m)$")
_EXPERTS_TURNED = re.compile(r"^(\d+(?:\.\d+)?)bx(\d+)$")
_ACTIVE = re.compile(r"^a(\d+(?:\.\d+)?)(b|m)$")
_EFFECTIVE = re.compile(r"^e(\d+(?:\.\d+)?)b$")
_BOTH_SIZES = re.compile(r"^(\d+(?:\.\d+)?)a(\d+(?:\.\d+)?)b$")
_CONTEXT = re.compile(r"^(\d+)k$")
_EXPERT_COUNT = re.compile(r"^\d{2,3}e$")
_QUANT = re.compile(r"^(?:[it]?q\d\w*|w\d+a\d+\w*|\d+(?:\.\d+)?bits?|[48]bpw|\d+(?:\.\d+)?bpw|g\d{2,3}|gs\d{2,3})$")
_VERSION = re.compile(r"^v(\d+(?:\.\d+)*)([a-z]?)$")
_NUMBER = re.compile(r"^\d+(?:\.\d+)*$")
_WORD_NUMBER = re.compile(r"^([a-z]+)(\d+(?:\.\d+)*)$")
_NUMBER_LETTER = re.compile(r"^(\d+(?:\.\d+)?)([a-z])$")
_FAMILY_NUMBER_REST = re.compile(r"^(llama|qwen|gemma|phi|mistral)(\d(?:\.\d+)?)([a-z]{2,})$")


@lru_cache(maxsize=200_000)
def _pieces(chunk: str) -> tuple[tuple[str, str], ...]:
    """Pieces of one chunk without separators. Cached: names are made of few distinct chunks."""
    if chunk.isalpha() and chunk.isascii():
        return (("word", chunk),)
    short = words_of.SYNONYMS.get(chunk)
    if short:
        return tuple(piece for part in short for piece in _pieces(part))
    if chunk in words_of.FORMATS or _QUANT.match(chunk):
        return (("format", chunk),)
    match = _SIZE.match(chunk)
    if match:
        value = float(match[1])
        if match[2] == "m" and value < 10:
            return (("context", chunk),)
        return (("size", _plain(value * {"b": 1.0, "m": 0.001, "t": 1000.0}[match[2]])),)
    match = _EXPERTS.match(chunk)
    if match:
        return (("experts", f"{match[1]}x{_plain(float(match[2]) * (1.0 if match[3] == 'b' else 0.001))}"),)
    match = _EXPERTS_TURNED.match(chunk)
    if match:
        return (("experts", f"{match[2]}x{_plain(float(match[1]))}"),)
    match = _ACTIVE.match(chunk)
    if match:
        return (("active", _plain(float(match[1]) * (1.0 if match[2] == "b" else 0.001))),)
    match = _EFFECTIVE.match(chunk)
    if match:
        return (("word", "e"), ("size", _plain(float(match[1]))))
    match = _BOTH_SIZES.match(chunk)
    if match:
        return (("size", _plain(float(match[1]))), ("active", _plain(float(match[2]))))
    if _CONTEXT.match(chunk):
        return (("context", chunk),)
    if _EXPERT_COUNT.match(chunk):
        return ()
    match = _VERSION.match(chunk)
    if match:
        letter = (("word", match[2]),) if match[2] else ()
        return (("version", f"v{match[1]}"), *letter)
    if _NUMBER.match(chunk):
        return (("number", chunk),)
    match = _WORD_NUMBER.match(chunk)
    if match and match[1] + match[2] not in ("gpt2", "ai21", "c4ai", "t5", "e5"):
        if match[1] in words_of.MONTHS:
            return (("word", match[1]), ("number", match[2]))
        return (("word", match[1]), ("attached", match[2]))
    match = _NUMBER_LETTER.match(chunk)
    if match:
        return (("version", match[1]), ("word", match[2]))
    match = _FAMILY_NUMBER_REST.match(chunk)
    if match:
        return (("word", match[1]), ("version", match[2]), ("word", match[3]))
    return (("word", chunk),)


def _plain(value: float) -> str:
    return f"{round(value, 4):g}"


def read_dates(draft: _Draft) -> None:
    """`2024-08-06`, `20241022`, `08-06`, `0528`, `2507`, `04-2024`, `Aug '24`, `june 2024`."""
    pieces = draft.pieces
    if not any(kind == "number" for kind, _ in pieces):
        return
    kept: list[tuple[str, str]] = []
    i = 0
    while i < len(pieces):
        kind, value = pieces[i]
        run: list[str] = []
        if kind == "number":
            while i + len(run) < len(pieces) and len(run) < 3 and pieces[i + len(run)][0] == "number":
                run.append(pieces[i + len(run)][1])
            date, length = _date(run)
            if date and not (kept or draft.dates or i + length < len(pieces)):
                date = ""  # a number alone is a name, not a date
            if date:
                draft.dates.append(date)
                i += length
                continue
        elif kind == "word" and value in words_of.MONTHS and i + 1 < len(pieces):
            year = pieces[i + 1][1]
            if pieces[i + 1][0] == "number" and re.fullmatch(r"(20)?2\d", year):
                draft.dates.append(f"20{year[-2:]}-{words_of.MONTHS[value]:02d}-??")
                i += 2
                continue
        kept.append(pieces[i])
        i += 1
    draft.pieces = kept


@lru_cache(maxsize=100_000)
def _date_of(run: tuple[str, ...]) -> tuple[str, int]:
    lengths = tuple(len(number) for number in run)
    if not all(number.isdigit() for number in run[:1]):
        return "", 0
    digits = [number if number.isdigit() else "" for number in run]
    if lengths[:3] == (4, 2, 2) and (found := _ymd(digits[0], digits[1], digits[2])):
        return found, 3
    if lengths[:3] == (2, 2, 2) and (found := _ymd("20" + digits[0], digits[1], digits[2])):
        return found, 3
    if len(run) >= 3 and lengths[2] == 4 and (found := _ymd(digits[2], digits[0].zfill(2), digits[1].zfill(2))):
        return found, 3
    if lengths[:2] == (2, 4) and (found := _ymd(digits[1], digits[0], "??")):
        return found, 2
    if lengths[:2] == (4, 2) and (found := _ymd(digits[0], digits[1], "??")):
        return found, 2
    if lengths[:2] == (2, 2) and (found := _ymd("????", digits[0], digits[1])):
        return found, 2
    first = digits[0]
    if len(first) == 8 and (found := _ymd(first[:4], first[4:6], first[6:])):
        return found, 1
    if len(first) == 6:
        if found := _ymd(first[:4], first[4:6], "??"):
            return found, 1
        if found := _ymd("20" + first[:2], first[2:4], first[4:]):
            return found, 1
    if len(first) == 4:
        if first[0] in "01" and (found := _ymd("????", first[:2], first[2:])):
            return found, 1
        if "21" <= first[:2] <= "39" and (found := _ymd("20" + first[:2], first[2:], "??")):
            return found, 1
        if "2019" <= first <= "2039":
            return f"{first}-??-??", 1
    return "", 0


def _date(run: list[str]) -> tuple[str, int]:
    return _date_of(tuple(run))


def _ymd(year: str, month: str, day: str) -> str:
    is_year = year == "????" or "2018" <= year <= "2039"
    if (
        is_year
        and "01" <= month <= "12"
        and len(month) == 2
        and (day == "??" or (len(day) == 2 and "01" <= day <= "31"))
    ):
        return f"{year}-{month}-{day}"
    return ""


def join_versions(draft: _Draft) -> None:
    """`3-5` and `2_6` are 3.5 and 2.6; `4.0` and `v1.0` are 4 and 1."""
    if not any(kind in ("number", "attached", "version") for kind, _ in draft.pieces):
        return
    joined: list[tuple[str, str]] = []
    for kind, value in draft.pieces:
        if kind in ("number", "attached", "version"):
            open_ended = joined and joined[-1][0] == "number" and len(joined[-1][1].lstrip("v")) == 1
            if kind == "number" and len(value) == 1 and open_ended:
                joined[-1] = ("version", f"{joined[-1][1]}.{value}")
                continue
            if kind == "number" and len(value) == 3 and value.isdigit() and value[0] == "0":
                joined.append(("revision", value))
                continue
            # only plain digits stay open for a following digit
            plain = value.lstrip("v")
            joined.append(("number" if plain.isdigit() and len(plain) == 1 else "version", value))
        else:
            joined.append((kind, value))
    draft.pieces = [
        ("version", _version(value)) if kind in ("number", "version") else (kind, value) for kind, value in joined
    ]


def _version(text: str) -> str:
    if text[0] == "v":
        return "v" + _version(text[1:])
    while text.endswith(".0"):
        text = text[:-2]
    return text.lstrip("0") or "0" if text.isdigit() else text


_RUN_WORDS = {"no", "non", *words_of.MODES, *words_of.EFFORTS, *words_of.AMBIGUOUS_TIERS}


def read_run_settings(draft: _Draft) -> None:
    """Efforts and modes outside brackets: `-high`, `-thinking-32k`, `-no-thinking`. Repositories' names have none."""
    is_repository = draft.source == "huggingface"
    kept: list[tuple[str, str]] = []
    pieces = draft.pieces
    if not any(value in _RUN_WORDS for _, value in pieces):
        return
    i = 0
    while i < len(pieces):
        kind, value = pieces[i]
        if kind == "word" and kept:
            following = pieces[i + 1] if i + 1 < len(pieces) else ("", "")
            if value in ("no", "non") and following[1] in words_of.MODES:
                draft.effort.append("none")
                i += 2
                continue
            if value in words_of.MODES:
                draft.mode = words_of.MODES[value]
                i += 1
                if following[0] == "context" and not is_repository:
                    draft.effort.append(following[1])
                    i += 1
                continue
            if not is_repository and value in words_of.EFFORTS:
                draft.effort.append(value)
                i += 1
                if following[0] == "context":
                    draft.effort.append(following[1])
                    i += 1
                continue
            if not is_repository and value in words_of.AMBIGUOUS_TIERS and not draft.mode:
                draft.mode = value
                i += 1
                continue
        kept.append(pieces[i])
        i += 1
    draft.pieces = kept


def read_formats(draft: _Draft) -> None:
    """Quantisations and file formats. The letters after `q4` belong to it."""
    if not any(kind == "format" or value in words_of.FORMATS for kind, value in draft.pieces):
        return
    kept: list[tuple[str, str]] = []
    after_quant = False
    for kind, value in draft.pieces:
        if kind == "format" or (kind == "word" and value in words_of.FORMATS):
            draft.quantization.append(value)
            after_quant = kind == "format" and value.lstrip("it")[:1] == "q"
            continue
        if after_quant and (value in ("k", "m", "s", "l", "xs", "xxs", "xl", "nl", "p") or value.isdigit()):
            draft.quantization[-1] += f"_{value}"
            continue
        after_quant = False
        kept.append((kind, value))
    draft.pieces = kept


STEPS: tuple[Callable[[_Draft], None], ...] = (
    fold,
    unpack_hosted_name,
    unpack_local_name,
    detach_variant,
    detach_author,
    read_brackets,
    cut,
    read_formats,
    read_dates,
    join_versions,
    read_run_settings,
)


def parse(name: str, source: str, organization: str = "") -> NameParts:
    """`name` as `source` spells it, with the vendor the source states beside it, taken apart."""
    draft = _Draft(text=name, source=source, vendor=vendor_of(organization) if organization else "")
    for step in STEPS:
        step(draft)
    return _assemble(draft, is_too_long=len(name) > LONGEST_NAME)


_UNTELLING = {*words_of.VENDOR_WORDS, *words_of.NOISE}

_KNOWN_WORDS = {
    *words_of.TUNED,
    *words_of.BASE,
    *words_of.PREVIEWS,
    *words_of.TIERS,
    *words_of.MODALITIES,
    *words_of.TRAININGS,
    *words_of.VENDOR_WORDS,
    *words_of.NOISE,
}


def _assemble(draft: _Draft, is_too_long: bool) -> NameParts:
    words: set[str] = set()
    tiers: set[str] = set()
    modalities: set[str] = set()
    trainings: set[str] = set()
    versions: list[str] = []
    own_versions: list[str] = []
    revision = size = context = stage = ""
    size_b: float | None = None
    active_b: float | None = None
    vendor_words: list[str] = []
    for kind, value in draft.pieces:
        if kind == "word":
            if value not in _KNOWN_WORDS:
                words.add(value)
            elif value in words_of.TUNED:
                stage = "chat" if value == "chat" else "instruct"
            elif value in words_of.BASE:
                # in a gemma's name PT is pretrained, elsewhere PyTorch
                if value != "pt" or any(word.endswith("gemma") for _, word in draft.pieces):
                    stage = "base"
            elif value in words_of.PREVIEWS and words:
                draft.preview = words_of.PREVIEWS[value]
            elif value in words_of.TIERS:
                tiers.add(value)
            elif value in words_of.MODALITIES:
                modalities.add(value)
            elif value in words_of.TRAININGS:
                trainings.add(words_of.TRAININGS[value])
            elif value in words_of.VENDOR_WORDS:
                vendor_words.append(value)
            elif value not in words_of.NOISE:
                words.add(value)
        elif kind == "version":
            # a family's number said twice is one; a "v2" of its own is another version even beside "llama 2"
            if value[0] == "v":
                own_versions.append(value[1:])
            elif value not in versions:
                versions.append(value)
        elif kind == "size":
            if size_b is None or float(value) > size_b:
                size, size_b = value, float(value)
        elif kind == "experts":
            count, _, each = value.partition("x")
            size, size_b = value, float(count) * float(each)
        elif kind == "active":
            active_b = float(value)
        elif kind == "context":
            context = value
        elif kind == "revision":
            revision = value
    if not words:
        words.update(vendor_words[:1])
        if draft.mode in words_of.AMBIGUOUS_TIERS and not words:
            tiers.add(draft.mode)
            draft.mode = ""
    if "chatgpt" in words:
        words.discard("gpt")
    family_vendor = _family_vendor(words)
    return NameParts(
        vendor=draft.vendor or (vendor_of(vendor_words[0]) if vendor_words else ""),
        family_vendor=family_vendor,
        words=" ".join(sorted(words)),
        tier=" ".join(sorted(tiers)),
        modality=" ".join(sorted(modalities)),
        training=" ".join(sorted(trainings)),
        version=" ".join(sorted(versions + own_versions)),
        revision=revision,
        size=size,
        size_b=size_b,
        active_b=active_b,
        context=context,
        date=draft.dates[-1] if draft.dates else "",
        stage=stage,
        preview=draft.preview,
        mode=draft.mode,
        mode_in_brackets=draft.mode_in_brackets,
        effort="-".join(dict.fromkeys(draft.effort)),
        variant=draft.variant,
        quantization="-".join(dict.fromkeys(draft.quantization)),
        order=" ".join(value for _, value in draft.pieces if value not in _UNTELLING),
        is_garbage=is_too_long or not (words or tiers or versions or own_versions),
    )


_FAMILY_RANK = {family: (rank, vendor) for rank, (family, vendor) in enumerate(words_of.VENDOR_OF_FAMILY.items())}


def _family_vendor(words: set[str]) -> str:
    found = [_FAMILY_RANK[word] for word in words if word in _FAMILY_RANK]
    return min(found)[1] if found else ""


def parse_many(rows: Iterable[tuple[str, str, str]]) -> Iterator[NameParts]:
    """`parse` of each (name, source, organization)."""
    for name, source, organization in rows:
        yield parse(name, source, organization)
