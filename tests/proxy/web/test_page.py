"""The page in a real browser: what a person can see and do there, by mouse and by keyboard, and that nothing of it
breaks the page's own security policy. Every test ends by asking what the browser complained about."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.async_api import Browser, Page, expect

from tests.fake_upstream import FakeUpstream, status, stream
from tests.proxy import publication
from tests.proxy.serving import Served, serving
from tests.proxy.web.browser import Window, market_proxy, window

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

PROMPT = "Prove that the square root of two is irrational."
READY = "#ranking tbody tr >> nth=3"


@contextlib.asynccontextmanager
async def opened(chromium: Browser, served: Served, **options: Any) -> AsyncIterator[Window]:
    """The page of a proxy, ready; afterwards, that the browser had nothing to complain about."""
    async with window(chromium, served.url, **options) as found:
        await found.page.locator(READY).wait_for()
        yield found
        assert found.problems == []


@contextlib.asynccontextmanager
async def market_page(
    chromium: Browser, directory: Path, upstream: FakeUpstream | None = None, **options: Any
) -> AsyncIterator[Window]:
    """The page of the invented market."""
    async with contextlib.AsyncExitStack() as stack:
        up = upstream or await stack.enter_async_context(FakeUpstream())
        served = await stack.enter_async_context(market_proxy(directory, up))
        yield await stack.enter_async_context(opened(chromium, served, **options))


@contextlib.asynccontextmanager
async def serving_nothing(directory: Path, upstream: FakeUpstream) -> AsyncIterator[Served]:
    """A proxy whose warehouse has published nothing yet."""
    path = directory / "published" / "orchestrator.duckdb"
    path.touch()  # or a small world would be published
    async with serving(directory, {"openrouter": upstream.base_url}, (), reload_poll_s=0.05) as served:
        path.unlink(missing_ok=True)
        yield served


async def focused(page: Page) -> str:
    """Id, or class and label, of what has the focus."""
    return await page.evaluate(
        "(({id, className: of, ariaLabel}) => id || `${of.baseVal ?? of} ${ariaLabel}`)(document.activeElement)"
    )


async def test_rankings_follow_profile_difficulty_and_filter(chromium: Browser, tmp_path: Path) -> None:
    """Another profile or difficulty is another order; a filter leaves only what it names."""
    async with market_page(chromium, tmp_path) as found:
        page = found.page
        first = page.locator("#ranking tbody tr .name").first
        balanced = await first.inner_text()
        await page.get_by_role("radio", name="quality").check(force=True)
        await expect(first).not_to_have_text(balanced)
        await expect(page.locator("#profile-about")).to_contain_text("quality 80 %")
        medium = await page.locator("#ranking tbody tr").first.inner_text()
        await page.get_by_role("radio", name="Easy").check(force=True)
        await expect(page.locator("#ranking tbody tr").first).not_to_have_text(medium)
        await page.get_by_label("Filter by model").fill("atlas 1.0")
        await expect(page.locator("#ranking tbody tr")).to_have_count(1)
        await page.get_by_label("every offer and effort").check()
        # Thinks: three efforts on the marketplace, and three on the workstation.
        await expect(page.locator("#ranking tbody tr")).to_have_count(6)
        await page.get_by_label("Filter by model").fill("no such thing")
        await expect(page.locator("#ranking")).to_contain_text("Nothing here matches the filter.")
        await expect(page.locator("#plot")).to_contain_text("No candidate")


async def test_all_models_can_be_shown(chromium: Browser, tmp_path: Path) -> None:
    """The table starts short and says how much there is."""
    async with market_page(chromium, tmp_path) as found:
        rows = found.page.locator("#ranking tbody tr")
        await expect(rows).to_have_count(25)
        await expect(found.page.locator("#shown")).to_contain_text("48 models of")
        await found.page.get_by_role("button", name="Show all 48").click()
        await expect(rows).to_have_count(48)


async def test_the_plot_shows_evidence_to_the_mouse_and_to_the_keyboard(chromium: Browser, tmp_path: Path) -> None:
    """One stop for the tab key, arrows from point to point by cost; each says where its numbers come from."""
    async with market_page(chromium, tmp_path) as found:
        page = found.page
        await page.locator(".point[tabindex='0']").focus()
        cheapest = await focused(page)
        assert "free a call" in cheapest
        await page.keyboard.press("End")
        dearest = await focused(page)
        assert dearest != cheapest
        assert await page.locator(".point[tabindex='0']").count() == 1
        await expect(page.locator("#evidence .signals")).to_contain_text("LMSYS Arena")
        await expect(page.locator("#ranking tr.chosen, #evidence h3").first).to_be_visible()
        await page.keyboard.press("ArrowLeft")
        assert await focused(page) != dearest
        box = await page.locator(".point.on-front circle").first.bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + 4, box["y"] + 4)
        await expect(page.locator(".tip")).to_be_visible()
        title = await page.locator(".tip b").inner_text()
        await expect(page.locator("#evidence h3")).to_have_text(title.split(" (")[0])


async def test_nothing_on_the_front_is_beaten(chromium: Browser, tmp_path: Path) -> None:
    """The line joins exactly the candidates than which none is both cheaper and better."""
    async with market_page(chromium, tmp_path) as found:
        chart = await found.page.evaluate("fetch('/v1/models/chart').then((r) => r.json())")
        at = {name: i for i, name in enumerate(chart["columns"])}
        seen: set[str] = set()
        best_of_model = [
            row
            for row in chart["rows"]
            if row[at["model"]] not in seen and not seen.add(row[at["model"]])  # type: ignore[func-returns-value]
        ]
        spots = [(row[at["cost_usd"]], row[at["quality"]]) for row in best_of_model]
        unbeaten = [
            (cost, quality)
            for cost, quality in spots
            if not any((c <= cost and q >= quality) and (c, q) != (cost, quality) for c, q in spots)
        ]
        await expect(found.page.locator(".point.on-front")).to_have_count(len(unbeaten))


async def test_explaining_calls_nothing(chromium: Browser, tmp_path: Path) -> None:
    """Difficulty, choice, alternatives with cost and time, all from the keyboard, and no upstream hears of it."""
    async with FakeUpstream() as upstream, market_page(chromium, tmp_path, upstream) as found:
        page = found.page
        await page.get_by_label("Prompt").focus()
        await page.keyboard.type(PROMPT)
        await page.keyboard.press("Control+Enter")
        await expect(page.locator(".chosen-model")).to_contain_text("costs about")
        await expect(page.locator(".meter")).to_have_attribute("aria-label", re.compile(r"^Difficulty 0\.\d\d of 1, "))
        await expect(page.locator(".alternatives tbody tr")).to_have_count(6)
        assert "POST /v1/route" in found.requests
        assert "POST /v1/chat/completions" not in found.requests
        assert upstream.calls == []


async def test_a_call_is_made_when_asked_and_its_attempts_are_told(chromium: Browser, tmp_path: Path) -> None:
    """The answer streams in as text; the failed first attempt and the good second stand among the decisions."""
    words = ["It cannot be <b>", "a fraction</b>", "."]
    async with FakeUpstream() as upstream:
        upstream.script("*", status(503), stream(words, reasoning=["Suppose it were."], sends_usage=True))
        async with market_page(chromium, tmp_path, upstream) as found:
            page = found.page
            await expect(page.locator("#decision-list")).to_contain_text("No call yet.")
            await page.get_by_label("Prompt").fill(PROMPT)
            await page.get_by_role("button", name="Send it").click()
            await expect(page.locator("#answer .text")).to_have_text("".join(words))
            await expect(page.locator("#answer .thought")).to_have_text("Suppose it were.")
            await expect(page.locator("#answer [role=status]")).to_contain_text("at attempt 2")
            decision = page.locator("#decision-list details")
            await expect(decision).to_have_count(1)
            await expect(decision).to_contain_text("2 attempts")
            await decision.locator("summary").focus()
            await page.keyboard.press("Enter")
            await expect(decision.locator(".attempts tbody tr")).to_have_count(2)
            await expect(decision.locator(".attempts tbody tr").first).to_contain_text("503")
            figures = page.locator("#figures")
            await expect(figures.locator("div", has_text="Failovers")).to_contain_text("1")
            assert len(upstream.calls) == 2


async def test_a_refused_call_says_why(chromium: Browser, tmp_path: Path) -> None:
    """When all candidates fail, the proxy's words and the attempts are shown."""
    async with (
        FakeUpstream(status(500)) as upstream,
        market_proxy(tmp_path, upstream) as served,
        window(chromium, served.url) as found,
    ):
        await found.page.locator(READY).wait_for()
        await found.page.get_by_label("Prompt").fill("Hello")
        await found.page.get_by_role("button", name="Send it").click()
        await expect(found.page.locator("#answer [role=alert]")).to_be_visible()
        await expect(found.page.locator("#answer .attempts tbody tr")).to_have_count(4)
        await expect(found.page.locator("#breakers")).to_contain_text("1 failure")


