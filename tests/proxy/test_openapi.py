"""The OpenAPI document describes every route, and whatever can be made from it is answered without a 5xx."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import httpx
import pytest

from proxy.shapes import SHAPES
from tests import fake_upstream as fake
from tests.fake_upstream import FakeUpstream
from tests.proxy.serving import serving

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

SCHEMATHESIS = shutil.which("schemathesis", path=str(Path(sys.executable).parent))


@pytest.mark.skipif(SCHEMATHESIS is None, reason="schemathesis is not installed")
@pytest.mark.timeout(2700)
@pytest.mark.parametrize(
    "phases",
    [
        ("--phases", "examples,fuzzing", "--max-examples", "4"),
        pytest.param(("--max-examples", "25"), marks=pytest.mark.performance),
    ],
    ids=["few", "many"],
)
async def test_no_request_that_the_document_allows_or_forbids_fails_the_proxy(
    tmp_path: Path, phases: tuple[str, ...]
) -> None:
    """Good bodies, bad bodies, wrong types, wrong methods, odd headers: an answer or the caller's own error."""
    async with FakeUpstream(records=False) as up:
        up.script("*", fake.answer("hello"))
        async with serving(tmp_path, {"up": up.base_url}) as proxy:
            process = await asyncio.create_subprocess_exec(
                *(str(SCHEMATHESIS), "run", f"{proxy.url}/schema/openapi.json", "--url", proxy.url, "--no-color"),
                *("--checks", "not_a_server_error", "--generation-database", "none", "--seed", "7", *phases),
                cwd=tmp_path,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            said, _ = await process.communicate()

    assert process.returncode == 0, said.decode(errors="replace")[-4000:]
    assert "passed" in said.decode()


async def test_the_document_describes_the_model_calls(tmp_path: Path) -> None:
    """With what the proxy reads of a body; any other field is welcome there, and errors have one shape."""
    async with (
        FakeUpstream() as up,
        serving(tmp_path, {"up": up.base_url}) as proxy,
        httpx.AsyncClient(base_url=proxy.url) as http,
    ):
        document = (await http.get("/schema/openapi.json")).json()

    assert SHAPES.keys() | {"/v1/messages/count_tokens", "/v1/route", "/v1/feedback"} <= document["paths"].keys()
    for path in SHAPES:
        operation = document["paths"][path]["post"]
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        assert (body["additionalProperties"], "model" in body["required"]) == (True, True)
        assert "error" in operation["responses"]["default"]["content"]["application/json"]["schema"]["required"]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
