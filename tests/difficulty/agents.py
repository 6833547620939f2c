"""Twenty requests of coding agents, written here in the wire shapes that the agents send.

Claude Code sends content blocks with `<system-reminder>` and tool_use/tool_result; Codex sends Responses items with
`<environment_context>`; OpenCode sends chat completions with `tool` messages; Aider sends plain text with file
dumps. Each case says what the person asked and what must follow. No text here comes from a real session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]

HARD_ASK = (
    "Our job queue sometimes runs a job twice when two workers claim it in the same millisecond. "
    "Prove where the race is, "
    "design a claim protocol that stays correct when a worker dies between the claim and the commit, "
    "implement it in "
    "queue/claim.py without a new dependency, and explain why it cannot deadlock with the reaper."
)
EASY_ASK = "What does the --verbose flag do?"
LISTING = "\n".join(f"src/module_{number}/handlers.py" for number in range(120))
DUMP = "\n".join(
    f"def handler_{number}(request, *, retries={number % 7}):\n    return transform(request, depth={number})\n"
    for number in range(160)
)
FAILED = (
    "FAILED tests/test_claim.py::test_two_workers - AssertionError: job ran twice\n"
    "1 failed, 11 passed in 2.31s\nexit code: 1"
)
PASSED = "12 passed in 2.10s\nexit code: 0"

REMINDER = (
    "<system-reminder>\nAs you answer the user's questions, you can use the following context:\n# claudeMd\n"
    "Prove every theorem. Optimise the concurrent algorithm. Derive the complexity of each "
    "integral.\n</system-reminder>"
)
ENVIRONMENT = (
    "<environment_context>\n  <cwd>/home/dev/queue</cwd>\n  <approval_policy>on-request</approval_policy>\n"
    "  <sandbox_mode>workspace-write</sandbox_mode>\n  <shell>bash</shell>\n</environment_context>"
)
AGENTS_FILE = (
    "# AGENTS.md instructions for /home/dev/queue\n\n<INSTRUCTIONS>\nAlways design lock-free "
    "algorithms and prove them "
    "correct.\n</INSTRUCTIONS>"
)


def tools(*names: str) -> list[Body]:
    return [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in names]


CLAUDE_TOOLS = [
    {"name": name, "input_schema": {"type": "object"}} for name in ("Read", "Edit", "Bash", "Grep", "TodoWrite")
]
OPENCODE_TOOLS = tools("read", "edit", "bash", "grep", "list")


def claude(*turns: Body, with_tools: bool = True, system: str = "You are an interactive CLI tool.") -> Body:
    body: Body = {"system": [{"type": "text", "text": system}], "messages": list(turns)}
    return body | ({"tools": CLAUDE_TOOLS} if with_tools else {})


def said(*texts: str) -> Body:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


def used(number: int, name: str, **arguments: Any) -> Body:
    return {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}],
    }


def gave(number: int, text: str, error: bool = False) -> Body:
    block = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": text, "is_error": error}
    return {"role": "user", "content": [block]}


def answered(text: str) -> Body:
    return {"role": "assistant", "content": text}


def codex(*items: Body) -> Body:
    first = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": AGENTS_FILE}]}
    second = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": ENVIRONMENT}]}
    return {
        "instructions": "You are a coding agent running in a terminal.",
        "input": [first, second, *items],
        "tools": [{"type": "function", "name": "shell"}, {"type": "custom", "name": "apply_patch"}],
    }


def item(text: str) -> Body:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def shell(number: int, command: str) -> Body:
    return {
        "type": "function_call",
        "call_id": f"call_{number}",
        "name": "shell",
        "arguments": f'{{"command":["bash","-lc","{command}"]}}',
    }


def output(number: int, text: str) -> Body:
    return {"type": "function_call_output", "call_id": f"call_{number}", "output": text}


def opencode(*turns: Body) -> Body:
    return {"messages": [{"role": "system", "content": "You are opencode."}, *turns], "tools": OPENCODE_TOOLS}


def call(number: int, name: str, arguments: str) -> Body:
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": f"c{number}", "type": "function", "function": function}],
    }


def result(number: int, text: str) -> Body:
    return {"role": "tool", "tool_call_id": f"c{number}", "content": text}


def user(text: str) -> Body:
    return {"role": "user", "content": text}


def aider(*turns: Body) -> Body:
    dump = (
        f"I have *added these files to the chat* so you can go ahead and edit them.\n\nqueue/claim.py\n```\n{DUMP}\n```"
    )
    return {
        "messages": [
            {
                "role": "system",
                "content": "Act as an expert software developer. Always use best practices when coding.",
            },
            user("Here are summaries of some files present in my git repository.\n\n" + LISTING),
            answered("Ok, I won't try and edit those files without asking first."),
            user(dump),
            answered("Ok, any changes I propose will be to those files."),
            *turns,
        ]
    }


@dataclass(frozen=True, slots=True)
class Case:
    """`asked`: what a person said last. `as_hard_as`: the text whose difficulty it must keep (within 0.2)."""

    name: str
    body: Body
    asked: str
    in_tool_loop: bool = False
    continuation: str = "new"
    as_hard_as: str | None = None
    easy: bool = False


def edit_and_test(failing: int) -> list[Body]:
    turns: list[Body] = []
    for number in range(failing):
        turns += [
            used(
                2 * number,
                "Edit",
                file_path="queue/claim.py",
                old_string="claim",
                new_string="claim " * 20 * (number + 1),
            ),
            gave(2 * number, "The file queue/claim.py has been updated."),
            used(2 * number + 1, "Bash", command=f"pytest -q tests/test_claim.py -k {number}"),
            gave(2 * number + 1, FAILED),
        ]
    return turns


CASES: tuple[Case, ...] = (
    Case("claude: reminders are not the ask", claude(said(REMINDER, EASY_ASK)), EASY_ASK, as_hard_as=EASY_ASK),
    Case(
        "claude: a hard ask stays hard under reminders", claude(said(REMINDER, HARD_ASK)), HARD_ASK, as_hard_as=HARD_ASK
    ),
    Case(
        "claude: a title for the session",
        claude(
            said(f"Please write a 5-10 word title for the following conversation:\n\n{HARD_ASK}"),
            with_tools=False,
            system="Summarize this coding conversation in under 50 characters.",
        ),
        f"Please write a 5-10 word title for the following conversation:\n\n{HARD_ASK}",
        easy=True,
    ),
    Case(
        "claude: yes to a plan",
        claude(
            said(REMINDER, HARD_ASK),
            answered("I would add a lease column and fence each commit. Shall I?"),
            said("yes, do it"),
        ),
        "yes, do it",
        continuation="follow_up",
        as_hard_as=HARD_ASK,
    ),
    Case(
        "claude: inside a tool loop",
        claude(said(HARD_ASK), used(1, "Read", file_path="queue/claim.py"), gave(1, DUMP)),
        HARD_ASK,
        in_tool_loop=True,
        continuation="tool_loop",
        as_hard_as=HARD_ASK,
    ),
    Case(
        "claude: a reminder rides on a tool result",
        claude(
            said(EASY_ASK),
            used(1, "Grep", pattern="verbose"),
            {"role": "user", "content": [*gave(1, LISTING)["content"], {"type": "text", "text": REMINDER}]},
        ),
        EASY_ASK,
        in_tool_loop=True,
        continuation="tool_loop",
        as_hard_as=EASY_ASK,
    ),
    Case(
        "claude: thanks after hard work",
        claude(said(HARD_ASK), answered("Done; all tests pass."), said("thanks!")),
        "thanks!",
        easy=True,
    ),
    Case("codex: instructions and environment are not the ask", codex(item(EASY_ASK)), EASY_ASK, as_hard_as=EASY_ASK),
    Case("codex: a hard ask", codex(item(HARD_ASK)), HARD_ASK, as_hard_as=HARD_ASK),
    Case(
        "codex: a listing step",
        codex(item(HARD_ASK), shell(1, "ls -R src"), output(1, LISTING)),
        HARD_ASK,
        in_tool_loop=True,
        continuation="tool_loop",
        as_hard_as=HARD_ASK,
    ),
    Case(
        "codex: go on",
        codex(
            item(HARD_ASK),
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Step 1 is done."}]},
            item("go on"),
        ),
        "go on",
        continuation="follow_up",
        as_hard_as=HARD_ASK,
    ),
    Case(
        "codex: a new easy question after a hard one",
        codex(
            item(HARD_ASK),
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]},
            item("What is the capital of Portugal?"),
        ),
        "What is the capital of Portugal?",
        as_hard_as="What is the capital of Portugal?",
    ),
    Case("opencode: one ask", opencode(user(HARD_ASK)), HARD_ASK, as_hard_as=HARD_ASK),
    Case(
        "opencode: a file attached by the harness",
        opencode(
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": EASY_ASK},
                    {"type": "text", "text": f"<file>\n{DUMP}\n</file>"},
                ],
            }
        ),
        EASY_ASK,
        as_hard_as=EASY_ASK,
    ),
    Case(
        "opencode: reading, then reading more",
        opencode(
            user(EASY_ASK),
            call(1, "read", '{"filePath":"src/cli.py"}'),
            result(1, DUMP),
            call(2, "grep", '{"pattern":"verbose"}'),
            result(2, LISTING),
        ),
        EASY_ASK,
        in_tool_loop=True,
        continuation="tool_loop",
        as_hard_as=EASY_ASK,
    ),
    Case(
        "opencode: title",
        {
            "messages": [
                {
                    "role": "system",
                    "content": "You are a title generator. You output ONLY a thread title. Nothing else.",
                },
                user(HARD_ASK),
            ]
        },
        HARD_ASK,
        easy=True,
    ),
    Case(
        "opencode: a weak nod two turns after the problem",
        opencode(
            user(HARD_ASK),
            answered("First part done. Next?"),
            user("yes"),
            answered("Second part done."),
            user("continue"),
        ),
        "continue",
        continuation="follow_up",
        as_hard_as=HARD_ASK,
    ),
    Case("aider: file dumps are not the ask", aider(user(EASY_ASK)), EASY_ASK, as_hard_as=EASY_ASK),
    Case("aider: a hard ask", aider(user(HARD_ASK)), HARD_ASK, as_hard_as=HARD_ASK),
    Case(
        "aider: the edit did not apply, try again",
        aider(
            user(HARD_ASK),
            answered("queue/claim.py\n<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE"),
            user("that did not apply, try again"),
        ),
        "that did not apply, try again",
        continuation="follow_up",
        as_hard_as=HARD_ASK,
    ),
)


def sessions() -> dict[str, tuple[Callable[..., Body], list[list[Body]]]]:
    """One session of each agent: its wire shape, and its turns in steps; a request is sent after every step.

    A hard ask, edits and failing tests until they pass, an assent, more of the same, thanks.
    """
    claude_loop: list[list[Body]] = [edit_and_test(4)[at : at + 2] for at in range(0, 16, 2)]
    return {
        "claude": (
            claude,
            [
                [said(REMINDER, HARD_ASK)],
                *claude_loop,
                [answered("Eleven pass. Shall I fence the commit too?"), said("yes, do it")],
                *claude_loop,
                [answered("All pass."), said("thanks!")],
            ],
        ),
        "codex": (
            codex,
            [
                [item(HARD_ASK)],
                *([shell(n, f"pytest -q -k {n}"), output(n, FAILED)] for n in range(4)),
                [{"type": "message", "role": "assistant", "content": "Step 1 is done."}, item("go on")],
                *([shell(n, f"pytest -q -k {n}"), output(n, PASSED)] for n in range(4, 8)),
                [{"type": "message", "role": "assistant", "content": "Done."}, item("thanks!")],
            ],
        ),
        "opencode": (
            opencode,
            [
                [user(HARD_ASK)],
                *([call(n, "bash", f'{{"command":"pytest -k {n}"}}'), result(n, FAILED)] for n in range(4)),
                [answered("Two ways are left. Shall I take the second?"), user("ok, the second one")],
                *([call(n, "read", f'{{"filePath":"{n}.py"}}'), result(n, DUMP)] for n in range(4, 8)),
                [answered("Done."), user("great, thanks")],
            ],
        ),
        "aider": (
            aider,
            [
                [user(HARD_ASK)],
                [answered("queue/claim.py\n<<<<<<< SEARCH\nx\n>>>>>>> REPLACE"), user("that did not apply, try again")],
                [answered("queue/claim.py\n<<<<<<< SEARCH\ny\n>>>>>>> REPLACE"), user("still fails, fix it")],
                [answered("Done."), user("thanks!")],
            ],
        ),
    }
