"""From a request to how hard it is: difficulty in 0..1, a band, a confidence, a category and what spoke for it.

Here: `Scorer` and `Assessment`, the surface that routing uses. Not here: reading text (`scoring`) or bodies
(`conversation`). Pure once loaded.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np

from proxy.difficulty import artefact, conversation
from proxy.difficulty.conversation import Conversation, Trajectory
from proxy.difficulty.features import NAMES
from proxy.difficulty.scoring import Reading, TextScorer

Band = Literal["easy", "medium", "hard"]
Category = Literal["coding", "maths", "writing", "translation", "extraction", "chat", "agentic"]
CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)
Continuation = Literal["new", "follow_up", "tool_loop"]

EASY_BELOW: Final = 1 / 3
HARD_FROM: Final = 2 / 3
MIN_CONFIDENCE: Final = 0.3
"""Below this the band is medium, whatever the difficulty says."""

SHORT_ASK: Final = 90
"""Only an ask shorter than this many characters may lean on earlier ones, or be small talk."""
UPKEEP_DIFFICULTY: Final = 0.05
SMALL_TALK_DIFFICULTY: Final = 0.05
PROOF_DIFFICULTY: Final = 0.6
"""The least that asking for a proof of something mathematical counts for. Set by hand: no outcome set holds proofs, and
by its length alone a theorem of one line would pass for a sum."""
WITH_IMAGES: Final = 0.6
MAX_MOVE: Final = 0.4
"""A trajectory alone moves no request across the whole scale."""
SPEAKERS: Final = 8

_QUANTITIES, _NUMBERS = NAMES.index("quantity_words"), NAMES.index("stem_numbers")
_LOG_FEW: Final = 1.0  # these features are log(1 + count)

_SMALL_TALK: Final = re.compile(
    r"(?i)^\W*(?:hi|hello|hey|hallo|hola|bonjour|ciao|good (?:morning|evening|afternoon)|thanks?"
    r"|thank you|thx|danke|merci"
    r"|gracias|great|perfect|nice|cool|awesome|bye|good ?night|lgtm"
    r"|(?:ok(?:ay)?|yes)[ ,]+(?:thanks?|thank you|thx))(?:[\s,!.]+(?:there|you|so|very"
    r"|much|again|all|a lot|it works"
    r"|works|that works|job|well|done|thanks?|thank you|thx))*\W*$"
)


def _set(text: str) -> frozenset[bytes]:
    return frozenset(text.encode().split())


# Words as `features.folded` leaves them.
_TRANSLATION: Final = _set(
    "translate translation übersetze übersetzen traduce traducir traduis traduire vertaal переведи"
)
_WRITING: Final = _set(
    "poem poems essay letter email article blog story stories song lyrics speech slogan haiku "
    "rewrite paraphrase proofread "
    "roleplay screenplay sonnet limerick novel schreibe gedicht brief poema cuento"
)
_WRITING_VERBS: Final = _set("write compose draft rewrite paraphrase proofread roleplay create schreibe escribe écris")
_CODING: Final = _set(
    "python javascript typescript java rust golang sql regex css html kotlin bash dockerfile react "
    "django api refactor "
    "traceback compile compiler codebase repo repository git bug endpoint async await thread mutex "
    "deadlock code function "
    "script def return import class struct unittest pytest npm cargo exception stacktrace json yaml "
    "php ruby swift queue "
    "worker workers dependency assert lambda"
)
_MATHEMATICS: Final = _set(
    "equation integral derivative polynomial probability theorem prime primes integer integers "
    "triangle matrix modulo "
    "divisible prove proof root roots irrational "
    "perimeter solve frac sqrt sum cdot cos sin log factor eigenvalue convergent"
)
_PROOF: Final = _set("prove disprove beweise demuestra demostrar démontre démontrer")
_EXTRACTION: Final = _set("extract summarize summarise summary classify categorize label entities zusammenfasse résume")
_CODE_FILES: Final = _set("py js ts tsx rs go cpp rb java sh toml")
_LEANING: Final = re.compile(
    r"(?i)\b(?:yes|yep|yeah|ok|okay|sure|go ahead|go on|continue|proceed|next|again|retry|still|it"
    r"|that|this|these|those|them|same"
    r"|instead|also|too|now|option|first one|second one|keep going|fix|why|try|undo|revert|do so|ja"
    r"|weiter|mach|sí|si|hazlo|oui|vas-y"
    r"|da|sim)\b|继续|好的|是的|はい|続け|계속|да\b|продолж"
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
    """What spoke, with its share of the difficulty; the strongest first. Positive is harder. Empty unless asked for."""
    in_tool_loop: bool = False
    """The request continues a chain of tool calls: keep the model that began it."""
    continuation: Continuation = "new"
    """Whether the last words stand alone, lean on earlier ones, or only a tool has answered since."""


class Scorer:
    """The loaded scorer. Immutable after construction; one serves all requests."""

    def __init__(self, model: artefact.Model) -> None:
        self._text = TextScorer(model)
        self._ladder = [float(step) for step in model.ladder]
        tenth = len(self._ladder) // 10
        self._slope = 0.8 / max(1e-6, self._ladder[-1 - tenth] - self._ladder[tenth])

    @classmethod
    def load(cls, path: Path = artefact.PATH) -> Scorer:
        """Load the committed artefact. Raises `artefact.ArtefactError`, or `OSError` when it is absent."""
        return cls(artefact.load(path))

    def raw(self, prompt: str) -> float:
        """The unbounded score of one text; higher is harder. What `score` returns."""
        return self._text.read(prompt).raw

    def assess(self, body: object, *, explain: bool = True) -> Assessment:
        """Judge a decoded request body. Never raises on JSON-shaped input; bounded work.

        A call that nobody watches leaves out what spoke (`explain=False`): naming it takes a fifth of the time.
        """
        found = conversation.read(body)
        ask = found.asks[0] if found.asks else ""
        reading = self._text.read(ask)
        difficulty = self._difficulty(reading.raw)
        confidence = _confidence(reading)
        spoke = self._spoke(reading) if explain else []
        category = _category(ask, reading, found)
        continuation: Continuation = "tool_loop" if found.in_tool_loop else "new"
        if found.upkeep:
            difficulty, confidence, spoke = UPKEEP_DIFFICULTY, 0.9, [("upkeep", UPKEEP_DIFFICULTY - 0.5)]
        elif len(ask) < SHORT_ASK and _SMALL_TALK.match(ask):
            difficulty, confidence, spoke = SMALL_TALK_DIFFICULTY, 0.9, [("small_talk", SMALL_TALK_DIFFICULTY - 0.5)]
            category = "chat"
        elif len(found.asks) > 1 and _leans(ask):
            continuation = "tool_loop" if found.in_tool_loop else "follow_up"
            earlier, sure, of = self._earlier(found)
            spoke.append(("earlier_turns", earlier - difficulty))
            difficulty, confidence = earlier, max(confidence, 0.9 * sure)
            category = of if category in ("chat", "agentic") and of != "chat" else category
        elif category == "maths" and difficulty < PROOF_DIFFICULTY and not _PROOF.isdisjoint(reading.distinct):
            spoke.append(("asks_for_proof", PROOF_DIFFICULTY - difficulty))
            difficulty = PROOF_DIFFICULTY
        if found.images:
            confidence *= WITH_IMAGES
        if found.trajectory.calls:
            moves = _moves(found.trajectory)
            difficulty = min(1.0, max(0.0, difficulty + min(MAX_MOVE, sum(by for _, by in moves))))
            spoke.extend(moves)
            confidence = min(0.95, confidence + 0.02 * min(10, found.trajectory.calls))
        if found.tools and category in ("chat", "extraction") and (found.in_tool_loop or found.trajectory.calls):
            category = "agentic"
        band: Band = "medium"
        if confidence >= MIN_CONFIDENCE:
            band = "easy" if difficulty < EASY_BELOW else "hard" if difficulty >= HARD_FROM else "medium"
        features = tuple(sorted(spoke, key=lambda item: -abs(item[1]))[:SPEAKERS]) if explain else ()
        return Assessment(difficulty, band, confidence, category, features, found.in_tool_loop, continuation)

    def _spoke(self, reading: Reading) -> list[tuple[str, float]]:
        """The strongest parts of a reading, in about units of difficulty."""
        slope = self._slope
        strongest = np.argsort(-np.abs(reading.parts))[:SPEAKERS]
        values = reading.parts[strongest].tolist()
        spoke = [
            (NAMES[index], value * slope) for index, value in zip(strongest.tolist(), values, strict=True) if value
        ]
        spoke.append(("topic", reading.topic * slope))
        if reading.shape:
            spoke.append(("question_shape", reading.shape * slope))
        return spoke

    def _earlier(self, found: Conversation) -> tuple[float, float, Category]:
        """Difficulty, confidence and category of what a leaning ask leans on: the hardest of the earlier asks.

        Stops at the first one that stands by itself; a chain of "yes" and "go on" is followed to its root.
        """
        hardest, sure, category = 0.0, 0.0, "chat"
        for ask in found.asks[1:]:
            if _SMALL_TALK.match(ask[:SHORT_ASK]):
                continue
            reading = self._text.read(ask)
            difficulty = self._difficulty(reading.raw)
            if difficulty >= hardest:
                hardest, sure, category = difficulty, _confidence(reading), _category(ask, reading, found)
            if not _leans(ask):
                break
        if found.answer_before and hardest == 0.0:
            reading = self._text.read(found.answer_before)
            hardest, sure = self._difficulty(reading.raw), 0.5 * _confidence(reading)
        return hardest, sure, category  # type: ignore[return-value]

    def _difficulty(self, raw: float) -> float:
        ladder = self._ladder
        above = bisect_right(ladder, raw)
        if above == 0:
            return 0.0
        if above == len(ladder):
            return 1.0
        low, high = ladder[above - 1], ladder[above]
        return (above - 1 + (raw - low) / (high - low)) / (len(ladder) - 1)


def _confidence(reading: Reading) -> float:
    """How much the text gives to judge by: words known, their share, and whether the two parts agree."""
    known = reading.known_words
    share = known / max(1, reading.words)
    return known / (known + 6.0) * min(1.0, 0.2 + 1.1 * share)


def _leans(ask: str) -> bool:
    """Whether a short ask only makes sense with what came before."""
    if len(ask) >= SHORT_ASK:
        return False
    return ask.count(" ") < 2 or _LEANING.search(ask) is not None


def _moves(trajectory: Trajectory) -> list[tuple[str, float]]:
    """What the agent's steps since the last ask add, in units of difficulty."""
    moves = [
        ("failing_calls", 0.07 * min(4, trajectory.recent_failures)),
        ("repeated_calls", 0.06 * min(3, trajectory.repeats)),
        ("edit_test_loop", 0.05 * min(4, trajectory.edits, trajectory.tests)),
        ("growing_edits", 0.04 * min(3, trajectory.growth)),
    ]
    if trajectory.reads and trajectory.reads == trajectory.calls and not trajectory.failures:
        moves.append(("reading_steps", -0.04 * min(3, trajectory.reads)))
    return [move for move in moves if move[1]]


def _category(ask: str, reading: Reading, found: Conversation) -> Category:
    """What kind of work it is, from the words and signs of the ask."""
    if found.upkeep:
        return "extraction"
    words = reading.distinct
    if not _TRANSLATION.isdisjoint(words) or "翻译" in ask:
        return "translation"
    if not _WRITING.isdisjoint(words) and not _WRITING_VERBS.isdisjoint(words):
        return "writing"
    if not _EXTRACTION.isdisjoint(words):
        return "extraction"
    coding, maths = len(_CODING & words), len(_MATHEMATICS & words)
    if "```" in ask or coding > max(1, maths) or (coding and coding >= maths and "(" in ask):
        return "coding"
    if maths > 1 or (maths and reading.dense[_NUMBERS] > 0):
        return "maths"
    if reading.dense[_QUANTITIES] > _LOG_FEW and reading.dense[_NUMBERS] > _LOG_FEW:
        return "maths"
    if coding or not _CODE_FILES.isdisjoint(words):
        return "coding"
    return "agentic" if found.tools else "chat"
