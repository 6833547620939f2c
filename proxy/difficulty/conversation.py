"""What a request really asks: the last thing a person said, what it leans on, and how the work is going.

Reads chat-completions bodies (`messages`), the Messages shape of content blocks, Responses `input` items and a
plain `prompt`. Coding agents wrap the person's words in reminders, environment blocks and file dumps; those are
taken off here. Not here: any score. Nothing here raises on JSON-shaped input, and the work is bounded by the
last `MAX_MESSAGES` messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

MAX_MESSAGES: Final = 400
"""So many messages are looked at, from the last one back."""
MAX_ASKS: Final = 4
"""The last ask and up to three that a short one may refer to."""
MAX_TEXT: Final = 64 * 1024
MAX_RESULT_TEXT: Final = 2_000
"""A tool result is judged by its head and tail."""
PASTE: Final = 1_500
"""A fenced block or quoted document longer than this many characters is material, not the question."""
PASTE_KEPT: Final = 400

# Blocks that agent harnesses put into user turns; the person did not write them.
_HARNESS_TAGS: Final = (
    "system-reminder", "system_reminder", "environment_context", "environment_details", "user_instructions",
    "INSTRUCTIONS", "permissions instructions", "collaboration_mode", "env", "project", "file", "files", "file_content",
    "file_contents", "open_and_recently_viewed_files", "ide_opened_file", "ide_selection", "ide_diagnostics",
    "local-command-stdout", "local-command-stderr", "local-command-caveat", "command-message", "command-name",
    "command-contents", "bash-stdout", "bash-stderr", "task-notification", "document", "documents", "context",
    "attached_files", "additional_data", "rules", "git_status", "claudeMd", "skill", "new-diagnostics", "user_info",
)  # fmt: skip
# Tags whose inside is what the person typed.
_PERSON_TAGS: Final = ("user_query", "task", "command-args", "feedback", "user_message", "bash-input")

# User turns a harness writes by itself, by how they begin.
_HARNESS_OPENINGS: Final = (
    "# AGENTS.md instructions", "Called the Read tool", "Called the list tool", "Caveat: The messages below",
    "I have *added these files to the chat*", "I am not sharing any files", "Here are summaries of some files",
    "I am not sharing the full contents", "I switched to a new code base", "Here are some READ ONLY files",
    "I am working with you on code in a git repository", "This session is being continued from a previous",
    "[Request interrupted by user", "Continue if you have next steps", "The following tool was executed by the user",
    "<turn_aborted>", "Below is the repository map", "I committed the changes with git hash", "The repo is now",
)  # fmt: skip

# Calls a harness makes for its own upkeep: titles, topics, summaries of what was said.
_UPKEEP: Final = re.compile(
    r"(?i)(?:\bgenerate|\bwrite|\bcreate|\bsuggest|\bprovide|\bproduce"
    r"|\bcome up with)\b[^.\n]{0,60}\b(?:title|topic name"
    r"|branch name|commit message|session name|headline)\b"
    r"|\btitle generator\b|\bsummari[sz]e this (?:coding )?(?:conversation|session|chat)\b"
    r"|\bnew conversation topic\b|\bconversation title\b|\bunder 50 characters\b|\bcommit message generator\b"
)

_UPKEEP_WORDS: Final = (
    "title",
    "topic",
    "summar",
    "branch name",
    "commit message",
    "session name",
    "headline",
    "50 char",
)
"""One of these is in whatever `_UPKEEP` matches; looking for them first is thirty times cheaper."""

_READING: Final = re.compile(
    r"(?i)^(?:.*[._-])?(?:read|view|open|cat|ls|list|glob|grep|rg|find|search|tree|fetch|get|todo"
    r"|plan|update_plan)"
    r"|read|grep|glob|list|search"
)
_EDITING: Final = re.compile(r"(?i)edit|write|patch|replace|create|insert|apply|update_file|save")
_TESTING: Final = re.compile(
    r"(?i)\bpytest\b|\bunittest\b|\btox\b|\b(?:npm|pnpm|yarn|bun)\s+(?:run\s+)?test|\bcargo\s+(?:test"
    r"|build|check)"
    r"|\bgo\s+(?:test|build|vet)|\bmake\b|\bmvn\b|\bgradle|\bctest\b|\bjest\b|\bvitest\b|\btsc\b"
    r"|\brspec\b|\bmypy\b"
    r"|\bdotnet\s+(?:test|build)"
)
_FAILURE: Final = re.compile(
    r"Traceback \(most recent|\bFAILED\b|\bFAIL\b|[Ee]xit(?:ed)?(?: with)?(?: code| status)?:? ?[1-9]"
    r"|\b[1-9]\d* failed\b"
    r"|^\s*(?:Error|ERROR|error|fatal|panic)\b|\berror(?:\[E\d+\])?: |\w+(?:Error|Exception): "
    r"|command not found|No such file|does not exist|String to replace not found|failed to (?:apply"
    r"|find|match)"
    r"|Permission denied|npm ERR!|[Cc]ompilation failed|tests? failed|invalid context",
    re.MULTILINE,
)
_EXIT_ZERO: Final = re.compile(r"(?i)exit(?:ed)?(?: with)?(?: code| status)?:? ?0\b|\"exit_code\": ?0\b")


@dataclass(slots=True)
class Trajectory:
    """What the agent did since the last ask. Counts of calls; `growth` is the share of edits larger than the last."""

    calls: int = 0
    reads: int = 0
    edits: int = 0
    tests: int = 0
    failures: int = 0
    recent_failures: int = 0
    repeats: int = 0
    growth: int = 0


@dataclass(slots=True)
class Conversation:
    """A request, reduced to what difficulty is judged by."""

    asks: list[str] = field(default_factory=list)
    """What people asked, the last first; at most `MAX_ASKS`."""
    answer_before: str = ""
    """The assistant's words just before the last ask: what a "yes" agrees to."""
    pasted: int = 0
    """Characters of material that came with the last ask."""
    images: int = 0
    tools: int = 0
    human_turns: int = 0
    in_tool_loop: bool = False
    upkeep: bool = False
    """The harness asks for a title or a summary for itself."""
    trajectory: Trajectory = field(default_factory=Trajectory)


