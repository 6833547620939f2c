"""`orchestrator doctor`: what it says about a server of the user's own."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import anyio.to_thread
import pytest

from tests.deployment import free_port
from tests.fake_upstream import FakeUpstream
from warehouse import doctor
from warehouse.published import SourceLoad

pytestmark = pytest.mark.anyio


def said(monkeypatch: pytest.MonkeyPatch, place: Path, base_url: str, allowed: str) -> str:
    """The line about that server."""
    rows = place / "upstreams.toml"
    rows.write_text(f'[cellar]\nbase_url = "{base_url}"\nkind = "vllm"\nis_local = true\n')
    monkeypatch.setenv("ORCHESTRATOR_UPSTREAMS", str(rows))
    monkeypatch.setenv("ORCHESTRATOR_ALLOWED_DOMAINS", allowed)
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(place))
    (finding,) = (one for one in doctor.findings(20_000, 20_001, is_offline=True) if "cellar" in one.text)
    return f"{finding.level}: {finding.text}"


def test_what_ails_many_payloads_is_said_once_and_short() -> None:
    """Without a network each of them fails the same way, at an address of its own."""
    seen = dt.datetime(2026, 8, 22)
    loads = [
        SourceLoad("arena", name, "cache", f"{name}.json", f"hash-{name}", seen, seen, 10, 0, problem, None)
        for name, problem in (
            *((f"page-{n}", f"https://arena.example/{n}.json: ConnectError: no route to host") for n in range(5)),
            ("text", f"https://arena.example/text: status 500 {'x ' * 500}"),
            ("whole", None),
        )
    ]

    (told,) = [doctor._source("arena", loads, seen).text]

    assert "Newer data could not be used: ConnectError: no route to host (page-0, page-1, page-2 and 2 more); " in told
    assert told.endswith("x … (text)")
    assert len(told) < 400


@pytest.mark.integration
async def test_a_server_of_ones_own_is_allowed_and_answers_or_what_to_do_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two things that are forgotten: to allow its address, and to start it."""
    silent = f"http://127.0.0.1:{free_port()}/v1"
    refused = said(monkeypatch, tmp_path, silent, "localhost")
    unanswered = said(monkeypatch, tmp_path, silent, "localhost, 127.0.0.1")

    assert refused.startswith("note: Upstream cellar: add 127.0.0.1 to ORCHESTRATOR_ALLOWED_DOMAINS")
    assert unanswered == f"note: Upstream cellar: nothing answers at {silent}/models. Is it running?"


@pytest.mark.integration
async def test_a_server_that_answers_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked once, for its models."""
    async with FakeUpstream(models=["phi-4"]) as server:
        told = await anyio.to_thread.run_sync(said, monkeypatch, tmp_path, server.base_url, "127.0.0.1")

    assert told == f"ok: Upstream cellar: answers at {server.base_url}."
