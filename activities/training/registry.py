"""Training runners by the name that `fine_tune_backend:` gives them."""

from collections.abc import Callable

from activities.training.embedded import Embedded
from activities.training.few_shot import FewShot
from activities.training.runner import TrainingRunner

TRAINING_RUNNERS: dict[str, Callable[[], TrainingRunner]] = {
    "embedded": Embedded,
    "few_shot": FewShot,
}