def read(body: object) -> Conversation:
    """Reduce a decoded request body of any shape. Never raises; what it cannot read counts as absent."""
    found = Conversation()
    if isinstance(body, str):
        found.asks.append(body)
        return found
    if not isinstance(body, Mapping):
        return found
    tools = body.get("tools") or body.get("functions")
    found.tools = len(tools) if isinstance(tools, (list, tuple)) else 0
    messages = body.get("messages")
    if not isinstance(messages, (list, tuple)):
        messages = body.get("input")
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, (list, tuple)):
        messages = []
    _read_messages(messages, found)
    if not found.asks:
        _fall_back(body, found)
    found.upkeep = _is_upkeep(body, messages, found)
    return found


def _read_messages(messages: Sequence[object], found: Conversation) -> None:
    steps: list[tuple[str, str]] = []  # calls since the last ask: (name, arguments), last first
    results: list[str] = []
    ask_open = True  # nothing but tool traffic has been seen so far
    for index in range(len(messages) - 1, max(-1, len(messages) - 1 - MAX_MESSAGES), -1):
        message = messages[index]
        if not isinstance(message, Mapping):
            continue
        role, kind = message.get("role"), message.get("type")
        content = message.get("content")
        if kind in ("function_call", "custom_tool_call", "local_shell_call"):
            if ask_open:
                steps.append(
                    (_word(message.get("name") or kind), _brief(message.get("arguments") or message.get("input")))
                )
            continue
        if role in ("tool", "function") or kind in ("function_call_output", "custom_tool_call_output"):
            if ask_open:
                results.append(_result_text(content if content is not None else message.get("output")))
                found.in_tool_loop = True
            continue
        if role == "assistant":
            text = _text_of(content, found) if not found.answer_before or ask_open else ""
            if ask_open:
                steps.extend(_calls_of(message))
            elif text and not found.answer_before and len(found.asks) == 1:
                found.answer_before = text[-2_000:]
            continue
        if role != "user":
            continue
        if isinstance(content, (list, tuple)) and any(
            isinstance(part, Mapping) and part.get("type") == "tool_result" for part in content
        ):
            if ask_open:
                found.in_tool_loop = True
                results.extend(_block_results(content))
            text = _text_of(content, None)
        else:
            text = _text_of(content, found if len(found.asks) == 0 else None)
        asked, pasted = person_text(text)
        if not asked and not found.images:
            continue
        if not asked and found.asks:
            continue
        found.human_turns += 1
        if len(found.asks) < MAX_ASKS:
            found.asks.append(asked)
        if ask_open:
            found.pasted = pasted
            ask_open = False
        elif found.human_turns > MAX_ASKS and len(found.asks) >= MAX_ASKS:
            break
    found.trajectory = _trajectory(steps, results)


