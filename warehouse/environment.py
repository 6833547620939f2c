"""What every command does first: read the project's `.env`, and behave in a pipe.

What a variable means belongs to whoever reads it.
"""

from __future__ import annotations

import signal

from dotenv import load_dotenv

from warehouse.locations import PROJECT_ROOT


def load() -> None:
    """Put the variables of `.env` at the project's root into the environment; what is already set wins."""
    load_dotenv(PROJECT_ROOT / ".env", override=False)


def end_with_the_reader() -> None:
    """End quietly when whoever reads our output has seen enough, as in `… | head`. Not for servers."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
