"""The APIs by the name that `provider:` gives them."""

from typing import NamedTuple

from tests.fakes.provider.api import Api
from tests.fakes.provider.chat import ChatCompletions
from tests.fakes.provider.openai import Responses


class Mounted(NamedTuple):
    """`base` is the part of the API's paths that belongs into `base_url`."""

    api: Api
    base: str


APIS: dict[str, Mounted] = {
    "openai_compatible": Mounted(ChatCompletions(), "/v1"),
    "openai": Mounted(Responses(), "/v1"),
}
