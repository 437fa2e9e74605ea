"""Whose rules a run goes by: those of the release that it began under, so that its history replays."""

from enum import IntEnum


class Release(IntEnum):
    """Releases that changed what a brain decides.

    0.2: coaching stops before the last of a cap is spent. 0.3: a reservation counts the prompt as it is sent; what
    remote models and the local server are up to is told in alerts; a local answer that cannot be used counts as one
    that does not agree. 0.4: proofs that hold while one looks take the place of thresholds on noisy means.
    """

    V0_1 = 1
    V0_2 = 2
    V0_3 = 3
    V0_4 = 4


TODAY = Release.V0_4
