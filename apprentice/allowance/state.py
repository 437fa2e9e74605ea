"""What a task remembers of its allowance: about 2 KiB, whatever ran before."""

from pydantic import AwareDatetime, BaseModel, ConfigDict


class AllowanceState(BaseModel):
    """`taken` calls of the period `key`; a call counts from its reservation on.

    `came` requests in `span` seconds until `at`, older ones fading: what is to be expected. `horizon`: how many
    requests the calls have to last for in all, where that is known (a recording): there is no period then, and
    `requests` came so far.

    `sure` are the newest confidences of `version`, the oldest first, `seen` how many there were in all, and `planned`
    how many when it was last decided that answers less sure than `defer_below`, and a share `rate` of all requests
    by coin, go to the remote model.
    """

    model_config = ConfigDict(extra="forbid")

    key: str = ""
    taken: int = 0
    requests: int = 0
    horizon: int | None = None
    came: float = 0.0
    span: float = 0.0
    at: AwareDatetime | None = None

    version: int | None = None
    sure: list[float] = []
    seen: int = 0
    planned: int = -1
    defer_below: float = 0.0
    rate: float = 1.0
