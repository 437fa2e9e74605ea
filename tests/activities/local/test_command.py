"""The words that serve a version."""

from pathlib import Path

import pytest

from activities.local.command import fill_in, with_port

COMMAND = ["llama-server", "-m", "{model}", "--lora", "{adapter}", "--port", "{port}"]


def test_every_place_is_filled_in_and_each_start_has_its_own_port() -> None:
    words = fill_in(COMMAND, Path("/base.gguf"), Path("/v1/adapter.gguf"))
    assert with_port(words, 4711) == [
        "llama-server", "-m", "/base.gguf", "--lora", "/v1/adapter.gguf", "--port", "4711",
    ]  # fmt: skip


def test_without_an_adapter_its_word_and_the_option_before_it_are_left_out() -> None:
    assert fill_in(COMMAND, Path("/m.gguf"), None) == ("llama-server", "-m", "/m.gguf", "--port", "{port}")


@pytest.mark.parametrize("word", ["--lora={adapter}", "--lora-scaled={adapter}:0.5"])
def test_a_word_that_holds_option_and_adapter_is_left_out_alone(word: str) -> None:
    assert fill_in(["serve", "--flash", word, "{model}"], Path("/m"), None) == ("serve", "--flash", "/m")


def test_braces_that_are_no_place_are_left_as_they_are() -> None:
    words = ["serve", '{"enable_thinking": false}', "{model}"]
    assert fill_in(words, Path("/m"), None) == ("serve", '{"enable_thinking": false}', "/m")
