"""Real clients against a running proxy: each says what it was given, and the fake upstream behind was asked.

usage: real_clients.py [name ...]

Python clients are fetched by `uv run --with`, into its own cache and nowhere else, in the versions that stand below;
`openai for Node` needs node and npm, `curl` itself. What is not to be had is left out and said so. The openai and
anthropic packages are among the development dependencies too, and tested in `tests/test_end_to_end_proxy.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests import fake_upstream as fake
from tests.fake_upstream import Behaviour, Call, FakeUpstream, Step
from tests.proxy.serving import serving

MOST_S = 180.0

OPENAI = """
import asyncio, openai, os
from pydantic import BaseModel
class River(BaseModel):
    name: str
    length_km: int
at = dict(base_url=os.environ["ADDRESS"] + "/v1", api_key="your-key", max_retries=0)
hi = [{"role": "user", "content": "hi"}]
look = {"type": "function", "function": {"name": "look", "strict": True, "parameters": {
    "type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"], "additionalProperties": False}}}
client = openai.OpenAI(**at)
assert client.chat.completions.create(model="auto", messages=hi).choices[0].message.content == "quincunx"
with client.chat.completions.stream(model="auto", messages=hi) as stream:
    text = "".join(event.delta for event in stream if event.type == "content.delta")
    final = stream.get_final_completion()
assert (text, final.choices[0].message.content) == ("quincunx", "quincunx"), text
called = client.chat.completions.parse(model="auto", messages=hi, tools=[look]).choices[0].message.tool_calls[0]
assert called.function.parsed_arguments == {"at": "the 1.0"}, called
river = client.chat.completions.parse(model="auto", messages=hi, response_format=River).choices[0].message.parsed
assert river == River(name="Rhine", length_km=1233), river
with client.chat.completions.stream(model="auto", messages=hi, response_format=River) as stream:
    assert stream.get_final_completion().choices[0].message.parsed == river
assert client.responses.create(model="auto", input="hi").output_text == "quincunx"
assert client.responses.parse(model="auto", input="hi", text_format=River).output_parsed == river
with client.responses.stream(model="auto", input="hi") as stream:
    assert stream.get_final_response().output_text == "quincunx"
assert client.completions.create(model="auto", prompt="hi").choices[0].text == "quincunx"
assert "auto" in [one.id for one in client.models.list()]
async def run():
    async with openai.AsyncOpenAI(**at) as client:
        parts = await client.chat.completions.create(model="auto", messages=hi, stream=True,
                                                     stream_options={"include_usage": True})
        chunks = [part async for part in parts]
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "quincunx"
        assert chunks[-1].usage.total_tokens
asyncio.run(run())
try:
    client.chat.completions.create(model="no/such", messages=hi)
except openai.NotFoundError as error:
    assert error.code == "model_not_found" and error.request_id
else:
    raise SystemExit("an unknown model was taken")
"""

ANTHROPIC = """
import anthropic, os
client = anthropic.Anthropic(base_url=os.environ["ADDRESS"], api_key="your-key", max_retries=0)
ask = dict(model="auto", max_tokens=100, messages=[{"role": "user", "content": "hi"}])
assert client.messages.create(**ask).content[0].text == "quincunx"
with client.messages.stream(**ask) as stream:
    assert "".join(stream.text_stream) == "quincunx"
    assert stream.get_final_message().stop_reason == "end_turn"
