"""What upstreams list: local servers in their own spellings, and vendors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.resources import BuildDatabase
from pipeline.settings import Settings
from pipeline.settings import load as load_settings
from pipeline.sources.load import load
from pipeline.sources.source import FetchError, PayloadRefusedError, Sighting
from pipeline.sources.upstream_listings import SOURCE, address, collect, parse_listing
from tests.pipeline.sources.conftest import NOW, FakeWeb, StoreMaker
from warehouse.upstreams import Upstream

parse = partial(parse_listing, kind="openai", is_local=True)

TWO_SERVERS = """
[ollama]
base_url = "http://localhost:11434/v1"
kind = "ollama"
is_local = true

[vendor]
base_url = "https://api.vendor.example/v1"
api_key_env = "VENDOR_API_KEY"
"""


def test_ollama_says_size_and_quantisation(small: Callable[[str], bytes], sighting: Sighting) -> None:
    """Its tags carry what its OpenAI-compatible list does not."""
    (row,) = (
        parse(small("upstreams/ollama.json"), replace(sighting, scope="home")).frames["upstream_listings"].to_dicts()
    )

    assert (row["upstream"], row["upstream_model"]) == ("home", "swift1:8b-instruct-q4_K_M")
    assert (row["quantization"], row["parameter_size"], row["size_bytes"]) == ("Q4_K_M", "8.0B", 4920753328)


@pytest.mark.parametrize(("server", "window"), [("vllm", 32768), ("llamacpp", 8192)])
def test_the_window_in_effect_counts(
    small: Callable[[str], bytes], sighting: Sighting, server: str, window: int
) -> None:
    """What the server was started with, not what the model was trained for."""
    (row,) = parse(small(f"upstreams/{server}.json"), sighting).frames["upstream_listings"].to_dicts()

    assert row["context_tokens"] == window


def told(answers: dict[str, str], kind: str, port: int) -> list[dict[str, Any]]:
    """Rows of a local server that answers so at these paths."""
    root = f"http://localhost:{port}"
    web = FakeWeb({f"{root}{path}": body.encode() for path, body in answers.items()})
    upstream = Upstream("home", f"{root}/v1", kind, None, True)
    body = collect(web, (), load_settings({}), upstream=upstream)
    sighting = Sighting(observed_at=NOW, now=NOW, scope="home")
    return parse_listing(body, sighting, kind=kind, is_local=True).frames["upstream_listings"].to_dicts()


SHOWN = '{"model_info":{"llama.context_length":131072},"capabilities":["completion","tools","vision"]%s}'


@pytest.mark.parametrize(
    ("loaded", "parameters", "window", "is_loaded"),
    [
        ('{"models":[{"model":"swift:8b","context_length":16384}]}', "", 16_384, True),
        ('{"models":[]}', ',"parameters":"num_ctx                        8192\\nstop  \\"x\\""', 8_192, False),
        ('{"models":[]}', "", 4_096, False),
    ],
)
def test_ollama_serves_less_than_the_model_was_trained_for(
    loaded: str, parameters: str, window: int, is_loaded: bool
) -> None:
    """What is loaded says so; else what the Modelfile sets; else its default, which cuts without a word."""
    (row,) = told(
        {"/api/tags": '{"models":[{"model":"swift:8b"}]}', "/api/ps": loaded, "/api/show": SHOWN % parameters},
        "ollama",
        11434,
    )

    assert (row["context_tokens"], row["trained_context_tokens"], row["is_loaded"]) == (window, 131_072, is_loaded)
    assert row["capabilities"] == ["completion", "tools", "vision"]


def test_llama_cpp_tells_its_window_and_slots() -> None:
    """Each slot's own window, not the trained one; how many calls it answers at once."""
    listed = '{"data":[{"id":"swift","meta":{"n_ctx_train":131072}}]}'
    properties = '{"default_generation_settings":{"n_ctx":8192},"total_slots":4}'

    (row,) = told({"/v1/models": listed, "/props": properties}, "llamacpp", 8081)

    assert (row["context_tokens"], row["trained_context_tokens"], row["slots"]) == (8_192, 131_072, 4)
    (old,) = told({"/v1/models": listed}, "llamacpp", 8081)
    assert (old["context_tokens"], old["slots"]) == (131_072, None)


