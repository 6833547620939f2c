"""Has the next candidate go on with a stream that broke off. Which calls and models allow it is `continuation.py`'s."""

from __future__ import annotations

from proxy import continuation
from proxy.asking import Answer, Asker
from proxy.attempts import Attempt, Attempts, NotTriedError, RefusedError
from proxy.clock import Clock
from proxy.errors import AttemptError
from proxy.routing import candidates
from proxy.settings import Settings


class Resuming:
    """Tries candidates that take up an answer where it broke off."""

    def __init__(self, asker: Asker, attempts: Attempts, clock: Clock, settings: Settings) -> None:
        self._asker = asker
        self._attempts = attempts
        self._clock = clock
        self._settings = settings

    async def go_on(self, broken: Attempt) -> Answer | None:
        """The second half, by the next candidate that can go on from what was sent; None where there is none."""
        call, heard = broken.call, broken.heard
        if heard is None:
            return None
        most = (call.plan.routing.max_attempts if call.plan is not None else None) or self._settings.max_attempts
        tried = {attempt.ranked.candidate.endpoint_key for attempt in call.attempts}
        for ranked in candidates(call.wanted, self._attempts.blocked):
            candidate = ranked.candidate
            if len(call.attempts) - call.key_moves >= most or self._clock.monotonic() >= call.deadline:
                return None
            if candidate.endpoint_key in tried or not continuation.accepts_prefill(candidate):
                continue
            attempt = self._attempts.begin_now(call, ranked)
            if attempt is None:
                continue
            attempt.heard = continuation.Heard(heard.text)
            try:
                return await self._asker.ask(attempt, (), continuation.continued(call.request, candidate, heard.text))
            except (NotTriedError, RefusedError, AttemptError) as error:
                self._attempts.close_books(attempt, error)
            except BaseException:
                attempt.end("caller_gone", "cancelled")
                raise
        return None
