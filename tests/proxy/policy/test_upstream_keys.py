"""Several keys of one upstream: whose turn it is, and what a refusal of one means for the others."""

from __future__ import annotations

import json

import pytest

from proxy.affinity import Session
from proxy.errors import AttemptsFailedError
from proxy.guard import Guard
from proxy.policies import Plan
from proxy.settings import Settings
from proxy.snapshot import build
from proxy.upstreams import account
from tests.proxy.hand import Bench, Told, fails, says
from tests.proxy.publication import offer, world
from warehouse import published
from warehouse.published import PublishedRows
from warehouse.upstreams import Upstream

pytestmark = pytest.mark.anyio

A, OTHER = offer("a/model", upstream="up"), offer("b/model", upstream="elsewhere")
KEYS = {"A_KEY": "first, second,,third,first", "B_KEY": "only"}


class Keyed(Bench):
    """A bench whose first upstream has three keys; `refuse` says what each key is answered with."""

    def __init__(self, concurrency: int | None = None, **settings: object) -> None:
        by_type: dict[type, list[object]] = {table.row: [] for table in published.TABLES}
        for one in world((A, OTHER)):
            by_type[type(one)].append(one)
        rows = {"up": ("A_KEY", concurrency), "elsewhere": ("B_KEY", None)}
        accounts = {
            name: account(
                Upstream(name, f"https://{name}.example/v1", "openai", variable, False, most),
                KEYS,
                Guard(),
                Settings(),
            )
            for name, (variable, most) in rows.items()
        }
        super().__init__(build(PublishedRows(by_type), accounts), **settings)
        self.refuse: dict[str, object] = {}
        plain = self.transport.send
        self.transport.tell("a/model", says("a"))
        self.transport.tell("b/model", says("b"))

        async def send(request):  # type: ignore[no-untyped-def]
            behaviour = self.refuse.get(request.headers["authorization"].removeprefix("Bearer "))
            if behaviour is None:
                return await plain(request)
            self.transport.sent.append((json.loads(request.body)["model"], request))
            made = behaviour()  # type: ignore[operator]
            assert isinstance(made, Told)
            return made

        self.transport.send = send  # type: ignore[method-assign]

    @property
    def used(self) -> list[str]:
        return [request.headers["authorization"].removeprefix("Bearer ") for _, request in self.transport.sent]


async def test_calls_take_the_keys_in_turn() -> None:
    """A key that is written twice is one key."""
    at = Keyed()
    for _ in range(4):
        await at.answer()

    assert at.used == ["first", "second", "third", "first"]


@pytest.mark.parametrize("status", [401, 402, 429])
async def test_a_refusal_of_one_key_moves_to_the_next_before_leaving_the_upstream(status: int) -> None:
    """The caller gets the first candidate's answer all the same, even where a single candidate may be tried."""
    at = Keyed(max_attempts=1)
    at.refuse = {"first": fails(status), "second": fails(status)}

    body = json.loads(await at.answer())

    assert body["choices"][0]["message"]["content"] == "a"
    assert at.used == ["first", "second", "third"]


async def test_a_dead_key_rests_for_all_models_and_the_others_go_on() -> None:
    """It is not tried again in the next call; its breaker says which key, never the key itself."""
    at = Keyed()
    at.refuse = {"first": fails(401)}
    for _ in range(4):
        await at.answer()

    assert at.used == ["first", "second", "third", "second", "third"]
    (broken,) = [one for one in at.breakers if one.is_open]
    assert (broken.key, broken.reason) == ("key up #1", "key_invalid")


async def test_a_rate_limit_rests_one_key_at_one_endpoint() -> None:
    """Too much with one key at one model says nothing of the others."""
    at = Keyed()
    at.refuse = {"first": fails(429, retry_after="30")}
    for _ in range(4):
        await at.answer()
    assert [one.key for one in at.breakers if one.is_open] == ["up:a/model with key up #1"]

    at.refuse = {}
    await at.clock.advance(31)
    at.transport.sent.clear()
    for _ in range(3):
        await at.answer()
    assert set(at.used) == {"first", "second", "third"}


async def test_with_every_key_refused_the_next_upstream_answers() -> None:
    """And later calls do not try the dead keys again."""
    at = Keyed()
    at.refuse = dict.fromkeys(("first", "second", "third"), fails(402))
    for _ in range(2):
        assert json.loads(await at.answer())["choices"][0]["message"]["content"] == "b"

    assert at.used == ["first", "second", "third", "only", "only"]


async def test_every_key_limited_everywhere_is_429_with_the_shortest_wait() -> None:
    """Then, and only then, asking less helps."""
    at = Keyed()
    at.refuse = dict.fromkeys(("first", "second", "third", "only"), fails(429, retry_after="7"))

    with pytest.raises(AttemptsFailedError) as failed:
        await at.answer()
    assert (failed.value.status, failed.value.headers["retry-after"]) == (429, "7")

    with pytest.raises(AttemptsFailedError) as failed:
        await at.answer()
    assert failed.value.status == 429


async def test_a_key_at_its_own_limit_is_passed_over() -> None:
    """With one place each, calls that run at once have different keys."""
    at = Keyed(concurrency=1)
    held = [at.failover._attempts.begin_now(at.call(), at.snapshot.rankings["balanced"][0]) for _ in range(4)]

    names = [one.key.name if one is not None and one.key is not None else None for one in held]
    assert names == ["key up #1", "key up #2", "key up #3", None]
    assert held[1] is not None
    held[1].end("answered")
    again = at.failover._attempts.begin_now(at.call(), at.snapshot.rankings["balanced"][0])
    assert again is not None
    assert again.key is not None
    assert again.key.name == "key up #2"


async def test_a_session_keeps_the_key_its_prompt_is_warm_with() -> None:
    """Whose turn it is does not matter then; a key that rests does."""
    at = Keyed()
    for _ in range(3):
        call = at.call()
        assert call.assessment is not None
        call.plan = Plan(call.wanted, call.assessment, session=Session("s", "session_id"))
        call.plan.key_of_session = "key up #2"
        await at.failover.answer(call)
    assert at.used == ["second"] * 3
