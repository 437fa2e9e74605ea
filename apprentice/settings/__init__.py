"""What `apprentice.yaml` may say, typed. Reading the file, with its lines, is `apprentice.config`'s work.

A `TaskSettings` is one task with everything that applies to it resolved (its own keys over the top-level ones): it
is what workflows carry and activities look up by `digest`. No secret is ever in it, only names of environment
variables.
"""

from apprentice.settings.base import Cap, Duration, Fraction, RequestBytes, Settings, Tolerance
from apprentice.settings.local import LocalSettings
from apprentice.settings.money import AllowanceSettings, BudgetSettings, CacheSettings
from apprentice.settings.prompt import PromptExample, PromptSettings
from apprentice.settings.quality import ConfidenceThresholds, EvaluatorOptions, QualitySettings, SamplingSettings
from apprentice.settings.remote import (
    CUSTOMARY_KEYS,
    Price,
    PriceTier,
    ProviderSettings,
    RateLimits,
    RemoteSettings,
    Simulation,
    VertexSettings,
)
from apprentice.settings.system import AlertSettings, StoreSettings, TemporalSettings
from apprentice.settings.task import SHARED_BUDGET, TASK_NAME, Config, TaskSettings

__all__ = [
    "CUSTOMARY_KEYS",
    "SHARED_BUDGET",
    "TASK_NAME",
    "AlertSettings",
    "AllowanceSettings",
    "BudgetSettings",
    "CacheSettings",
    "Cap",
    "ConfidenceThresholds",
    "Config",
    "Duration",
    "EvaluatorOptions",
    "Fraction",
    "LocalSettings",
    "Price",
    "PriceTier",
    "PromptExample",
    "PromptSettings",
    "ProviderSettings",
    "QualitySettings",
    "RateLimits",
    "RemoteSettings",
    "RequestBytes",
    "SamplingSettings",
    "Settings",
    "Simulation",
    "StoreSettings",
    "TaskSettings",
    "TemporalSettings",
    "Tolerance",
    "VertexSettings",
]
