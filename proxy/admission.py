"""How many calls an upstream, or the worker itself, takes at a time; who waits for a place, and who is sent away.

Counting places and a short, fair queue belong here. What becomes of a call that finds none does not (`failover.py`),
nor do the limits of keys (`budgets.py`). The queue is fair among clients, not calls: whoever sends a thousand at once
waits behind itself, and the next client's single call is served in its turn.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Mapping

from proxy.clock import Clock


class Queue:
    """Who comes next: first come, first served for each client, and clients in turn. Pure."""

    def __init__(self) -> None:
        self._by_client: OrderedDict[str, deque[object]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, client: str, ticket: object) -> None:
        """Line up."""
        self._by_client.setdefault(client, deque()).append(ticket)
        self._length += 1

    def next(self) -> object | None:
        """The ticket whose turn it is, taken out; None when nobody waits."""
        if not self._by_client:
            return None
        client, tickets = self._by_client.popitem(last=False)
        ticket = tickets.popleft()
        if tickets:
            self._by_client[client] = tickets
        self._length -= 1
        return ticket

    def leave(self, client: str, ticket: object) -> bool:
        """Give up waiting; False when the ticket's turn has come already."""
        tickets = self._by_client.get(client)
        if tickets is None or ticket not in tickets:
            return False
        tickets.remove(ticket)
        if not tickets:
            del self._by_client[client]
        self._length -= 1
        return True


class Places:
    """A number of places, and the queue before them."""

    def __init__(self, places: int, longest_queue: int, longest_wait_s: float, clock: Clock) -> None:
        self.places = places
        self.taken = 0
        self.turned_away = 0
        """Calls that found no place in time."""
        self._longest_queue = longest_queue
        self._longest_wait_s = longest_wait_s
        self._clock = clock
        self._queue = Queue()

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._queue)

    def take_now(self) -> bool:
        """Take a place if one is free and nobody waits for it."""
        if self.taken < self.places and not self._queue:
            self.taken += 1
            return True
        return False

    async def take(self, client: str = "", until: float | None = None) -> bool:
        """Take a place, waiting for one where needed; False when the queue is full or the wait was in vain.

        `until`, in the clock's seconds, ends the wait earlier. Whoever took a place gives it back with `give_back`.
        """
        if self.take_now():
            return True
        if len(self._queue) >= self._longest_queue:
            self.turned_away += 1
            return False
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(client, ticket)
        ends = self._clock.monotonic() + self._longest_wait_s
        try:
            async with self._clock.timeout_at(ends if until is None else min(ends, until)):
                await ticket
        except TimeoutError:
            if self._queue.leave(client, ticket):
                self.turned_away += 1
                return False
            # The turn came at the very moment the wait ended.
            return True
        except asyncio.CancelledError:
            if not self._queue.leave(client, ticket):
                self.give_back()
            raise
        return True

    def give_back(self) -> None:
        """Leave; the place goes to whoever is next."""
        while (ticket := self._queue.next()) is not None:
            assert isinstance(ticket, asyncio.Future)  # noqa: S101
            if not ticket.done():
                ticket.set_result(None)
                return
        self.taken -= 1


class Admission:
    """The places of every upstream that has a limit. One without costs a look-up in a dictionary."""

    def __init__(self, places_of: Mapping[str, int], longest_queue: int, longest_wait_s: float, clock: Clock) -> None:
        self._longest_queue = longest_queue
        self._longest_wait_s = longest_wait_s
        self._clock = clock
        self._places: dict[str, Places] = {}
        self.limit(places_of)

    def of(self, upstream: str) -> Places | None:
        """The places of an upstream; None when it has no limit."""
        return self._places.get(upstream)

    def limit(self, places_of: Mapping[str, int]) -> None:
        """Use other limits. Running calls keep their places; a lower limit holds as they end."""
        for upstream, places in places_of.items():
            known = self._places.get(upstream)
            if known is None:
                self._places[upstream] = Places(places, self._longest_queue, self._longest_wait_s, self._clock)
            else:
                known.places = places
        for upstream in set(self._places) - set(places_of):
            del self._places[upstream]

    def state(self) -> dict[str, dict[str, int]]:
        """For people: places, calls that run, wait, and were turned away, by upstream."""
        return {
            upstream: {
                "places": one.places,
                "running": one.taken,
                "waiting": one.waiting,
                "turned_away": one.turned_away,
            }
            for upstream, one in self._places.items()
        }