def _fall_back(body: Mapping[Any, Any], found: Conversation) -> None:
    """A plain prompt, or, where no person spoke, the instructions themselves."""
    prompt = body.get("prompt")
    if isinstance(prompt, (list, tuple)):
        prompt = "\n".join(part for part in prompt if isinstance(part, str))
    if isinstance(prompt, str) and prompt:
        asked, found.pasted = person_text(prompt)
        found.asks.append(asked or prompt[:MAX_TEXT])


def _is_upkeep(body: Mapping[Any, Any], messages: Sequence[object], found: Conversation) -> bool:
    if found.tools or found.in_tool_loop:
        return False
    ask = found.asks[0] if found.asks else ""
    if _hints_upkeep(ask):
        # A person may ask for a title too; a harness's wish is short and stands alone or after material.
        return (len(ask) < 2_000 and found.human_turns > 1) or "conversation" in ask or "50 char" in ask
    head = body.get("system") or body.get("instructions")
    if (
        not head
        and messages
        and isinstance(messages[0], Mapping)
        and messages[0].get("role") in ("system", "developer")
    ):
        head = messages[0].get("content")
    if not head:
        return False
    return _hints_upkeep(_text_of(head, None))


def _hints_upkeep(text: str) -> bool:
    head = text[:600]
    lower = head.lower()
    for word in _UPKEEP_WORDS:
        if word in lower:
            return _UPKEEP.search(head) is not None
    return False


