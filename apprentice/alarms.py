"""What operators are told: part of a task's brain."""

from datetime import datetime

from apprentice import outage, troubles
from apprentice.accounting import Accounts
from apprentice.messages import Action, Alert, AlertKind, RaiseAlert, RequestOutcome, Trouble
from apprentice.release import Release


class Alarms:
    """Over a task's accounts, whose state remembers what was told."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def tell(self, kind: AlertKind, message: str, now: datetime) -> Action:
        """Raise an alert."""
        state, task = self._accounts.state, self._accounts.settings.name
        state.alert_count += 1
        alert = Alert(id=f"{task}-{state.alert_count}", task=task, kind=kind, message=message, at=now)
        state.raise_alert(alert)
        return RaiseAlert(alert=alert)

    def shortage(self, now: datetime) -> list[Action]:
        """No cap has room: told once for each period."""
        words = self._accounts.shortage(now)
        return [self.tell(AlertKind.BUDGET, words, now)] if words else []

    def local_model(self, outcome: RequestOutcome, now: datetime) -> list[Action]:
        """How it answers. Runs begun before 0.3 tell of the first failure of each version alone."""
        state = self._accounts.state
        if self._accounts.release >= Release.V0_3:
            told = outage.notice(state.health, outcome, now)
            return [self.tell(AlertKind.LOCAL, told, now)] if told else []
        if (version := outage.first_of_version(state.failed_version, outcome)) is None:
            return []
        state.failed_version = version
        message = f"version {version} cannot answer; its requests go to the remote model within budget"
        return [self.tell(AlertKind.QUALITY, message, now)]

    def providers(self, failed: list[Trouble], answered: troubles.Model | None, now: datetime) -> list[Action]:
        """Which remote models cannot answer, and which can again."""
        state = self._accounts.state
        state.troubled, told = troubles.note(state.troubled, failed, answered, now)
        return [self.tell(AlertKind.PROVIDER, words, now) for words in told]
