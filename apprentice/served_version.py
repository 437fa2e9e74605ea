"""What a version of a server's model is made of: the file `version.json` in the version's folder.

Pure. A trainer writes it, the server's adapter reads it. Paths in it are relative to the folder.
"""

from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

FILE = "version.json"


def _inside(path: str) -> str:
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts:
        raise ValueError("must be a path inside the version's folder")
    return path


Inside = Annotated[str, AfterValidator(_inside)]


class Demonstration(BaseModel):
    """One example that the model is shown before every input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: dict[str, Any]
    output: dict[str, Any]


class ServedVersion(BaseModel):
    """A base model, as its server names it, and what was added to it by training.

    `adapter` is a LoRA: a folder of safetensors with `adapter_config.json`, or a .gguf file. `model` is a whole model
    (.gguf) in the base's place. With neither, the base model itself is shown the `examples`. `prompt_version` is of
    the prompt that the version was made with (`apprentice.prompts.version`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_model: str
    examples: list[Demonstration] = []
    adapter: Inside | None = None
    model: Inside | None = None
    prompt_version: str

    @model_validator(mode="after")
    def _one_thing(self) -> "ServedVersion":
        if self.adapter and self.model:
            raise ValueError("names both `adapter` and `model`: a whole model has its adapter inside")
        return self

    @property
    def trained(self) -> bool:
        """Whether it has weights of its own."""
        return self.adapter is not None or self.model is not None
