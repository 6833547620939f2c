"""Legacy completions at upstreams that have them: as they came, and as they were answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fake_upstream import answer, status, stream
from tests.proxy.policy.test_through_the_proxy import Place, place
from tests.proxy.publication import offer
from warehouse.published import Offer

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

PATH = "/v1/completions"


def offers(*names: str) -> list[Offer]:
    return [offer(f"vendor-{name}/model", upstream=name, upstream_model=name, is_local=True) for name in names]


async def complete(at: Place, **body: Any) -> Any:
    return await at.client.post(PATH, json={"model": "auto", "prompt": "Once upon", **body})


async def test_the_prompt_goes_on_as_it_came_and_its_answer_comes_back_as_it_was(tmp_path: Path) -> None:
    """Whatever only a text completion can do included; nothing is wrapped in a chat."""
    async with place(tmp_path, ("one",), offers("one"), kind="vllm") as at:
        at.up["one"].script("*", answer(" a time"))
        got = await complete(at, suffix="The end.", echo=True, logprobs=2, max_tokens=5)
        many = await complete(at, prompt=[[1, 2, 3], [4, 5]])
        first, second = at.up["one"].calls

    assert got.status_code == 200
    assert got.json()["object"] == "text_completion"
    assert got.json()["choices"][0]["text"] == " a time"
    assert first.path == "/v1/completions"
    assert first.body == {
        "model": "one", "prompt": "Once upon", "suffix": "The end.", "echo": True, "logprobs": 2, "max_tokens": 5,
    }  # fmt: skip
    assert second.body == {"model": "one", "prompt": [[1, 2, 3], [4, 5]]}
    assert many.status_code == 200


async def test_a_stream_is_relayed_event_by_event(tmp_path: Path) -> None:
    """Usage is asked for and taken out again; `[DONE]` comes once."""
    async with place(tmp_path, ("one",), offers("one"), kind="vllm") as at:
        at.up["one"].script("*", stream((" a", " time")))
        got = await complete(at, stream=True)
        (call,) = at.up["one"].calls

    assert call.body["stream_options"] == {"include_usage": True}
    assert got.text.count("[DONE]") == 1
    assert "text_completion" in got.text
    assert "usage" not in got.text


async def test_one_that_only_chats_is_asked_in_its_own_words_or_passed_over(tmp_path: Path) -> None:
    """A plain prompt may fail over to a chat; one that no chat can say may not."""
    async with place(tmp_path, ("one", "two"), offers("one", "two")) as at:
        plain = await complete(at)
        suffixed = await complete(at, suffix="The end.")
        assert plain.json()["choices"][0]["text"] == "I am one"
        assert at.up["one"].calls[0].path == "/v1/chat/completions"
        assert suffixed.status_code == 400
        assert "suffix cannot be used" in suffixed.json()["error"]["message"]
        assert len(at.up["one"].calls) == 1
        assert (await complete(at, prompt=[])).status_code == 400


async def test_it_fails_over_like_any_call(tmp_path: Path) -> None:
    """Two servers that have the endpoint: the second answers."""
    async with place(tmp_path, ("one", "two"), offers("one", "two"), kind="vllm") as at:
        at.up["one"].script("*", status(500))
        got = await complete(at, suffix="The end.")
        assert got.json()["choices"][0]["text"] == "I am two"
        assert got.headers["x-orchestrator-attempts"] == "2"