look = {"name": "look", "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}}}
called = client.messages.create(**ask, tools=[look])
assert (called.stop_reason, called.content[-1].input) == ("tool_use", {"at": "the 1.0"})
with client.messages.stream(**ask, tools=[look]) as stream:
    assert stream.get_final_message().content[-1].input == {"at": "the 1.0"}
assert client.messages.count_tokens(model="auto", messages=ask["messages"]).input_tokens > 0
assert [one.id for one in client.models.list()][0] == "auto"
"""

LITELLM = """
import asyncio, litellm, os
at = dict(model="openai/auto", api_base=os.environ["ADDRESS"] + "/v1", api_key="your-key", num_retries=0,
          messages=[{"role": "user", "content": "hi"}])
assert litellm.completion(**at).choices[0].message.content == "quincunx"
parts = litellm.completion(**at, stream=True, stream_options={"include_usage": True})
assert "".join(part.choices[0].delta.content or "" for part in parts if part.choices) == "quincunx"
look = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
called = litellm.completion(**at, tools=[look]).choices[0].message.tool_calls[0]
assert called.function.arguments == '{"at": "the 1.0"}', called
assert asyncio.run(litellm.acompletion(**at)).usage.total_tokens
anthropic = {**at, "model": "anthropic/auto", "api_base": os.environ["ADDRESS"]}
assert litellm.completion(**anthropic).choices[0].message.content == "quincunx"
"""

LANGCHAIN = """
import asyncio, os
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
class River(BaseModel):
    name: str
    length_km: int
def look(at: str) -> str:
    "Look somewhere."
    return at
model = ChatOpenAI(base_url=os.environ["ADDRESS"] + "/v1", api_key="your-key", model="auto", max_retries=0)
assert model.invoke("hi").content == "quincunx"
assert "".join(part.content for part in model.stream("hi")) == "quincunx"
assert asyncio.run(model.ainvoke("hi")).usage_metadata["total_tokens"]
assert model.bind_tools([look]).invoke("hi").tool_calls[0]["args"] == {"at": "the 1.0"}
assert model.with_structured_output(River).invoke("hi") == River(name="Rhine", length_km=1233)
assert ChatOpenAI(base_url=os.environ["ADDRESS"] + "/v1", api_key="your-key", model="auto",
                  use_responses_api=True).invoke("hi").text == "quincunx"
"""

NODE = """
import OpenAI from "openai";
import assert from "node:assert";
const client = new OpenAI({ baseURL: process.env.ADDRESS + "/v1", apiKey: "your-key", maxRetries: 0 });
const ask = { model: "auto", messages: [{ role: "user", content: "hi" }] };
assert.equal((await client.chat.completions.create(ask)).choices[0].message.content, "quincunx");
let text = "";
for await (const chunk of await client.chat.completions.create({ ...ask, stream: true }))
  text += chunk.choices[0]?.delta?.content ?? "";
assert.equal(text, "quincunx");
const tools = [{ type: "function", function: { name: "look", parameters: { type: "object", properties: {} } } }];
const runner = client.chat.completions.stream({ ...ask, tools });
const call = (await runner.finalChatCompletion()).choices[0].message.tool_calls[0];
assert.deepEqual(JSON.parse(call.function.arguments), { at: "the 1.0" });
assert.equal((await client.responses.create({ model: "auto", input: "hi" })).output_text, "quincunx");
await assert.rejects(client.chat.completions.create({ ...ask, model: "no/such" }), { status: 404 });
"""

CURL = """set -e
ask='{"model": "auto", "messages": [{"role": "user", "content": "hi"}]}'
post() { curl -sS --fail-with-body "$ADDRESS/v1/chat/completions" -H 'content-type: application/json' "$@"; }
post -d "$ask" | grep -q '"content":"quincunx"'
post --compressed -d "$ask" | grep -q '"content":"quincunx"'
post --http1.0 -d "$ask" | grep -q '"content":"quincunx"'
post -N -d "${ask%\\}}, \\"stream\\": true}" | grep -c 'data: \\[DONE\\]' | grep -qx 1
post --http1.0 -N -d "${ask%\\}}, \\"stream\\": true}" | grep -c 'data: \\[DONE\\]' | grep -qx 1
curl -sS --head "$ADDRESS/v1/models" | grep -q '^HTTP/1.1 200'
"""


class Client(NamedTuple):
    """What it takes to run one."""

    packages: Sequence[str]
    code: str
    runs_in: str = "python"


CLIENTS = {
    "openai": Client(("openai==3.57.0",), OPENAI),
    "anthropic": Client(("anthropic==2.13.0",), ANTHROPIC),
    "litellm": Client(("litellm==1.108.7",), LITELLM),
    "langchain-openai": Client(("langchain-openai==1.7.4",), LANGCHAIN),
    "openai-node": Client(("openai@6.49.0",), NODE, "node"),
    "curl": Client((), CURL, "bash"),
}


def _scripted() -> Behaviour:
    """A tool's call where one is offered, the object that a schema asks for, else a word."""

    def steps(call: Call) -> Sequence[Step]:
        body = call.body or {}
        if body.get("tools"):
            return fake.answer(None, tool_calls=[fake.tool_call("look", '{"at": "the 1.0"}')]).steps(call)
        form = (body.get("response_format") or {}).get("type")
        return fake.answer('{"name": "Rhine", "length_km": 1233}' if form == "json_schema" else "quincunx").steps(call)

    return Behaviour("scripted", steps)


def _commands(client: Client, directory: Path, *, uses_own: bool) -> list[list[str]] | None:
    """The commands to run, one after the other; None where a program is missing."""
    if client.runs_in == "python" and uses_own:
        return [[sys.executable, "-c", client.code]]
    if client.runs_in == "python":
        uv = shutil.which("uv")
        with_ = [part for package in client.packages for part in ("--with", package)]
        run = ("run", "--quiet", "--isolated", "--no-project", *with_, "python", "-c", client.code)
        return None if uv is None else [[uv, *run]]
    if client.runs_in == "node":
        node, npm = shutil.which("node"), shutil.which("npm")
        (directory / "tried.mjs").write_text(client.code)
        if node is None or npm is None:
            return None
        return [[npm, "install", "--silent", *client.packages], [node, "tried.mjs"]]
    bash = shutil.which("bash")
    return None if bash is None or shutil.which("curl") is None else [[bash, "-o", "pipefail", "-c", client.code]]


async def tried(name: str, client: Client, directory: Path, *, uses_own: bool = False) -> bool | None:
    """Run one and say how it went; None where it cannot be had. `uses_own` takes the packages of this interpreter."""
    commands = _commands(client, directory, uses_own=uses_own)
    label = ", ".join(client.packages) or name
    if commands is None:
        print(f"{label}: what it runs in is not installed")
        return None
    async with FakeUpstream() as up:
        up.script("*", _scripted())
        async with serving(directory / "proxy", {"up": up.base_url}) as proxy:
            environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
            for command in commands:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    cwd=directory,
                    env=environment | {"ADDRESS": proxy.url},
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                )
                said, _ = await asyncio.wait_for(process.communicate(), MOST_S)
                if process.returncode:
                    print(f"{label}: FAILED\n{said.decode(errors='replace')[-3000:]}", flush=True)
                    return False
            answers = [one for one in proxy.runtime.decisions.last(1000) if one["attempts"]]
            shapes = ", ".join(sorted({one["endpoint"] for one in answers}))
            print(f"{label}: passed, {len(answers)} answers ({shapes})")
    return True


async def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clients", nargs="*", default=list(CLIENTS), metavar="NAME")
    passed = True
    for name in parser.parse_args().clients:
        with tempfile.TemporaryDirectory(prefix=f"client-{name}-") as directory:
            passed &= await tried(name, CLIENTS[name], Path(directory)) is not False
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
