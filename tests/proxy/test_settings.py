"""Settings read from the environment."""

from __future__ import annotations

import pytest

from proxy.settings import Settings, SettingsError, load


def test_defaults_hold_where_nothing_is_set() -> None:
    """An empty variable counts as unset."""
    assert load({"ORCHESTRATOR_MAX_ATTEMPTS": "", "UNRELATED": "x"}) == Settings()


def test_every_kind_is_read() -> None:
    """Numbers, words, lists, yes and no."""
    found = load(
        {
            "ORCHESTRATOR_CONNECT_TIMEOUT_S": "2.5",
            "ORCHESTRATOR_MAX_ATTEMPTS": "7",
            "ORCHESTRATOR_FIRST_BYTE_TIMEOUT_S": "12",
            "ORCHESTRATOR_API_KEY": " sesame ",
            "ORCHESTRATOR_ALLOWED_DOMAINS": "localhost, 10.0.0.5:8000,",
            "ORCHESTRATOR_LOG_CALLS": "no",
        }
    )

    assert (found.connect_timeout_s, found.max_attempts, found.first_byte_timeout_s) == (2.5, 7, 12.0)
    assert (found.api_key, found.allowed_domains, found.log_calls) == ("sesame", ("localhost", "10.0.0.5:8000"), False)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MAX_ATTEMPTS", "0", "between 1 and 50"),
        ("MAX_ATTEMPTS", "2.5", "whole number"),
        ("CONNECT_TIMEOUT_S", "soon", "must be a number"),
        ("CONNECT_TIMEOUT_S", "nan", "between"),
        ("TOTAL_TIMEOUT_S", "-1", "between"),
        ("LOG_CALLS", "maybe", "true or false"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(name: str, value: str, words: str) -> None:
    """The text says which variable and what is expected."""
    with pytest.raises(SettingsError, match=f"ORCHESTRATOR_{name} .*{words}"):
        load({f"ORCHESTRATOR_{name}": value})
