"""`python -m tests.proxy.web.screenshots`: take the pictures of the page that the documents show.

The publication is the one in use on this machine, or the invented market with `--invented`; answers come from a fake
upstream on loopback, so that nothing is called.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx
from PIL import Image
from playwright.async_api import Browser, FloatRect, Locator, Page

from tests.fake_upstream import Behaviour, FakeUpstream, Pause, answer, status
from tests.proxy.web.browser import CHROMIUM, browser, market_proxy, window
from warehouse.locations import PROJECT_ROOT, locations

TO = PROJECT_ROOT / "docs" / "screenshots"
PROMPT = "Prove that the square root of two is irrational, then show why the proof fails for four."
ANSWER = (
    "Suppose √2 = p/q in lowest terms. Then p² = 2q², so p² is even and with it p; write p = 2r. Then 2r² = q², so q "
    "is even too, and p/q was not in lowest terms. For four the step from “p² is divisible by four” to “p is "
    "divisible by four” fails: p = 2 already divides."
)
CALLS = (
    ("Hello!", "balanced", 0.6),
    ("Write a Python function that merges two sorted lists, with tests.", "balanced", 1.4),
    ("Translate 'good morning' into Danish.", "budget", 0.9),
    (PROMPT, "quality", 2.3),
    ("Summarise this thread in three sentences.", "speed", 0.7),
)
"""Prompt, profile, and seconds until it is answered."""

SHOTS = {"page-light": "light", "page-dark": "dark"}
"""By file name, the theme."""

WIDTH, HEIGHT = 1280, 1800

PARTS = {"state": "#state", "decisions": "#decisions"}
"""By file name, the part of the light page."""

_MARGIN = 20


async def _call_some(url: str, upstream: FakeUpstream) -> None:
    """A little traffic, some of it failing over."""
    usage = {"prompt_tokens": 420, "completion_tokens": 610}
    upstream.default = answer(ANSWER, usage=usage)
    async with httpx.AsyncClient(base_url=url) as client:
        for number, (prompt, profile, seconds) in enumerate(CALLS):
            failing = [status(503), status(429, retry_after=20)] if number in (1, 4) else []
            upstream.script("*", *failing, _after(seconds, upstream.default))
            body = {"model": f"auto:{profile}", "messages": [{"role": "user", "content": prompt}]}
            await client.post("/v1/chat/completions", json=body)
            upstream.script("*", upstream.default)


def _after(seconds: float, behaviour: Behaviour) -> Behaviour:
    return Behaviour(behaviour.name, lambda call: [Pause(seconds=seconds), *behaviour.steps(call)])


async def _settle(page: Page) -> None:
    await page.locator("#ranking tbody tr").nth(3).wait_for()
    await page.fill("#prompt", PROMPT)
    await page.click("#explain")
    await page.locator(".chosen-model").wait_for()
    # The dearest point of the front that is no extreme shows the most about itself.
    points = page.locator(".point.on-front")
    await points.nth(max(0, await points.count() - 3)).focus()
    await page.locator("#evidence .signals, #evidence .records").first.wait_for()
    await page.wait_for_timeout(200)


def write(path: Path, picture: bytes) -> Path:
    """A page has few colours, and 256 well chosen ones are told from the real ones by no eye; a third of the bytes."""
    colours = Image.open(io.BytesIO(picture)).convert("RGB")
    few = colours.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    return path


async def _shoot(chromium: Browser, url: str, to: Path) -> list[Path]:
    made = []
    for name, theme in SHOTS.items():
        async with window(chromium, url, color_scheme=theme, viewport={"width": WIDTH, "height": HEIGHT}) as opened:
            page = opened.page
            await _settle(page)
            await page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
            last = await box(page.locator("#ranking tbody tr").nth(3))
            height = last["y"] + last["height"]
            picture = await page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
            made.append(write(to / f"{name}.png", picture))
            if name == "page-light":
                await page.locator("#decision-list summary", has_text="3 attempts").first.click()
                for part, selector in PARTS.items():
                    made.append(write(to / f"{part}.png", await _part(page, selector)))
            if opened.problems:
                raise SystemExit("\n".join(opened.problems))
    return made


async def _part(page: Page, selector: str) -> bytes:
    """A part of the page from its heading down, with a margin."""
    head, body = await box(page.locator(f"{selector} h2").first), await box(page.locator(selector))
    top = head["y"] - _MARGIN
    clip: FloatRect = {
        "x": body["x"] - _MARGIN,
        "y": top + await page.evaluate("scrollY"),
        "width": body["width"] + 2 * _MARGIN,
        "height": body["y"] + body["height"] + _MARGIN - top,
    }
    return await page.screenshot(clip=clip, full_page=True)


async def box(locator: Locator) -> FloatRect:
    """Where an element that is shown stands in the window."""
    found = await locator.bounding_box()
    assert found is not None
    return found


async def take(to: Path, published: Path | None) -> list[Path]:
    """Take them all; returns the files."""
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        async with FakeUpstream() as upstream, market_proxy(Path(directory), upstream, published=published) as served:
            await _call_some(served.url, upstream)
            async with browser() as chromium:
                return await _shoot(chromium, served.url, to)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.proxy.web.screenshots")
    parser.add_argument("--invented", action="store_true", help="show the invented market, not this machine's rankings")
    parser.add_argument("--published", type=Path, default=locations().published, help="publication to show")
    parser.add_argument("--to", type=Path, default=TO, help=f"directory (default {TO})")
    chosen = parser.parse_args(arguments)
    if CHROMIUM is None:
        print("There is no chromium on this machine; set CHROMIUM to its path.", file=sys.stderr)
        return 1
    if not chosen.invented and not chosen.published.exists():
        print(f"No publication at {chosen.published}. Run: orchestrator refresh, or use --invented", file=sys.stderr)
        return 1
    for path in asyncio.run(take(chosen.to, None if chosen.invented else chosen.published)):
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
