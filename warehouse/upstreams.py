"""The upstreams a user has configured: rows of one TOML file, read by both halves.

What a row means belongs here. How to talk to an upstream does not: the pipeline lists its models, the proxy calls it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from warehouse.locations import PROJECT_ROOT

SHIPPED = Path(__file__).parent / "upstreams.toml"

KINDS = ("openrouter", "openai", "ollama", "vllm", "llamacpp", "lmstudio")

_FIELDS = {"base_url", "base_url_env", "api_key_env", "kind", "is_local", "enabled", "concurrency"}


class UpstreamsError(ValueError):
    """The upstreams file cannot be used. The text names file, row and mend."""


@dataclass(frozen=True)
class Upstream:
    """One place chat calls can be sent."""

    name: str
    base_url: str
    """Without a trailing slash; `/chat/completions` and `/models` follow it."""
    kind: str
    """One of `KINDS`."""
    api_key_env: str | None
    """Name of the variable that holds the key, or several with commas between; None where no key is needed."""
    is_local: bool
    """A server of the user's own: its models cost nothing."""
    concurrency: int | None = None
    """Most calls that one worker of the proxy sends it at a time with each key; None leaves it to its setting."""

    def api_keys(self, environment: Mapping[str, str]) -> tuple[str, ...]:
        """The keys, each once, in their order; none when the variable is not set. Never log them."""
        said = environment.get(self.api_key_env, "") if self.api_key_env else ""
        return tuple(dict.fromkeys(key for key in (part.strip() for part in said.split(",")) if key))

    def api_key(self, environment: Mapping[str, str]) -> str | None:
        """The first key, or None when there is none. Never log it."""
        return next(iter(self.api_keys(environment)), None)

    def is_usable(self, environment: Mapping[str, str]) -> bool:
        """Whether calls can be sent: no key is needed, or it is set."""
        return self.api_key_env is None or self.api_key(environment) is not None


def load(environment: Mapping[str, str] | None = None) -> tuple[Upstream, ...]:
    """Enabled upstreams of the file that `ORCHESTRATOR_UPSTREAMS` names, else of the shipped one, in file order.

    A relative path starts at the project.

    Raises `UpstreamsError` when the file is missing or a row is not understood.
    """
    env = os.environ if environment is None else environment
    named = env.get("ORCHESTRATOR_UPSTREAMS")
    path = PROJECT_ROOT / Path(named).expanduser() if named else SHIPPED
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UpstreamsError(f"ORCHESTRATOR_UPSTREAMS names {path}, which does not exist.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UpstreamsError(f"{path} is not valid TOML: {error}.") from error
    upstreams = [_upstream(path, name, row, env) for name, row in rows.items()]
    return tuple(upstream for upstream in upstreams if upstream is not None)


def _upstream(path: Path, name: str, row: object, env: Mapping[str, str]) -> Upstream | None:
    where = f"{path}, [{name}]"
    if not isinstance(row, dict):
        raise UpstreamsError(f"{where}: expected a table such as [{name}] with base_url and kind.")
    unknown = sorted(set(row) - _FIELDS)
    if unknown:
        raise UpstreamsError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(_FIELDS))}.")
    for field, expected in (("enabled", bool), ("is_local", bool), ("kind", str), ("base_url", str)):
        if field in row and not isinstance(row[field], expected):
            raise UpstreamsError(f"{where}: {field} must be a {'true or false' if expected is bool else 'string'}.")
    concurrency = row.get("concurrency")
    if concurrency is not None and (type(concurrency) is not int or concurrency < 1):
        raise UpstreamsError(f"{where}: concurrency must be a whole number of at least 1.")
    if row.get("enabled") is False:
        return None
    kind = row.get("kind", "openai")
    if kind not in KINDS:
        raise UpstreamsError(f"{where}: kind is {kind!r}; known are {', '.join(KINDS)}.")
    base_url = (env.get(row["base_url_env"]) if row.get("base_url_env") else None) or row.get("base_url", "")
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise UpstreamsError(f"{where}: base_url must be http(s)://host[:port]/path without user or query.")
    return Upstream(
        name=name,
        base_url=base_url.rstrip("/"),
        kind=kind,
        api_key_env=row.get("api_key_env"),
        is_local=bool(row.get("is_local", False)),
        concurrency=concurrency,
    )
