"""A campaign of faults: many calls at once against upstreams that fail in every way, with one that is well.

CAMPAIGN_CALLS sets how many calls are made (600 unless set; 10,000 for a release).
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests import fake_upstream as fake
from tests.fake_upstream import FakeUpstream
from tests.proxy.publication import offer
from tests.proxy.serving import serving

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

CALLS = int(os.environ.get("CAMPAIGN_CALLS", "600"))
AT_ONCE = 50
FIRST_BYTE_S = 0.5
TOTAL_S = 20.0

FAULTS = {
    "resetting": fake.reset(),
    "hanging-up": fake.hangup(),
    "silent": fake.stall_before_headers(),
    "silent-after-headers": fake.stall_after_headers(),
    "limited": fake.status(429),
    "limited-for-a-while": fake.status(429, retry_after=30),
    "failing": fake.status(500),
    "unavailable": fake.status(503),
    "truncated": fake.truncated_json(),
    "short": fake.short_body(),
    "wrong-type": fake.wrong_content_type(),
    "gzip-garbage": fake.gzip_garbage(),
    "error-in-200": fake.error_in_200(),
    "empty": fake.empty_body(),
    "no-content": fake.no_content(),
    "dripping": fake.drip(gap_s=0.01),
    "keyless": fake.status(401),
    "moderating": fake.status(403, {"error": {"message": "Your input was flagged by moderation"}}),
    "removed": fake.status(404, {"error": {"message": "no such model", "code": "model_not_found"}}),
    "stream-of-error": fake.stream_of_error(role_first=True),
    "empty-stream": fake.empty_stream(role_first=True),
}
STREAMS_ONLY = {"stream-of-error", "empty-stream"}
WELL_ENOUGH = {"dripping"}
NEVER_RESTS = {"moderating", "dripping"}


async def test_no_call_is_lost_while_one_candidate_is_well(tmp_path: Path) -> None:
    """Every call is answered in time; what fails is soon left alone, and is found again when it is well."""
    async with AsyncExitStack() as stack:
        upstreams = {name: await stack.enter_async_context(FakeUpstream()) for name in (*FAULTS, "well")}
        bases = {name: one.base_url for name, one in upstreams.items()}
        bases["no-tls"] = upstreams["well"].tls_base_url
        bases["refusing"] = stack.enter_context(fake.refusing_base_url())
        for name, fault in FAULTS.items():
            upstreams[name].script("*", fault)
        upstreams["well"].script("*", fake.answer("all is well"))
        offers = [offer(f"{name}/model", upstream=name, upstream_model=name) for name in bases]
        proxy = await stack.enter_async_context(
            serving(tmp_path, bases, offers, first_byte_timeout_s=FIRST_BYTE_S, total_timeout_s=TOTAL_S)
        )
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60))
        )
        names = [name for name in bases if name != "well"]
        gate = asyncio.Semaphore(AT_ONCE)
        lost: list[str] = []
        slowest = 0.0

        async def call(i: int) -> None:
            nonlocal slowest
            name = names[i % len(names)]
            is_stream = name in STREAMS_ONLY or bool(i // len(names) % 2)
            body = {
                "models": [f"{name}/model", "well/model"],
                "messages": [{"role": "user", "content": "hi"}],
                "stream": is_stream,
            }
            async with gate:
                began = time.monotonic()
                async with session.post(f"{proxy.url}/v1/chat/completions", json=body) as answer:
                    text = await answer.text()
                slowest = max(slowest, time.monotonic() - began)
            said = "".join(
                json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
                for line in text.splitlines()
                if line.startswith("data: {") and '"choices":[{' in line.replace(" ", "")
            )
            is_good = "slowly" if name in WELL_ENOUGH and said == "slowly" else "all is well"
            if answer.status != 200 or is_good not in (said if is_stream else text):
                lost.append(f"{name}: {answer.status} {text[:300]}")

        await asyncio.gather(*(call(i) for i in range(CALLS)))

        assert lost == []
        assert slowest < TOTAL_S + 0.5
        for name in FAULTS.keys() - NEVER_RESTS:
            # Those that were under way when the third failure opened the breaker, and no more.
            assert len(upstreams[name].calls) <= 3 + AT_ONCE, name
        async with session.get(f"{proxy.url}/v1/status") as answer:
            resting = {one["key"] for one in (await answer.json())["breakers"] if one["state"] == "open"}
        assert {f"{name}:{name}" for name in FAULTS.keys() - NEVER_RESTS - {"keyless"}} <= resting
        assert {"upstream keyless", "upstream refusing", "upstream no-tls"} <= resting

        for name in FAULTS:
            upstreams[name].script("*", fake.answer("all is well"))
        proxy.clock.added_s += 1000
        await asyncio.gather(*(call(i) for i in range(2 * len(names))))
        async with session.get(f"{proxy.url}/v1/status") as answer:
            still = {one["key"] for one in (await answer.json())["breakers"] if one["state"] != "closed"}
        assert {key.split(":")[0].removeprefix("upstream ") for key in still} <= {"no-tls", "refusing"}
        assert [task for task in asyncio.all_tasks() if "until_gone" in repr(task)] == []
