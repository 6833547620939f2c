"""Coding agents against a running proxy, each as docs/clients.md says: one answer in words, one round with a tool.

usage: agents.py [claude codex opencode aider]; those that are not on the PATH are left out.

Behind the proxy stands an upstream that answers by script, so nothing is spent: where a tool is offered that runs
commands, it has it write a file, and then says a word. An agent has passed when the file is there and it repeats the
word. Installing the agents is yours: @anthropic-ai/claude-code, @openai/codex and opencode-ai are on npm, aider-chat on
PyPI.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests import fake_upstream as fake
from tests.fake_upstream import Behaviour, Call, FakeUpstream, Step
from tests.proxy.publication import offer, profile, ranking, world, write
from tests.proxy.serving import serving

WORD = "quincunx"
COMMAND = f"echo {WORD} > made.txt"
MOST_S = 120.0

# The argument in which each agent's tool takes a command.
ARGUMENTS: Mapping[str, Any] = {
    "Bash": {"command": COMMAND, "description": "Write the file"},
    "bash": {"command": COMMAND, "description": "Write the file"},
    "shell": {"command": ["bash", "-lc", COMMAND]},
    "shell_command": {"command": COMMAND},
    "exec_command": {"cmd": COMMAND},
}


class Agent(NamedTuple):
    """How one is told where to go, and set to work without a person."""

    command: Sequence[str]
    environment: Mapping[str, str] = {}
    files: Mapping[str, str] = {}
    """Written into its home, ADDRESS in place of the proxy's address."""
    work: Mapping[str, str] = {}
    """Written where it works."""


AGENTS = {
    "claude": Agent(
        ("claude", "-p", "Write the file.", "--allowedTools", "Bash"),
        {"ANTHROPIC_BASE_URL": "ADDRESS", "ANTHROPIC_AUTH_TOKEN": "your-key"},
    ),
    "codex": Agent(
        ("codex", "exec", "--skip-git-repo-check", "--sandbox", "danger-full-access", "Write the file."),
        {"ORCHESTRATOR_KEY": "your-key"},
        {
            ".codex/config.toml": """
model = "auto"
model_provider = "orchestrator"

[model_providers.orchestrator]
name = "Orchestrator"
base_url = "ADDRESS/v1"
env_key = "ORCHESTRATOR_KEY"
wire_api = "responses"
"""
        },
    ),
    "opencode": Agent(
        ("opencode", "run", "--model", "orchestrator/auto", "Write the file."),
        files={
            ".config/opencode/opencode.json": """{
  "$schema": "https://opencode.ai/config.json",
  "provider": {
    "orchestrator": {
      "npm": "@ai-sdk/openai-compatible",
      "name": "Orchestrator",
      "options": {"baseURL": "ADDRESS/v1", "apiKey": "your-key"},
      "models": {"auto": {"name": "auto"}, "auto:quality": {"name": "auto:quality"}}
    }
  }
}"""
        },
    ),
    "aider": Agent(
        (
            *("aider", "--model", "openai/auto:quality", "--weak-model", "openai/auto:budget"),
            *("--no-show-model-warnings", "--yes-always", "--no-git", "--message", "Write the file.", "made.txt"),
        ),
        {"OPENAI_API_BASE": "ADDRESS/v1", "OPENAI_API_KEY": "your-key"},
        work={"made.txt": ""},
    ),
}


def _scripted() -> Behaviour:
    """A command where one can be run and none was yet, else the word; for Aider, which has no tools, the whole file."""

    def steps(call: Call) -> Sequence[Step]:
        body = call.body or {}
        names = [one.get("function", {}).get("name") for one in body.get("tools") or ()]
        tool = next((name for name in names if name in ARGUMENTS), None)
        is_done = any(message.get("role") == "tool" for message in body.get("messages", ()))
        if tool is not None and not is_done:
            return fake.answer(None, tool_calls=[fake.tool_call(tool, ARGUMENTS[tool])]).steps(call)
        if "made.txt" in json.dumps(body.get("messages")) and not names:
            return fake.answer(f"made.txt\n```\n{WORD}\n```\n").steps(call)
        return fake.answer(f"It is written: {WORD}.").steps(call)

    return Behaviour("scripted", steps)


async def tried(name: str, agent: Agent, directory: Path) -> bool:
    """Set one to work and say how it went."""
    async with FakeUpstream() as up:
        up.script("*", _scripted())
        (directory / "proxy" / "published").mkdir(parents=True)
        offers = [offer("vendor/model", upstream="up", upstream_model="up", input_modalities=("text", "image"))]
        more = [row for name in ("quality", "speed") for row in (profile(name), *ranking(name, offers))]
        write(directory / "proxy" / "published" / "orchestrator.duckdb", world(offers, *more))
        async with serving(directory / "proxy", {"up": up.base_url}) as proxy:
            home, work = directory / "home", directory / "work"
            for folder, files in ((home, agent.files), (work, agent.work)):
                folder.mkdir(parents=True)
                for path, text in files.items():
                    (folder / path).parent.mkdir(parents=True, exist_ok=True)
                    (folder / path).write_text(text.replace("ADDRESS", proxy.url))
            given = {key: value.replace("ADDRESS", proxy.url) for key, value in agent.environment.items()}
            environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "dumb", **given}
            process = await asyncio.create_subprocess_exec(
                *agent.command,
                cwd=work,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            try:
                said, _ = await asyncio.wait_for(process.communicate(), MOST_S)
            except TimeoutError:
                process.kill()
                said, _ = await process.communicate()
            decisions = proxy.runtime.decisions.last(1000)
        text = said.decode(errors="replace")
        written = (work / "made.txt").read_text().strip() if (work / "made.txt").exists() else ""
        has_passed = written == WORD and WORD in text and process.returncode == 0
        asked = Counter(f"{one['endpoint']} as {one['asked']}" for one in decisions)
        print(f"{name}: {'passed' if has_passed else 'FAILED'}; {dict(asked)}", flush=True)
        if not has_passed:
            print(f"exit {process.returncode}, made.txt {written!r}, said:\n{text[-3000:]}")
        return has_passed


async def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("agents", nargs="*", default=list(AGENTS), metavar="AGENT")
    passed = True
    for name in parser.parse_args().agents:
        if shutil.which(AGENTS[name].command[0]) is None:
            print(f"{name}: not installed")
            continue
        with tempfile.TemporaryDirectory(prefix=f"agent-{name}-") as directory:
            passed &= await tried(name, AGENTS[name], Path(directory))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
