"""Keys that clients call with: rows, checks, and the command that makes one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from proxy import keys
from proxy.keys import Keyring, KeysError, hash_of

TOKEN = "sk-orc-correct-horse"


def written(path: Path, text: str) -> Path:
    file = path / "keys.toml"
    file.write_text(text.replace("HASH", hash_of(TOKEN)), encoding="utf-8")
    return file


def test_a_key_is_found_by_itself_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    """Bytes of a header do as well as text; anything else finds nothing."""
    file = written(
        tmp_path,
        """
        [alice]
        sha256 = "HASH"
        profiles = ["budget", "balanced"]
        models = ["openai/*", "qwen/qwen3"]
        requests_per_minute = 60
        budget_usd_per_day = 5
        expires_on = 2026-12-31
        """,
    )
    ring = keys.load({"ORCHESTRATOR_KEYS": str(file)})
    found = ring.find(TOKEN.encode())

    assert found is not None
    assert (found.name, found.requests_per_minute, found.budget_usd_per_day) == ("alice", 60, 5)
    assert ring.find("sk-orc-wrong") is None
    assert ring.find("") is None
    assert TOKEN not in repr(found)
    assert found.allows_profile("budget")
    assert not found.allows_profile("quality")
    assert found.allows_model("openai/gpt-5")
    assert not found.allows_model("qwen/qwen3-32b")
    assert found.problem(dt.date(2026, 12, 31)) is None
    assert found.problem(dt.date(2027, 1, 1)) == "the key ended on 2026-12-31"


def test_without_a_file_there_are_no_keys() -> None:
    """An empty variable counts as unset."""
    assert len(keys.load({})) == 0
    assert len(keys.load({"ORCHESTRATOR_KEYS": " "})) == 0


def test_only_a_limit_makes_a_key_limited(tmp_path: Path) -> None:
    """Permissions are looked up; nothing of them is counted."""
    (key,) = keys.read(written(tmp_path, '[a]\nsha256 = "HASH"\nmodels = ["x/*"]'))
    (limited,) = keys.read(written(tmp_path, '[a]\nsha256 = "HASH"\nconcurrency = 2'))

    assert (key.is_limited, key.has_budget) == (False, False)
    assert (limited.is_limited, limited.has_budget) == (True, False)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("a = 1", r"\[a\]: expected a table"),
        ('[a]\nsha256 = "short"', r"\[a\]: sha256 must be 64 hexadecimal digits"),
        ("[a]\nconcurrency = 3", r"\[a\]: sha256 must be"),
        (
            '[a]\nsha256 = "HASH"\nbudget = 3',
            r"\[a\]: unknown budget; known are budget_usd_per_day, budget_usd_per_month",
        ),
        (
            '[a]\nsha256 = "HASH"\nbudget_usd_per_day = "5"',
            r"\[a\]: budget_usd_per_day must be an amount of US dollars",
        ),
        ('[a]\nsha256 = "HASH"\nbudget_usd_per_day = nan', r"budget_usd_per_day must be an amount"),
        ('[a]\nsha256 = "HASH"\nrequests_per_minute = 0', r"requests_per_minute must be a whole number"),
        ('[a]\nsha256 = "HASH"\nconcurrency = true', r"concurrency must be a whole number"),
        ('[a]\nsha256 = "HASH"\nmodels = []', r"models must be a list of at least one pattern"),
        ('[a]\nsha256 = "HASH"\nexpires_on = "soon"', r"expires_on must be a date"),
        ('[a]\nsha256 = "HASH"\n[b]\nsha256 = "HASH"', r"\[a\] and \[b\] have the same key"),
        ("[a", "is not valid TOML"),
    ],
)
def test_a_row_that_is_not_understood_stops_the_load(tmp_path: Path, row: str, expected: str) -> None:
    """A mistyped limit must never mean none."""
    with pytest.raises(KeysError, match=expected):
        keys.read(written(tmp_path, row))


def test_a_file_that_is_missing_is_said(tmp_path: Path) -> None:
    """Rather than leaving the proxy open."""
    with pytest.raises(KeysError, match="which does not exist"):
        keys.load({"ORCHESTRATOR_KEYS": str(tmp_path / "none.toml")})


def test_a_new_key_is_shown_once_and_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the key itself goes to standard output, so that it can be piped; the file holds no key and is private."""
    file = tmp_path / "keys.toml"
    monkeypatch.setenv("ORCHESTRATOR_KEYS", str(file))

    assert keys.main(["new", "alice"]) == 0
    alice = capsys.readouterr().out.strip()
    assert keys.main(["new", "bob"]) == 0
    bob = capsys.readouterr().out.strip()
    assert keys.main(["new", "alice"]) == 1
    assert "has a key named alice already" in capsys.readouterr().err
    ring = Keyring(keys.read(file))

    assert [found.name for token in (alice, bob) if (found := ring.find(token))] == ["alice", "bob"]
    assert alice.startswith("sk-orc-")
    assert len(alice) >= 48
    assert alice not in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o077 == 0


def test_a_row_is_appended_after_a_file_without_a_last_newline(tmp_path: Path) -> None:
    """As editors leave them."""
    file = written(tmp_path, '[a]\nsha256 = "HASH"\nconcurrency = 3')
    keys.append(file, "b", "another")

    assert [key.name for key in keys.read(file)] == ["a", "b"]


def test_without_a_file_the_command_says_what_to_keep(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hash to keep goes with the key."""
    monkeypatch.delenv("ORCHESTRATOR_KEYS", raising=False)

    assert keys.main(["new", "alice"]) == 0
    shown = capsys.readouterr()
    assert hash_of(shown.out.strip()) in shown.err
    assert keys.main(["new", "two words"]) == 2
