"""The timing of `bench`: one score of a 600-byte prompt, growth with length, and input made to hurt."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from proxy.difficulty.assessment import Scorer

PROMPT: Final = (
    "A bakery sells 12 loaves for $3.50 each and 4 cakes for $18. On Monday it doubles the price of a cake, "
    "loses a third of its customers, and the owner wants to know whether the total revenue of the week still "
    "exceeds 450 dollars. Assume that every customer buys either one loaf or one cake, that loaves and cakes are "
    "bought in the same ratio as before, and that nothing is left over at the end of the day. How many cakes must "
    "be sold on Saturday so that the profit of the second week equals that of the first, if flour costs 0.80 per "
    "loaf and 2.25 per cake? Explain each step of the argument."
)
QUESTION: Final = (
    "A patient with a history of untreated hypertension is brought in with sudden tearing chest pain that radiates "
    "to the back. Blood pressure differs by 30 mmHg between the arms, and the chest film shows a widened "
    "mediastinum. Which of the following is the most appropriate next step, given that his creatinine is 2.1 and "
    "he cannot lie flat for more than ten minutes?\nA. Transoesophageal echocardiography and intravenous beta "
    "blockade\nB. Thrombolysis within the first ninety minutes\nC. Coronary angiography by the radial route\n"
    "D. Contrast computed tomography after hydration overnight\nAnswer:"
)
CODE: Final = """What does this return for the last call, and why does the second test fail?

def merge(rows, key, width=8):
    seen = {}
    for index, row in enumerate(rows):
        name = row.get(key, "").strip().lower()
        if not name or name in seen:
            continue
        while len(name) < width:
            name = name + "-" + str(index % 3)
        seen[name] = row["values"][1:-1]
    return sorted(seen.items(), key=lambda item: (-len(item[1]), item[0]))

merge([{"id": " Alpha ", "values": [3, 1, 4, 1]}, {"id": "beta", "values": [5]}, {"id": "ALPHA", "values": []}], "id")
"""
ODD: Final[dict[str, str]] = {
    "empty": "",
    "one emoji": "🙂",
    "1 MB of spaces": " " * 1_000_000,
    "1 MB of one letter": "a" * 1_000_000,
    "1 MB of open tags": "<env>" * 200_000,
    "1 MB of digits": "7" * 1_000_000,
    "1 MB of Chinese": "难" * 333_000,
    "200,000 options": "\nA. x" * 200_000,
    "250,000 fences": "```\n" * 250_000,
    "one long line of code": "foo(bar[" * 125_000,
    "code of nothing but quotes": "def f():\n" + "'\"" * 500_000,
}


def asked(text: str) -> dict[str, object]:
    """A request body of one ask."""
    return {"messages": [{"role": "user", "content": text}]}


def timed(work: Callable[[str], object], text: str, rounds: int) -> list[float]:
    """Sorted times of single calls, in microseconds of this thread's processor time: other work does not count.

    Every call gets a text of its own (a number is put before `text`), because the scorer keeps its last readings and
    would only be found to be good at remembering.
    """
    times = []
    for number in range(rounds):
        fresh = f"{number:05d} {text}"
        start = time.thread_time_ns()
        work(fresh)
        times.append((time.thread_time_ns() - start) / 1_000)
    return sorted(times)


def settled(work: Callable[[str], object], text: str, texts: int = 2_000, rounds: int = 5) -> list[float]:
    """Sorted times as of `timed`, of each text the quickest of several calls.

    What neighbours on the machine interrupt falls out of it; a text that takes long each time stays. Between two calls
    with one text come all the others, so none is remembered.
    """
    fresh = [f"{number:05d} {text}" for number in range(texts)]
    best = [float("inf")] * texts
    for _ in range(rounds):
        for number, variant in enumerate(fresh):
            start = time.thread_time_ns()
            work(variant)
            best[number] = min(best[number], (time.thread_time_ns() - start) / 1_000)
    return sorted(best)


def main(rounds: int = 20_000) -> int:
    """Print the figures. Returns 0."""
    scorer = Scorer.load()

    def assess(text: str) -> object:
        return scorer.assess(asked(text), explain=False)

    for name, text in (("word problem", PROMPT), ("multiple choice", QUESTION), ("code", CODE)):
        for verb, work in (("score", scorer.raw), ("assess", assess)):
            timed(work, text, 500)
            times = timed(work, text, rounds)
            p50, p99 = times[rounds // 2], times[rounds * 99 // 100]
            print(f"{verb}: {name} of {len(text.encode()) + 6} bytes, p50 {p50:.1f} µs, p99 {p99:.1f} µs")
        best = settled(scorer.raw, text)
        p50, p99 = best[len(best) // 2], best[len(best) * 99 // 100]
        print(f"score: {name}, quickest of five calls a text, p50 {p50:.1f} µs, p99 {p99:.1f} µs")
    known = asked(PROMPT)
    times = timed(lambda _: scorer.assess(known, explain=False), "", rounds)
    print(f"assess: a prompt seen just before, p50 {times[rounds // 2]:.1f} µs")
    for kilobytes in (1, 2, 4, 8, 16, 32, 64, 1024):
        text = (PROMPT * (kilobytes * 1024 // len(PROMPT) + 1))[: kilobytes * 1024]
        print(f"score: {kilobytes} KB, p50 {timed(scorer.raw, text, 200)[100]:.0f} µs")
    for name, text in ODD.items():
        print(f"assess: {name}, worst of 20 {timed(assess, text, 20)[-1]:.0f} µs")
    return 0
