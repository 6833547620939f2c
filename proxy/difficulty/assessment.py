"""From a request to how hard it is: difficulty in 0..1, a band, a confidence, a category and what spoke for it.

Here: `Scorer` and `Assessment`, the surface that routing uses. Not here: reading text (`scoring`) or bodies
(`conversation`). Pure once loaded.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from proxy.difficulty import artefact, conversation
from proxy.difficulty.conversation import Conversation
from proxy.difficulty.scoring import Reading, TextScorer

Band = Literal["easy", "medium", "hard"]
Category = Literal["coding", "maths", "writing", "translation", "extraction", "chat", "knowledge", "agentic"]
Continuation = Literal["new", "follow_up", "tool_loop"]

EASY_BELOW: Final = 1 / 3
HARD_FROM: Final = 2 / 3
MIN_CONFIDENCE: Final = 0.3
"""Below this the band is medium, whatever the difficulty says."""

_SHORT_ASK: Final = 90
_SMALL_TALK: Final = re.compile(
    r"(?i)^\W*(?:hi|hello|hey|hallo|hola|bonjour|ciao|good (?:morning|evening|afternoon)|thanks?|thank you|thx|danke|merci"
    r"|gracias|great|perfect|nice|cool|awesome|bye|good ?night|lgtm)(?:[\s,!.]+(?:there|you|so|very|much|again|all|a lot|it works"
    r"|works|that works|job|well|done))*\W*$"
)
_TRANSLATION: Final = re.compile(
    r"(?i)\btranslat|\bübersetz|\btradu[cz]|\bvertaal|翻译|翻訳|\bперевед|\bin(?:to)? (?:english|german|french|spanish|italian)\b"
)
_EXTRACTION: Final = re.compile(
    r"(?i)\bextract\b|\bsummar|\bclassify\b|\blabel (?:each|the)\b|\blist (?:all|the) (?:names|dates|entities)"
    r"|\breturn (?:only )?(?:a )?json\b|\bzusammenfass|\brésume"
)
_WRITING: Final = re.compile(
    r"(?i)\bwrite (?:me )?(?:an?|the|some)?\s*(?:\w+ ){0,3}(?:story|poem|essay|letter|e-?mail|article|blog|song|speech|script|post|review)"
    r"|\brewrite\b|\bparaphrase\b|\bproofread\b|\bschreib\b|\bslogan\b|\bhaiku\b|\brole-?play\b"
)


@dataclass(frozen=True, slots=True)
class Assessment:
    """How hard a request is."""

    difficulty: float
    """0 (any model will do) to 1 (where the strong model gains most); even steps hold even shares of prompts."""
    band: Band
    confidence: float
    """0..1. Below `MIN_CONFIDENCE` the band is medium."""
    category: Category
    features: tuple[tuple[str, float], ...]
    """What spoke, with its share of the difficulty; the strongest first. Positive is harder."""
    in_tool_loop: bool = False
    """The request continues a chain of tool calls: keep the model that began it."""
    continuation: Continuation = "new"
    """Whether the last words stand alone, lean on earlier ones, or only a tool has answered since."""


class Scorer:
    """The loaded scorer. Immutable after construction; one serves all requests."""

    def __init__(self, model: artefact.Model) -> None:
        self._text = TextScorer(model)
        self._ladder = [float(step) for step in model.ladder]

    @classmethod
    def load(cls, path: Path = artefact.PATH) -> Scorer:
        """Load the committed artefact. Raises `artefact.ArtefactError`, or `OSError` when it is absent."""
        return cls(artefact.load(path))

    def raw(self, prompt: str) -> float:
        """The unbounded score of one text; higher is harder. What `score` returns."""
        return self._text.read(prompt).raw

    def assess(self, body: object) -> Assessment:
        """Judge a decoded request body. Never raises on JSON-shaped input; bounded work."""
        found = conversation.read(body)
        ask = found.asks[0] if found.asks else ""
        reading = self._text.read(ask)
        difficulty = self._difficulty(reading.raw)
        confidence = self._confidence(reading, difficulty)
        spoke: list[tuple[str, float]] = [("words", reading.linear), ("structure", reading.trees)]
        continuation: Continuation = "tool_loop" if found.in_tool_loop else "new"
        return self._finish(found, ask, reading, difficulty, confidence, spoke, continuation)

    def _finish(
        self,
        found: Conversation,
        ask: str,
        reading: Reading,
        difficulty: float,
        confidence: float,
        spoke: list[tuple[str, float]],
        continuation: Continuation,
    ) -> Assessment:
        band: Band = "medium"
        if confidence >= MIN_CONFIDENCE:
            band = "easy" if difficulty < EASY_BELOW else "hard" if difficulty >= HARD_FROM else "medium"
        return Assessment(
            difficulty, band, confidence, "chat", tuple(spoke), found.in_tool_loop, continuation
        )

    def _difficulty(self, raw: float) -> float:
        ladder = self._ladder
        above = bisect_right(ladder, raw)
        if above == 0:
            return 0.0
        if above == len(ladder):
            return 1.0
        low, high = ladder[above - 1], ladder[above]
        return (above - 1 + (raw - low) / (high - low)) / (len(ladder) - 1)

    def _confidence(self, reading: Reading, difficulty: float) -> float:
        return reading.known_words / (reading.known_words + 8.0)