def _text_of(content: object, found: Conversation | None) -> str:
    """The words in a content value: a string, or the text parts of a list. Counts images into `found`."""
    if isinstance(content, str):
        return content[:MAX_TEXT] if len(content) <= MAX_TEXT else content[: MAX_TEXT // 2] + content[-MAX_TEXT // 2 :]
    if not isinstance(content, (list, tuple)):
        return ""
    parts: list[str] = []
    room = MAX_TEXT
    for part in content[:MAX_MESSAGES]:
        if isinstance(part, str):
            text: object = part
        elif isinstance(part, Mapping):
            kind = part.get("type")
            if found is not None and kind in ("image_url", "image", "input_image"):
                found.images += 1
            text = part.get("text")
        else:
            continue
        if isinstance(text, str) and room > 0:
            parts.append(text[:room])
            room -= len(text)
    return "\n".join(parts)


def _calls_of(message: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    calls = message.get("tool_calls")
    if isinstance(calls, (list, tuple)):
        for call in reversed(calls[:64]):
            function = call.get("function") if isinstance(call, Mapping) else None
            if isinstance(function, Mapping):
                yield _word(function.get("name")), _brief(function.get("arguments"))
    content = message.get("content")
    if isinstance(content, (list, tuple)):
        for part in reversed(content[:64]):
            if isinstance(part, Mapping) and part.get("type") == "tool_use":
                yield _word(part.get("name")), _brief(part.get("input"))


def _block_results(content: Sequence[object]) -> Iterator[str]:
    for part in reversed(content[:64]):
        if isinstance(part, Mapping) and part.get("type") == "tool_result":
            text = _result_text(part.get("content"))
            yield f"Error {text}" if part.get("is_error") is True else text


def _word(value: object) -> str:
    return value[:100] if isinstance(value, str) else ""


def _brief(value: object) -> str:
    """Arguments as text, enough of them to tell two calls apart and to see what is run."""
    if isinstance(value, str):
        return value[:4_000]
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_size_or_text(item)}" for key, item in list(value.items())[:16])
    return ""


def _size_or_text(item: object) -> object:
    if isinstance(item, str):
        return item[:2_000]
    return len(item) if isinstance(item, (list, dict)) else item


def _result_text(content: object) -> str:
    text = _text_of(content, None)
    return text if len(text) <= MAX_RESULT_TEXT else text[: MAX_RESULT_TEXT // 2] + "\n" + text[-MAX_RESULT_TEXT // 2 :]


def _trajectory(steps: Sequence[tuple[str, str]], results: Sequence[str]) -> Trajectory:
    found = Trajectory(calls=len(steps))
    seen: set[tuple[str, str]] = set()
    last_edit = 0
    for name, arguments in reversed(steps):
        if (name, arguments) in seen:
            found.repeats += 1
        seen.add((name, arguments))
        if _TESTING.search(arguments[:400]):
            found.tests += 1
        elif _EDITING.search(name) or "apply_patch" in arguments[:40]:
            found.edits += 1
            if last_edit and len(arguments) > 1.2 * last_edit:
                found.growth += 1
            last_edit = len(arguments)
        elif _READING.search(name) or _reads(arguments):
            found.reads += 1
    for age, text in enumerate(results):
        if _FAILURE.search(text) and not (_EXIT_ZERO.search(text) and "Traceback" not in text):
            found.failures += 1
            found.recent_failures += age < 4
    return found


_READS: Final = re.compile(
    r"(?:^|[\"'=\s\[])(?:ls|cat|sed -n|rg|grep|find|head|tail|tree|git (?:status|diff|log|show))\b"
)


def _reads(arguments: str) -> bool:
    return bool(_READS.search(arguments[:120]))


def person_text(text: str) -> tuple[str, int]:
    """What the person wrote in a user turn, and how many characters of material were taken off.

    Empty when the whole turn is a harness's.
    """
    size = len(text)
    if size > MAX_TEXT:
        text = text[: MAX_TEXT // 2] + text[-MAX_TEXT // 2 :]
    if "<" in text:
        for tag in _PERSON_TAGS:
            start = text.find(f"<{tag}>")
            if start >= 0 and (end := text.find(f"</{tag}>", start)) > start:
                inside = text[start + len(tag) + 2 : end].strip()
                if inside:
                    text = inside
                    break
        for tag in _HARNESS_TAGS:
            if f"<{tag}" in text:
                text = _without(text, tag)
    text = text.strip()
    if text.startswith(_HARNESS_OPENINGS):
        return "", size
    if len(text) > PASTE:
        text = _without_pastes(text)
    return text, size - len(text)


def _without(text: str, tag: str) -> str:
    """`text` without the closed `<tag …>…</tag>` blocks; one scan."""
    kept: list[str] = []
    at, opening, closing = 0, f"<{tag}", f"</{tag}>"
    while (start := text.find(opening, at)) >= 0:
        after = text[start + len(opening) : start + len(opening) + 1]
        end = text.find(closing, start) if after in (">", " ", "\n") else -1
        if after in (">", " ", "\n") and end < 0:
            break
        if end < 0:
            kept.append(text[at : start + len(opening)])
            at = start + len(opening)
            continue
        kept.append(text[at:start])
        at = end + len(closing)
    kept.append(text[at:])
    return "".join(kept)


def _without_pastes(text: str) -> str:
    """`text` with each long fenced block cut to its head, and a long single document cut to its ends."""
    if "```" in text:
        parts = text.split("```")
        # Odd parts lie inside fences.
        text = "```".join(
            part[:PASTE_KEPT] + "\n" if index % 2 and len(part) > PASTE else part for index, part in enumerate(parts)
        )
    if len(text) <= 4 * PASTE:
        return text
    # A question comes before or after what it is about.
    return text[: 2 * PASTE] + "\n" + text[-2 * PASTE :]
