"""Requests with the same input, in flight at once: the first asks the remote model, the others get its answer."""

import asyncio


class Sharing:
    """Who asks for which input, by its hash, until there is an answer or it is given up."""

    def __init__(self) -> None:
        self._leaders: dict[str, tuple[str, asyncio.Future[bool]]] = {}

    async def follow(self, input_hash: str, request_id: str) -> str | None:
        """The id of the request whose answer is also this one's; None if this one has to ask: it may lead from now on.

        It waits for one leader only. Else a hundred requests to a model that hangs would wait for it one by one.
        """
        leader, answered = self._leaders.get(input_hash, (request_id, None))
        if leader != request_id and answered is not None and await asyncio.shield(answered):
            return leader
        self._leaders.setdefault(input_hash, (request_id, asyncio.Future()))
        return None

    def done(self, input_hash: str, request_id: str, *, answered: bool) -> None:
        """The leader has its answer, or will not have one. Of a request that does not lead, nothing is heard."""
        leader, future = self._leaders.get(input_hash, ("", None))
        if leader == request_id and future is not None:
            del self._leaders[input_hash]
            future.set_result(answered)
