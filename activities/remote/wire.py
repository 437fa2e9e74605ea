"""How a model that has no wire behaves as if it had one: latency, failures, noise, a price."""

import asyncio
import json
import math
import random
from typing import Any

from activities.remote.errors import Overloaded
from activities.remote.http_model import known_price
from apprentice import prices
from apprentice.messages import Answer, Source
from apprentice.settings import ProviderSettings


class Wire:
    """Draws latency and failures for each attempt anew, and noise by key, so that a retry gets the same answer.

    Raises InvalidRequest for a model without a price.
    """

    def __init__(self, provider: ProviderSettings) -> None:
        self._price = known_price(provider)
        self._provider = provider
        self._attempts = random.Random(provider.simulation.seed)

    async def carry(self) -> float:
        """Wait as long as the model takes; returns the seconds. Raises Overloaded for `error_rate` of the attempts."""
        simulation = self._provider.simulation
        if simulation.error_rate and self._attempts.random() < simulation.error_rate:
            raise Overloaded(f"{self._provider.provider} model {self._provider.model!r} is overloaded (as configured)")
        if simulation.latency_seconds == 0:
            return 0.0
        seconds = self._attempts.lognormvariate(math.log(simulation.latency_seconds), simulation.latency_spread)
        await asyncio.sleep(seconds)
        return seconds

    def noise(self, key: str) -> random.Random | None:
        """The coins of a wrong answer if this one is to be wrong, else None."""
        simulation = self._provider.simulation
        if not simulation.noise:
            return None
        coins = random.Random(f"{simulation.seed}:{key}")
        return coins if coins.random() < simulation.noise else None

    def answer(self, input: dict[str, Any], output: dict[str, Any], seconds: float) -> Answer:
        """The output as a priced answer. The output is never longer than `max_output_tokens`, as with a real model."""
        input_tokens = prices.PROMPT_TOKENS + prices.typical_tokens(_text(input))
        output_tokens = min(prices.typical_tokens(_text(output)), self._provider.max_output_tokens)
        return Answer(
            source=Source.REMOTE,
            output=output,
            provider=self._provider.provider,
            model=self._provider.model,
            cost=prices.cost(self._price, prices.Usage(input_tokens, output_tokens)),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            latency_seconds=seconds,
        )


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
