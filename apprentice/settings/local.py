"""The local model: what serves it, what trains it."""

from datetime import timedelta
from decimal import Decimal
from typing import Literal

from pydantic import Field

from apprentice.settings.base import Cap, Duration, Settings


class LocalSettings(Settings):
    """The local model and how it is trained."""

    backend: Literal["embedded", "ollama", "vllm", "llama_cpp"] = "embedded"
    base_model: str | None = Field(
        None,
        description="what is fine-tuned, as its server names it (llama3.1:8b); embedded: a sentence model of this "
        "machine (a folder, or a name in the Hugging Face cache), used where it helps; needs the extra `semantic`",
    )
    fine_tune_backend: Literal["embedded", "few_shot"] = Field(
        "embedded", description="few_shot: the server's base model is shown the most telling of the examples"
    )
    fine_tune_batch_size: int = Field(100, ge=1, description="new examples that start a fine-tune")
    fine_tune_growth: float = Field(0.2, ge=0, description="... but at least this share of the last training set")
    retrain_every: Duration | None = Field(
        None, description="also retrain after this time (7d, 12h), if there are new examples"
    )
    few_shot_examples: int = Field(8, ge=1, le=64, description="few_shot: how many examples a version is shown")
    validation_examples: int = Field(
        200, ge=20, description="hold-out examples, the newest, that a server's version is judged on; embedded: all"
    )
    model_dir: str = Field("./models/", description="where versions are kept; relative to apprentice.yaml")
    holdout_fraction: float = Field(0.2, gt=0, le=0.5, description="share of inputs that are never trained on")
    timeout_seconds: float = Field(10.0, gt=0, description="for one local answer")
    training_timeout: Duration = Field(timedelta(hours=6), description="for one training job")
    base_url: str | None = Field(
        None, description="where the server listens; None is http://localhost:11434, :8000 (vllm) or :8080 (llama_cpp)"
    )
    api_key_env: str | None = Field(None, description="name of the environment variable that holds the server's key")
    max_output_tokens: int = Field(512, ge=1, description="upper bound of a server's answer")
    context_tokens: int = Field(
        4096,
        ge=256,
        description="ollama: room for prompt and answer together; the same for all that share a base model",
    )
    max_concurrent: int = Field(4, ge=1, description="requests that a worker has in flight at a server; more wait")
    max_waiting: int = Field(100, ge=0, description="requests that wait for the server; more go to the remote model")
    server_command: list[str] | None = Field(
        None,
        description="llama_cpp: what serves a version with weights of its own, such as "
        "[llama-server, -m, '{model}', --lora, '{adapter}', --port, '{port}']; run by the worker, which fills in the "
        "places and leaves {adapter} and the option before it out where there is none",
    )
    keep_alive: Duration = Field(timedelta(minutes=30), description="ollama: how long an idle model stays in memory")
    cost_per_hour: Cap = Field(Decimal(0), description="of the server while it answers, for the savings report")
