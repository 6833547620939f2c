"""`python -m tests.screenshots`: take every picture that the documents show, from the bundled snapshot.

A refresh and a Dagster UI of their own, in a folder that is gone afterwards; no source and no model is called. The
page's own pictures are taken by `tests/proxy/web/screenshots.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import dagster as dg
from playwright.async_api import Browser, Locator, Page

from pipeline import automation, publish
from pipeline.resources import BuildDatabase, Clock
from tests.deployment import ROOT, end, environment, eventually, free_port, graphql, refreshed
from tests.proxy.web import screenshots as page_screenshots
from tests.proxy.web.browser import CHROMIUM, browser
from tests.proxy.web.screenshots import TO, box, write

_LOADED = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"
_PATIENCE_MS = 60_000
_SELDOM = "; ".join(f"{one.job_name}=0 0 1 1 *" for one in automation.schedules(has_key=True))
"""A run that begins meanwhile would mend what is spoilt, or wait for it."""

_SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_FAULT = "UPDATE ranking.{table} SET score = score * 1.5 WHERE profile = 'speed' AND {where}"


@contextlib.contextmanager
def _ui(home: Path) -> Iterator[str]:
    """Dagster's UI of a deployment that was refreshed; its address."""
    port = free_port()
    (home / "user").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pipeline", "ui", "--port", str(port), "--offline"]
    with (home / "ui.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(home, HOME=str(home / "user"), ORCHESTRATOR_SCHEDULES=_SELDOM),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        eventually(lambda: graphql(port, _LOADED)["repositoriesOrError"]["nodes"][0], 120, every_s=1)
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process, home)


def publish_what_does_not_add_up(home: Path) -> None:
    """Spoil scores in the build file and try to publish them, as a fault in the pipeline would."""
    os.environ.update({"ORCHESTRATOR_DATA_DIR": str(home / "data"), "DAGSTER_HOME": str(home / "dagster")})
    build = BuildDatabase()
    with build.writing() as connection:
        for table, where in (("rankings", "true"), ("band_rankings", "difficulty_band = 'medium'")):
            connection.execute(_FAULT.format(table=table, where=where))
    with dg.DagsterInstance.get() as instance:
        resources = {"build": build, "clock": Clock()}
        done = dg.materialize(
            publish.ASSETS, instance=instance, resources=resources, run_config=_SILENT, raise_on_error=False
        )
    if done.success:
        raise SystemExit("The spoilt scores were published; no check noticed them.")


async def _graph(page: Page) -> bytes:
    """The five groups, one of them opened."""
    await page.set_viewport_size({"width": 1500, "height": 1300})
    await page.goto("/asset-groups", wait_until="domcontentloaded")
    await page.get_by_text("Hide navigation").click()
    await page.locator("button:has([aria-label=panel_show_right])").last.click()
    await page.locator("foreignObject").get_by_text("entities", exact=True).first.click()
    await page.get_by_text("model_aliases").first.wait_for()
    await page.wait_for_timeout(1500)
    await page.mouse.dblclick(1200, 1250)
    await page.wait_for_timeout(1500)
    await page.get_by_text("fetching statuses").first.wait_for(state="hidden")
    return await page.screenshot()


async def _asset(page: Page) -> bytes:
    """The rankings' metadata and one of their plots, down to where its file is named: a path is of no use to others."""
    await page.set_viewport_size({"width": 1500, "height": 1050})
    await page.goto("/assets/ranking/rankings?view=overview", wait_until="domcontentloaded")
    await page.get_by_text("quality_and_cost", exact=True).first.wait_for()
    await page.get_by_text("Columns", exact=True).first.click()
    below = await box(_row(page, "quality_and_cost_large"))
    await _open(page, "quality_and_cost")
    return await page.screenshot(clip={"x": 0, "y": 0, "width": 1500, "height": below["y"]})


async def _links(page: Page) -> bytes:
    """Pairs of records near the threshold."""
    await page.set_viewport_size({"width": 1500, "height": 1500})
    await page.goto("/assets/entity/pairs?view=overview", wait_until="domcontentloaded")
    return await (await _open(page, "links_to_review")).screenshot()


async def _blocked(page: Page) -> bytes:
    """The check that kept a publication back."""
    await page.set_viewport_size({"width": 1500, "height": 1000})
    address = "/assets/published/rankings?view=checks&checkDetail=scores_add_up"
    await page.goto(address, wait_until="domcontentloaded")
    await page.get_by_text("first_rows").first.wait_for()
    await page.wait_for_timeout(1500)
    return await page.screenshot()


def _row(page: Page, key: str) -> Locator:
    return page.locator("tr", has=page.get_by_text(key, exact=True)).first


async def _open(page: Page, key: str) -> Locator:
    """The dialogue that shows a Markdown value of the metadata."""
    await _row(page, key).get_by_text("Show Markdown").click()
    dialogue = page.get_by_role("dialog")
    await dialogue.wait_for()
    await page.wait_for_timeout(1000)
    return dialogue


async def _shoot(chromium: Browser, url: str, to: Path, spoil: Callable[[], None]) -> list[Path]:
    context = await chromium.new_context(base_url=url, timezone_id="UTC")
    context.set_default_timeout(_PATIENCE_MS)
    made = []
    for name, shoot in (("graph", _graph), ("asset", _asset), ("links", _links), ("blocked", _blocked)):
        if shoot is _blocked:
            await asyncio.to_thread(spoil)
        page = await context.new_page()
        made.append(write(to / f"dagster-{name}.png", await shoot(page)))
        await page.close()
    return made


async def take(home: Path, to: Path) -> list[Path]:
    """Take Dagster's pictures of a deployment that was refreshed, and spoil its build file for the last of them."""
    with _ui(home) as url:
        async with browser() as chromium:
            return await _shoot(chromium, url, to, lambda: publish_what_does_not_add_up(home))


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots")
    parser.add_argument("--to", type=Path, default=TO, help=f"directory (default {TO})")
    chosen = parser.parse_args(arguments)
    if CHROMIUM is None:
        print("There is no chromium on this machine; set CHROMIUM to its path.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        published = refreshed(home)
        made = asyncio.run(page_screenshots.take(chosen.to, published))
        made += asyncio.run(take(home, chosen.to))
    for path in made:
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
