"""A second try is paid out of what the first left, or not made."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from activities.remote.errors import InvalidAnswer
from activities.remote.model import Question
from activities.remote.repairing import repair
from apprentice import prices
from apprentice.messages import TaskRequest
from apprentice.prices import Usage
from apprentice.prompts import Prompt
from apprentice.settings import Price, ProviderSettings

MILLION = Decimal(1_000_000)


def provider(
    input_price: Decimal = Decimal(3), output_price: Decimal = Decimal(15), most: int = 512
) -> ProviderSettings:
    price = Price(input_per_million=input_price, output_per_million=output_price)
    return ProviderSettings(provider="simulated", model="m", price=price, max_output_tokens=most)


def question(limit: Decimal, most: int = 512) -> Question:
    request = TaskRequest(request_id="r-1", task="tickets", input={"text": "x"})
    return Question(request, Prompt("be brief", (("a", "b"),), "x"), "key", limit, most)


def bad(cost: Decimal, text: str | None = '{"a": 1', input_tokens: int = 100, output_tokens: int = 20) -> InvalidAnswer:
    tokens = {"input_tokens": input_tokens, "output_tokens": output_tokens}
    return InvalidAnswer("not JSON", cost, text, **tokens, problem="it is not JSON")


def test_the_model_sees_its_answer_and_what_is_wrong_with_it() -> None:
    second = repair(question(Decimal("0.02")), bad(Decimal("0.0006")), provider())
    assert second is not None
    assert second.prompt.turns == (("a", "b"), ("x", '{"a": 1'))
    assert "it is not JSON" in second.prompt.user
    assert (second.key, second.prompt.system) == ("key-repair", "be brief")


@given(
    input_price=st.integers(0, 50),
    output_price=st.integers(0, 100),
    reserved=st.integers(0, 40_000),
    share=st.floats(0, 1),
    tokens=st.tuples(st.integers(1, 5000), st.integers(0, 600)),
    text=st.text(min_size=1, max_size=300),
)
def test_both_calls_together_never_cost_more_than_was_set_aside(
    input_price: int, output_price: int, reserved: int, share: float, tokens: tuple[int, int], text: str
) -> None:
    teacher = provider(Decimal(input_price), Decimal(output_price))
    limit = Decimal(reserved) / MILLION
    first = min(limit, prices.cost(teacher.price or Price(), Usage(*tokens)))
    second = repair(question(limit), bad(first, text, *tokens), teacher)
    if second is None:
        return
    said = prices.estimate_tokens(text) + prices.estimate_tokens(second.prompt.user)
    dearest = prices.cost(teacher.price or Price(), Usage(tokens[0] + said, second.max_output_tokens))
    assert first + dearest <= first + second.limit <= limit
    assert 1.5 * tokens[1] <= second.max_output_tokens <= teacher.max_output_tokens


def test_there_is_no_second_try_without_room_for_a_longer_answer() -> None:
    cost = Decimal("0.0006")
    assert repair(question(cost), bad(cost), provider()) is None
    assert repair(question(Decimal(1)), bad(cost, output_tokens=400), provider()) is None  # 512 are the most


def test_there_is_no_second_try_at_what_is_not_there_or_not_counted() -> None:
    cost = Decimal("0.0006")
    assert repair(question(Decimal(1)), bad(cost, text=None), provider()) is None
    assert repair(question(Decimal(1)), bad(cost, text=" "), provider()) is None
    assert repair(question(Decimal(1)), bad(cost, input_tokens=0), provider()) is None
    assert repair(question(Decimal(1)), InvalidAnswer("not read", cost, "{}"), provider()) is None
