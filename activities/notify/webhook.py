"""The activity `deliver_alert`: POST an alert to the webhook that the settings name. Temporal repeats what failed.

The URL often is the secret itself, so it stands in no message; nor does the receiver's answer.
"""

import logging
from collections.abc import Callable, Mapping

import httpx
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.store import SettingsUnknown, Store
from apprentice.messages import Alert

TIMEOUT_SECONDS = 10.0
# Refused now, not for ever: Request Timeout, Too Early, Too Many Requests.
RETRYABLE = frozenset({408, 425, 429})


class DeliverAlert:
    """Holds the store, the environment to read URLs from, and how to make an HTTP client."""

    def __init__(
        self, store: Store, environment: Mapping[str, str], client: Callable[[], httpx.AsyncClient] | None = None
    ) -> None:
        self._store = store
        self._environment = environment
        self._client = client or _client
        # httpx logs each URL at INFO.
        logging.getLogger("httpx").setLevel(logging.WARNING)

    @activity.defn
    async def deliver_alert(self, settings_digest: str, alert: Alert) -> bool:
        """POST {id, task, kind, message, at}, with the alert's id as `Idempotency-Key`. False if no webhook is set.

        Raises ApplicationError: WebhookMissing (the variable is empty), WebhookRefused (4xx), both final;
        WebhookFailed (5xx, no connection), to be tried again.
        """
        try:
            settings = await self._store.settings.get(settings_digest)
        except SettingsUnknown as unknown:
            raise ApplicationError(str(unknown), type="SettingsUnknown", non_retryable=True) from None
        name = settings.alerts.webhook_env
        if name is None:
            return False
        url = self._environment.get(name, "")
        if not url:
            message = f"alerts.webhook_env names {name}, which is not set where this worker runs"
            raise ApplicationError(message, type="WebhookMissing", non_retryable=True)
        await self._post(url, name, alert)
        return True

    async def _post(self, url: str, name: str, alert: Alert) -> None:
        headers = {"Idempotency-Key": alert.id}
        try:
            async with self._client() as client:
                response = await client.post(url, json=alert.model_dump(mode="json"), headers=headers)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            message = f"{name} does not hold an http(s) URL"
            raise ApplicationError(message, type="WebhookMissing", non_retryable=True) from None
        except httpx.HTTPError as error:
            message = f"the webhook of {name} cannot be reached: {type(error).__name__}"
            raise ApplicationError(message, type="WebhookFailed") from None
        if not response.is_success:
            raise _refusal(name, response.status_code)


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=TIMEOUT_SECONDS)


def _refusal(name: str, status: int) -> ApplicationError:
    final = 300 <= status < 500 and status not in RETRYABLE
    kind = "WebhookRefused" if final else "WebhookFailed"
    return ApplicationError(f"the webhook of {name} answered {status}", type=kind, non_retryable=final)
