"""From evidence to the probability that a whole record agrees with the teacher.

Platt scaling (Platt 1999) for each head, then for the record, then isotonic regression (Zadrozny and Elkan 2002) where
there are enough records. Fitted on out-of-fold predictions, so never on rows that the predicting model has seen.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activities.local.embedded.learners import Floats, fit_isotonic, fit_logistic

type Booleans = npt.NDArray[np.bool_]

ISOTONIC_FROM = 1000
"""Records from which isotonic regression is trusted; below, its steps follow the noise."""
SMALLEST = 1e-4


@dataclass(frozen=True)
class Platt:
    """P = sigmoid(standardised evidence . weights + bias)."""

    mean: Floats
    scale: Floats
    weights: Floats
    bias: float

    @classmethod
    def fit(cls, evidence: Floats, correct: Booleans) -> "Platt":
        """`evidence` has shape (rows, n). If all rows are alike, the smoothed share (k + 1) / (n + 2)."""
        mean, scale = evidence.mean(axis=0), evidence.std(axis=0)
        scale = np.where(scale > 1e-9, scale, 1.0)
        right, rows = int(correct.sum()), len(correct)
        if right in (0, rows):
            share = (right + 1) / (rows + 2)
            return cls(mean, scale, np.zeros(evidence.shape[1]), float(np.log(share / (1 - share))))
        return cls(mean, scale, *fit_logistic((evidence - mean) / scale, correct))

    def logits(self, evidence: Floats) -> Floats:
        """Shape (rows,)."""
        return np.asarray(((evidence - self.mean) / self.scale).clip(-8, 8) @ self.weights + self.bias)


@dataclass(frozen=True)
class Calibrator:
    """`heads` is one `Platt` a head; `knots` are the isotonic steps over the record's logit, if any."""

    heads: tuple[Platt, ...]
    record: Platt
    knots: tuple[Floats, Floats] | None
    rows: int

    @classmethod
    def fit(cls, evidence: Floats, correct: Booleans, agreed: Booleans) -> "Calibrator":
        """Shapes: evidence (rows, heads, kinds), correct (rows, heads), agreed (rows,) for the whole record."""
        heads = tuple(Platt.fit(evidence[:, h], correct[:, h]) for h in range(evidence.shape[1]))
        inner = _log_probabilities(heads, evidence)
        record = Platt.fit(inner, agreed)
        knots = fit_isotonic(record.logits(inner), agreed) if len(agreed) >= ISOTONIC_FROM else None
        return cls(heads, record, knots, len(agreed))

    def confidence(self, evidence: Floats) -> Floats:
        """Shape (rows,), within [1 / (n + 2), 1 - 1 / (n + 2)]: n records cannot prove more."""
        logits = self.record.logits(_log_probabilities(self.heads, evidence))
        probability = 1.0 / (1.0 + np.exp(-logits))
        if self.knots:
            # Half and half: isotonic corrects the shape, Platt keeps the order within a step, which deferral needs.
            probability = (probability + np.interp(logits, *self.knots)) / 2
        margin = 1.0 / (self.rows + 2)
        return np.asarray(probability.clip(margin, 1 - margin))


def _log_probabilities(heads: tuple[Platt, ...], evidence: Floats) -> Floats:
    """Log-probability that each head is right, and last the log-odds that all are; one head: those alone.

    Log-odds, since log-probabilities end at 0: among the sure ones the record's confidence would not tell any more.
    """
    each = np.column_stack([-np.logaddexp(0, -head.logits(evidence[:, h])) for h, head in enumerate(heads)])
    each = each.clip(np.log(SMALLEST), -SMALLEST / 10)
    all_right = each.sum(axis=1)
    odds = all_right - np.log(-np.expm1(all_right))
    return odds[:, None] if len(heads) == 1 else np.column_stack([each, odds])
