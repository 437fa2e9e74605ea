"""A whole model in its base's place is talked to as the base was."""

from activities.local.ollama_models import _manner


def test_template_and_parameters_are_taken_from_the_base() -> None:
    parameters = (
        'num_thread                     1\nstop                           "<|end|>"\nstop   "<|eot|>"\nodd  `x`'
    )
    assert _manner({"template": "{{ .Prompt }}", "parameters": parameters}) == {
        "template": "{{ .Prompt }}",
        "parameters": {"num_thread": 1, "stop": ["<|end|>", "<|eot|>"]},
    }


def test_a_base_that_is_not_there_says_nothing() -> None:
    assert _manner({}) == {}
