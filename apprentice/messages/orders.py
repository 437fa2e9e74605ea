"""What operators order."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, SerializerFunctionWrapHandler, model_serializer

from apprentice.messages.base import Message, Money
from apprentice.settings import TaskSettings


class ForceRemote(Message):
    """Send everything to the remote model (within budget) until `until`, or until resumed when it is None."""

    type: Literal["force_remote"] = "force_remote"
    until: AwareDatetime | None = None


class Resume(Message):
    """End a forced remote."""

    type: Literal["resume"] = "resume"


class PauseCoaching(Message):
    """Stop (or, with `paused: false`, start again) spot checks and fine-tunes. Quality is not watched meanwhile."""

    type: Literal["pause_coaching"] = "pause_coaching"
    paused: bool = True


class Retrain(Message):
    """Start a fine-tune now, if none is running."""

    type: Literal["retrain"] = "retrain"


class ApplySettings(Message):
    """Go on with other settings. Other schemas need `new_version`: the task then learns anew, from new examples."""

    type: Literal["apply_settings"] = "apply_settings"
    settings: TaskSettings
    new_version: bool = False


class SetCaps(Message):
    """Other caps, until settings are applied again. Fields that are not set stay as they are; None is no cap."""

    type: Literal["set_caps"] = "set_caps"
    daily: Money | None = None
    weekly: Money | None = None
    monthly: Money | None = None

    @model_serializer(mode="wrap")
    def _as_set(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what is set: a field that is None on the other side would lift a cap that nobody spoke of."""
        return {name: value for name, value in dump(self).items() if name in self.model_fields_set | {"type"}}


class Freeze(Message):
    """Make no paid call (or, with `frozen: false`, make them again); what is in flight is finished and paid."""

    type: Literal["freeze"] = "freeze"
    frozen: bool = True


class Reconcile(Message):
    """Settle a call of unknown outcome at what the provider's bill says: 0 for a call that was never made."""

    type: Literal["reconcile"] = "reconcile"
    request_id: str
    cost: Money


class Retire(Message):
    """End the task: finish what has begun, give back what was granted. What it learnt stays in the store."""

    type: Literal["retire"] = "retire"


class Rollback(Message):
    """Let an earlier version serve again: `to`, or the one that served before. The version left is rejected."""

    type: Literal["rollback"] = "rollback"
    to: int | None = Field(None, ge=1)


Order = Annotated[
    ForceRemote | Resume | PauseCoaching | Retrain | ApplySettings | SetCaps | Freeze | Reconcile | Retire | Rollback,
    Field(discriminator="type"),
]