async def test_the_key_is_asked_for_and_kept_in_memory_only(chromium: Browser, tmp_path: Path) -> None:
    """The page itself loads without a key; a wrong one is refused in words; the right one is stored nowhere."""
    async with (
        FakeUpstream() as upstream,
        market_proxy(tmp_path, upstream, api_key="open sesame") as served,
        window(chromium, served.url) as found,
    ):
        page = found.page
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_be_visible()
        assert await focused(page) == "key-value"
        await page.keyboard.type("wrong")
        await page.keyboard.press("Enter")
        await expect(dialog).to_contain_text("That key was not accepted.")
        await page.keyboard.type("open sesame")
        await page.keyboard.press("Enter")
        await page.locator(READY).wait_for()
        kept = await page.evaluate(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
        )
        assert "sesame" not in kept
        assert "sesame" not in await page.content()
        # The browser reports each 401; nothing else may be wrong.
        assert [problem for problem in found.problems if "401" not in problem] == []
        await page.reload()
        await expect(dialog).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("#trouble")).to_contain_text("Locked")
        await page.get_by_role("button", name="Enter key").click()
        await expect(dialog).to_be_visible()


async def test_nothing_published_is_explained(chromium: Browser, tmp_path: Path) -> None:
    """A first look before a refresh says what to run, and shows the rankings as soon as there are some."""
    async with FakeUpstream() as upstream, market_proxy(tmp_path, upstream, reload_poll_s=0.05) as served:
        target = served.published.readlink()
        served.published.unlink()
    async with serving_nothing(tmp_path, upstream) as served, window(chromium, served.url) as found:
        await expect(found.page.locator("#trouble")).to_contain_text("orchestrator refresh")
        await expect(found.page.locator("#health")).to_contain_text("nothing published")
        served.published.symlink_to(target)
        while served.runtime.live.current is None:
            await found.page.wait_for_timeout(20)
        await found.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await found.page.locator(READY).wait_for()
        await expect(found.page.locator("#trouble")).to_be_hidden()
        assert found.problems == []


