"""An answer that does not fit is asked for once more: the model is shown what it wrote and told what is wrong with it.

The money is what the first call left of its reservation, so a cap needs no second look.
"""

from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal

from activities.remote.errors import InvalidAnswer, Unusable
from activities.remote.model import Question
from apprentice import prices
from apprentice.messages import Answer
from apprentice.prompts import Prompt
from apprentice.settings import Price, ProviderSettings

# Role markers and the like around two more messages.
OVERHEAD_TOKENS = 64
# An answer that is to come out right may be longer than the one that did not.
LONGER = 1.5
SHOWN = 2000

# Of the second call's idempotency key: the journal has one row for both.
SUFFIX = "-repair"


def repair(question: Question, bad: InvalidAnswer, provider: ProviderSettings) -> Question | None:
    """The second question; None where it makes no sense, or where its price might not fit into what is left."""
    if bad.problem is None or not (bad.text or "").strip() or not bad.input_tokens:
        return None
    text = bad.text or ""
    message = (
        f"Your answer cannot be used: {bad.problem[:SHOWN]}\n"
        "Answer again, with one JSON object that fits the JSON Schema, and nothing else."
    )
    # What was read, as the provider counted it; what it wrote, and our message, at a token for each byte: a provider
    # may have counted its own answer in a form that is shorter than the text we were given.
    more = prices.estimate_tokens(text) + prices.estimate_tokens(message)
    input_tokens = bad.input_tokens + more + OVERHEAD_TOKENS
    left = question.limit - bad.cost
    output_tokens = min(_affordable(prices.known(provider), input_tokens, left), provider.max_output_tokens)
    if output_tokens < max(1, LONGER * bad.output_tokens):
        return None
    prompt = question.prompt
    return replace(
        question,
        prompt=Prompt(prompt.system, (*prompt.turns, (prompt.user, text)), message),
        key=question.key + SUFFIX,
        limit=prices.upper_bound(prices.known(provider), input_tokens, output_tokens),
        max_output_tokens=output_tokens,
    )


def both(bad: InvalidAnswer, answer: Answer, seconds: float) -> Answer:
    """The answer of the second call at the price of both; `seconds` is the time of both."""
    return answer.model_copy(
        update={
            "cost": bad.cost + answer.cost,
            "input_tokens": bad.input_tokens + answer.input_tokens,
            "output_tokens": bad.output_tokens + answer.output_tokens,
            "latency_seconds": seconds,
        }
    )


def again_unusable(bad: InvalidAnswer, worse: Unusable) -> Unusable:
    """The second failure at the price of both."""
    cost, text = bad.cost + worse.cost, worse.text if worse.text is not None else bad.text
    return type(worse)(f"{worse}, for the second time", cost, text)


def _affordable(price: Price, input_tokens: int, left: Decimal) -> int:
    """Output tokens that fit beside this input; 0 if not even the input does."""
    silent = prices.upper_bound(price, input_tokens, 0)
    each = prices.upper_bound(price, input_tokens, 1) - silent
    if left < silent:
        return 0
    return int(((left - silent) / each).to_integral_value(ROUND_FLOOR)) if each else 2**31
