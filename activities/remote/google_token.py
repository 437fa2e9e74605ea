"""The machine's Google credentials: a token that is fetched before a call, off the event loop, and kept while it lasts.

Application default credentials: https://cloud.google.com/docs/authentication/application-default-credentials
"""

import asyncio
import functools
from typing import TYPE_CHECKING

from activities.remote.errors import AuthFailed, Unreachable
from activities.remote.http import CONNECT_SECONDS
from apprentice.settings import ProviderSettings

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_WHAT_TO_DO = (
    "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS, where the worker runs"
)


class GoogleToken:
    """One for a task's settings, shared by all its calls."""

    def __init__(self, provider: ProviderSettings) -> None:
        self._who = f"{provider.provider} model {provider.model!r}"
        # Signing in ends before the attempt does: a call that never left must not count as one that may have.
        self._seconds = min(2 * CONNECT_SECONDS, provider.timeout_seconds / 2)
        self._credentials: Credentials | None = None
        self._one_at_a_time = asyncio.Lock()

    def headers(self) -> dict[str, str]:
        """Raises AuthFailed if `refresh` was not called before."""
        credentials = self._credentials
        if credentials is None or not credentials.token:
            raise AuthFailed(f"{self._who}: not signed in at Google")
        # User credentials are billed to a project; without its name some calls are refused.
        project = getattr(credentials, "quota_project_id", None)
        return {"Authorization": f"Bearer {credentials.token}"} | ({"x-goog-user-project": project} if project else {})

    async def refresh(self) -> None:
        """Get a token, unless the one at hand is good for some minutes more. Raises AuthFailed, Unreachable."""
        try:
            async with asyncio.timeout(self._seconds), self._one_at_a_time:
                if self._credentials is None or not self._credentials.valid:
                    self._credentials = await asyncio.to_thread(_signed_in, self._credentials, self._seconds)
        except ImportError:
            raise AuthFailed(
                f"{self._who}: Vertex AI needs the Google credentials library: install the extra `vertex`"
            ) from None
        except TimeoutError:
            raise Unreachable(f"{self._who}: Google's sign-in did not answer in {self._seconds:g} s") from None
        except _Refused as refused:
            raise AuthFailed(f"{self._who}: {refused}; {_WHAT_TO_DO}") from None
        except _Away:
            raise Unreachable(f"{self._who}: no connection to Google's sign-in") from None


class _Refused(Exception):
    """No token; the message says why, without what Google wrote: it may name an account."""


class _Away(Exception):
    """Google's sign-in cannot be reached now."""


def _signed_in(credentials: "Credentials | None", seconds: float) -> "Credentials":
    """Credentials with a fresh token. Blocks. Raises ImportError, _Refused, _Away."""
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
    from google.auth.transport.requests import Request

    try:
        if credentials is None:
            credentials, _ = google.auth.default(scopes=[SCOPE])
        credentials.refresh(functools.partial(Request(), timeout=seconds))  # type: ignore[no-untyped-call]
    except DefaultCredentialsError:
        raise _Refused("there are no Google credentials, or they cannot be read") from None
    except TransportError:
        raise _Away from None
    except GoogleAuthError as error:
        if error.retryable:
            raise _Away from None
        raise _Refused("Google refuses the credentials") from None
    return credentials
