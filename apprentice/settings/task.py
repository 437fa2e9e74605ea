"""One task with everything that applies to it, and the whole file."""

import hashlib
from typing import Any

from pydantic import Field

from apprentice.settings.base import Settings
from apprentice.settings.local import LocalSettings
from apprentice.settings.money import AllowanceSettings, BudgetSettings, CacheSettings
from apprentice.settings.prompt import PromptSettings
from apprentice.settings.quality import ConfidenceThresholds, EvaluatorOptions, QualitySettings, SamplingSettings
from apprentice.settings.remote import RemoteSettings
from apprentice.settings.system import AlertSettings, StoreSettings, TemporalSettings

# Workflow id of the budget for all tasks. No task has it: theirs begin with `apprentice/`.
SHARED_BUDGET = "apprentice-budget"
TASK_NAME = r"^[a-z][a-z0-9_]{0,62}$"


class TaskSettings(Settings):
    """One task, resolved."""

    name: str = Field(pattern=TASK_NAME)
    description: str = ""
    schema_version: int = Field(
        1, ge=1, description="raise it when a schema changes: examples of other versions are kept apart"
    )
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    evaluator: str = "exact_match"
    match_fields: list[str] = []
    evaluator_options: EvaluatorOptions = EvaluatorOptions.model_construct()
    confidence_thresholds: ConfidenceThresholds = ConfidenceThresholds.model_construct()
    quality: QualitySettings = QualitySettings.model_construct()
    prompt: PromptSettings = PromptSettings.model_construct()
    remote: RemoteSettings
    local: LocalSettings = LocalSettings.model_construct()
    sampling: SamplingSettings = SamplingSettings.model_construct()
    budget: BudgetSettings = BudgetSettings.model_construct()
    allowance: AllowanceSettings = AllowanceSettings.model_construct()
    shared_budget: str | None = Field(
        None, description="workflow id of the budget that all tasks draw from; set where the file has top-level caps"
    )
    cache: CacheSettings = CacheSettings.model_construct()
    alerts: AlertSettings = AlertSettings.model_construct()
    holdout_salt: str = Field(
        "apprentice", description="of the hash that puts an input into the hold-out set; never change it"
    )

    @property
    def quality_target(self) -> float:
        """The agreement that is promised, in [0, 1]."""
        target = self.quality.target
        return self.confidence_thresholds.phase2_to_phase3 if target is None else target

    @property
    def digest(self) -> str:
        """Content hash, 16 hex digits: names these settings in the store and in activity inputs."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class Config(Settings):
    """All of `apprentice.yaml`, resolved."""

    tasks: list[TaskSettings] = Field(min_length=1)
    budget: BudgetSettings | None = Field(None, description="caps on what all tasks together may spend")
    store: StoreSettings = StoreSettings.model_construct()
    temporal: TemporalSettings = TemporalSettings.model_construct()

    def task(self, name: str) -> TaskSettings:
        """The settings of one task. Raises KeyError."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise KeyError(name)

    def alone(self, name: str) -> TaskSettings:
        """The settings of one task where no other runs: of each cap, its own or that of all, the smaller counts.

        Raises KeyError.
        """
        task = self.task(name)
        caps = {}
        for period in ("daily", "weekly", "monthly"):
            both = [getattr(budget, period) for budget in (task.budget, self.budget) if budget is not None]
            caps[period] = min((cap for cap in both if cap is not None), default=None)
        budget = task.budget.model_copy(update=caps)
        return task.model_copy(update={"budget": budget, "shared_budget": None})