def test_lm_studio_tells_what_is_loaded_in_its_own_list() -> None:
    """An older version has only the compatible list."""
    own = (
        '{"data":[{"id":"swift","type":"vlm","state":"loaded","max_context_length":131072,'
        '"loaded_context_length":4096,"quantization":"Q4_K_M"},'
        '{"id":"embed","type":"embeddings","state":"not-loaded","max_context_length":2048}]}'
    )

    swift, embed = told({"/api/v0/models": own}, "lmstudio", 1234)

    assert (swift["context_tokens"], swift["is_loaded"], swift["quantization"]) == (4_096, True, "Q4_K_M")
    assert (embed["capabilities"], embed["is_loaded"]) == (["embedding"], False)
    assert [row["upstream_model"] for row in told({"/v1/models": '{"data":[{"id":"old"}]}'}, "lmstudio", 1234)] == [
        "old"
    ]


def test_a_local_server_that_does_not_answer_has_no_list() -> None:
    """Its other addresses are not asked in its place."""
    with pytest.raises(FetchError):
        told({"/api/ps": '{"models":[]}'}, "ollama", 11434)


@pytest.mark.parametrize("body", [b'{"object":"list","data":[]}', b'{"models":[]}', b'{"models":null}', b"[]"])
def test_a_server_without_models_lists_none(body: bytes, sighting: Sighting) -> None:
    """A fresh Ollama has nothing yet: no error."""
    assert parse(body, sighting).rows == 0


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b'{"error":"no"}', b'{"data":{"id":"x"}}', b'{"data":[{"object":"model"}]}']
)
def test_what_is_no_list_is_refused(body: bytes, sighting: Sighting) -> None:
    """Another service on that port is not a server of models."""
    with pytest.raises(PayloadRefusedError):
        parse(body, sighting)


def test_ollamas_own_list_lies_beside_the_compatible_root() -> None:
    """`/v1` is taken off for Ollama and kept for the rest."""
    made = partial(Upstream, name="x", api_key_env=None, is_local=True)

    assert address(made(base_url="http://localhost:11434/v1", kind="ollama")) == "http://localhost:11434/api/tags"
    assert address(made(base_url="http://localhost:8000/v1", kind="vllm")) == "http://localhost:8000/v1/models"


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes an upstreams file and points the configuration at it."""

    def write(text: str) -> None:
        path = tmp_path / "upstreams.toml"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv("ORCHESTRATOR_UPSTREAMS", str(path))

    return write


def test_a_local_server_that_goes_away_takes_its_models_with_it(
    configured: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    small: Callable[[str], bytes],
    store: StoreMaker,
    build: BuildDatabase,
    settings: Settings,
    query: Callable[..., list[tuple[object, ...]]],
) -> None:
    """Silence of a local server is a note and an empty list; silence of a vendor keeps what it last listed."""
    configured(TWO_SERVERS)
    monkeypatch.setenv("VENDOR_API_KEY", "key")
    up = FakeWeb(
        {
            "http://localhost:11434/api/tags": small("upstreams/ollama.json"),
            "https://api.vendor.example/v1/models": b'{"data":[{"id":"vendor-large"}]}',
        }
    )
    load(SOURCE, store(up), build, settings, NOW)
    both = query("SELECT upstream FROM core.upstream_listings ORDER BY 1")
    report = load(SOURCE, store(FakeWeb({})), build, settings, NOW)

    assert both == [("ollama",), ("vendor",)]
    assert query("SELECT upstream FROM core.upstream_listings") == [("vendor",)]
    assert set(report.problems) == {"vendor"}
    assert "404" in report.notes["ollama"]
    assert query("SELECT payload FROM core.source_loads") == [("vendor",)]

    configured("")
    load(SOURCE, store(FakeWeb({})), build, settings, NOW)

    assert query("SELECT count(*) FROM core.upstream_listings") == [(0,)]


def test_offline_still_asks_the_users_own_server(
    configured: Callable[[str], None],
    small: Callable[[str], bytes],
    store: StoreMaker,
    build: BuildDatabase,
    settings: Settings,
) -> None:
    """Loopback needs no network; the vendor is left alone."""
    configured(TWO_SERVERS)
    web = FakeWeb({"http://localhost:11434/api/tags": small("upstreams/ollama.json")})
    report = load(SOURCE, store(web, offline=True), build, settings, NOW)

    assert set(web.asked) == {f"http://localhost:11434/api/{name}" for name in ("tags", "ps", "show")}
    assert report.tables["upstream_listings"].rows == 1


def test_no_key_no_question(
    configured: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    store: StoreMaker,
    build: BuildDatabase,
    settings: Settings,
) -> None:
    """A vendor whose key is not set is not asked, and the reason names the variable."""
    configured(TWO_SERVERS)
    monkeypatch.delenv("VENDOR_API_KEY", raising=False)
    web = FakeWeb({"http://localhost:11434/api/tags": FetchError("refused")})
    report = load(SOURCE, store(web), build, settings, NOW)

    assert not any("vendor" in url for url in web.asked)
    assert report.notes["vendor"] == "VENDOR_API_KEY is not set"
