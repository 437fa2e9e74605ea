"""What llama.cpp cannot be kept to is let free, and nothing else."""

from activities.local.grammar import for_grammar
from apprentice.schema import compile_schema


def test_a_schema_of_plain_literals_is_left_as_it_is() -> None:
    schema = compile_schema({"a": ["x", "größe", 1, True], "b": {"c": "list[str]?"}}).json_schema()
    assert for_grammar(schema) == schema


def test_literals_and_names_with_a_quote_or_a_backslash_are_let_free_wherever_they_are() -> None:
    spec = {"plain": ["x"], "deep": {"label": ['say "hi"', "y"]}, "maybe": ["a\\b", None], "odd": {'na"me': "int"}}
    fields = for_grammar(compile_schema(spec).json_schema())["properties"]
    assert fields["plain"]["enum"] == ["x"]
    assert fields["deep"]["properties"]["label"] == {"type": "string"}
    assert fields["maybe"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert fields["odd"] == {"type": "object"}
