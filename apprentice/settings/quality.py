"""When a task moves on, how answers are compared, how often the local model is checked."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from apprentice.settings.base import Fraction, Settings, Tolerance


class ConfidenceThresholds(Settings):
    """When a task moves between phases. Correlation is the mean agreement score with the remote model, in [0, 1]."""

    phase1_to_phase2: int = Field(
        50,
        ge=1,
        description="answers before the local model is first trained and tried, to inputs that came before or not",
    )
    phase2_to_phase3: Fraction = Field(0.85, description="agreement that what is served locally is proven to reach")
    coaching_trigger: Fraction = Field(0.70, description="a proven fall to below this: back to the remote model")
    emergency_threshold: Fraction = Field(
        0.50,
        description="correlation proven below this, and on no notable share good enough: back to the remote model;"
        " the floor for a promotion",
    )
    min_samples: int = Field(20, ge=2, description="comparisons without which nothing is concluded")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        emergency, coaching, autonomy = self.emergency_threshold, self.coaching_trigger, self.phase2_to_phase3
        if emergency < coaching < autonomy < 1.0:
            return self
        raise PydanticCustomError(
            "thresholds_out_of_order",
            "thresholds out of order: need emergency_threshold < coaching_trigger < phase2_to_phase3 < 1, "
            "got {emergency}, {coaching}, {autonomy}",
            {
                "emergency": emergency,
                "coaching": coaching,
                "autonomy": autonomy,
                "key": "emergency_threshold" if emergency >= coaching < autonomy < 1.0 else "phase2_to_phase3",
            },
        )


class QualitySettings(Settings):
    """The promise on quality: how well what the caller gets agrees with the remote model."""

    target: Fraction | None = Field(
        None, gt=0, description="agreement that is promised; None is confidence_thresholds.phase2_to_phase3"
    )
    confidence: float = Field(
        0.95,
        ge=0.5,
        lt=1.0,
        description="probability that a version never serves below the target while nothing drifts",
    )
    scope: Literal["local", "served"] = Field(
        "local", description="the promise is for what the local model answers, or for everything served"
    )
    disputed: Literal["train", "leave_out"] = Field(
        "train",
        description="whether examples on which a second opinion disagreed with the teacher are trained on; a label"
        " decides where there is one",
    )


class EvaluatorOptions(Settings):
    """How answers are compared. Which keys apply depends on the evaluator; see `apprentice.evaluators`."""

    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="structured_match: weight of each field, default 1"
    )
    numeric_tolerance: Tolerance | dict[str, Tolerance] = Field(
        0.0, description="structured_match: numbers this close are equal; one number, or one for each field"
    )
    ignore_case: bool = Field(False, description="strings are compared without regard to case")
    ignore_whitespace: bool = Field(True, description="runs of white space count as one space, ends are trimmed")
    lists_as_sets: bool = Field(
        False, description="structured_match: lists are scored by set overlap (Jaccard), not by position"
    )
    path: str | None = Field(
        None, description="custom: `package.module:function`, taking (local, remote) outputs, giving 0..1"
    )
    model: str = Field(
        "all-MiniLM-L6-v2", description="semantic_similarity: sentence-transformers model name or folder"
    )


class SamplingSettings(Settings):
    """How often the local model is checked against the remote one, once it serves."""

    decay_function: Literal["linear", "exponential", "step"] = "exponential"
    min_floor: float = Field(0.02, gt=0, le=1, description="never check less than this share of requests")
    window_size: int = Field(100, ge=20, le=1000, description="newest comparisons that are kept")
    trend_sensitivity: Fraction = Field(
        0.05, description="change of the proof, as a part of its way to the floor, that moves the rate"
    )