async def test_names_from_outside_stay_text(chromium: Browser, tmp_path: Path) -> None:
    """A model whose name is markup is shown by that name, and nothing of it runs."""
    name = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    offers = [
        publication.offer(f"vendor/model-{i}", upstream="a", upstream_model=name if i == 0 else f"m{i}")
        for i in range(5)
    ]
    rows = [
        one._replace(name=name) if getattr(one, "model_id", "") == "vendor/model-0" and hasattr(one, "vendor") else one
        for one in publication.world(offers)
    ]
    (tmp_path / "published").mkdir()
    publication.write(tmp_path / "published" / "orchestrator.duckdb", rows)
    async with (
        FakeUpstream() as upstream,
        serving(tmp_path, {"a": upstream.base_url}, offers) as served,
        opened(chromium, served) as found,
    ):
        await expect(found.page.locator("#ranking .name").first).to_have_text(name)
        await found.page.get_by_label("Prompt").fill("Hello")
        await found.page.get_by_role("button", name="Explain").click()
        await expect(found.page.locator(".chosen-model .big")).to_have_text(name)
        assert await found.page.locator("main img, main script").count() == 0


async def test_the_theme_can_be_chosen_and_stays(chromium: Browser, tmp_path: Path) -> None:
    """The system's choice until somebody chooses otherwise; that is remembered."""
    async with market_page(chromium, tmp_path, color_scheme="light") as found:
        page = found.page

        async def ground() -> str:
            return await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")

        light = await ground()
        button = page.locator("#theme")
        await button.focus()
        await page.keyboard.press("Enter")
        assert await ground() == light
        await page.keyboard.press("Enter")
        dark = await ground()
        assert dark != light
        await page.reload()
        assert await ground() == dark
        await page.emulate_media(color_scheme="dark")
        await button.click()
        assert await button.get_attribute("aria-label") == "Theme: auto. Switch to light."
        assert await ground() == dark


