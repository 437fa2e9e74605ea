"""What another policy would have cost and served, worked out from the journal of the one that ran (off-policy)."""

from apprentice.whatif.answer import Figures, Side, WhatIf, what_if
from apprentice.whatif.log import Log, Logged

__all__ = ["Figures", "Log", "Logged", "Side", "WhatIf", "what_if"]