@pytest.mark.parametrize("width", [400, 768, 1280])
async def test_nothing_sticks_out(chromium: Browser, tmp_path: Path, width: int) -> None:
    """No sideways scrolling of the page, with everything on it that makes it wide."""
    async with market_page(chromium, tmp_path, viewport={"width": width, "height": 800}) as found:
        page = found.page
        await page.get_by_label("Prompt").fill(PROMPT)
        await page.get_by_role("button", name="Send it").click()
        await page.locator("#decision-list details").wait_for()
        await page.locator("#decision-list summary").click()
        await page.locator("#ranking .name").first.click()
        await page.locator("#evidence .signals").wait_for()
        await page.locator(".skipped summary, .explained .hint").first.wait_for()
        assert width == await page.evaluate("document.documentElement.scrollWidth")


CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_can_be_read_and_controls_have_names(chromium: Browser, tmp_path: Path, scheme: str) -> None:
    """Every text stands out from its ground by 4.5 to 1 (WCAG 2.2, 1.4.3); every control can be named aloud."""
    async with market_page(chromium, tmp_path, color_scheme=scheme, reduced_motion="reduce") as found:
        page = found.page
        await page.get_by_label("Prompt").fill(PROMPT)
        await page.get_by_role("button", name="Send it").click()
        await page.locator("#decision-list details").wait_for()
        await page.locator("#ranking .name").first.click()
        await page.locator("#evidence .signals").wait_for()
        audit = await page.evaluate(CONTRAST)
        assert audit["faint"] == []
        assert audit["nameless"] == []
        assert audit["headings"][:2] == [1, 2]
        assert audit["texts"] > 50


async def test_the_first_stop_of_the_keyboard_skips_to_the_content(chromium: Browser, tmp_path: Path) -> None:
    """Tab, enter, and the next tab is inside the content, not in the navigation."""
    async with market_page(chromium, tmp_path) as found:
        page = found.page
        await page.keyboard.press("Tab")
        assert "skip" in await focused(page)
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        assert await focused(page) == "prompt"


async def test_a_proxy_that_went_away_is_said_and_found_again(chromium: Browser, tmp_path: Path) -> None:
    """The page says that nobody answers, keeps what it showed, and goes on by itself."""
    async with (
        FakeUpstream() as upstream,
        market_proxy(tmp_path, upstream) as served,
        window(chromium, served.url) as found,
    ):
        page = found.page
        await page.locator(READY).wait_for()
        await page.clock.install()
        await page.route("**/v1/**", lambda route: route.abort())
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await expect(page.locator("#trouble")).to_contain_text("does not answer")
        await expect(page.locator("#ranking tbody tr")).to_have_count(25)
        await page.unroute("**/v1/**")
        await page.clock.run_for(15_000)
        await expect(page.locator("#trouble")).to_be_hidden()


async def test_a_new_publication_is_shown_without_a_reload(chromium: Browser, tmp_path: Path) -> None:
    """Rankings change on the open page when the warehouse publishes."""
    async with (
        FakeUpstream() as upstream,
        market_proxy(tmp_path, upstream, reload_poll_s=0.05) as served,
        opened(chromium, served) as found,
    ):
        offers = [publication.offer(f"vendor/newcomer-{i}") for i in range(6)]
        publication.write(served.published, publication.world(offers, publication_id="20260823T120000"))
        while served.runtime.snapshot.publication_id != "20260823T120000":
            await found.page.wait_for_timeout(20)
        await found.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await expect(found.page.locator("#ranking .name").first).to_have_text("vendor/newcomer-0")
        assert json.loads(await found.page.evaluate("JSON.stringify({...localStorage})")) == {}
