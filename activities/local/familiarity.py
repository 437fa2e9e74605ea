"""How familiar a version is with an input: the profile of its training inputs, in its folder."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from activities.local.model import version_dir
from apprentice.novelty import Profile
from apprentice.settings import TaskSettings

FILE = "profile.json"
KEPT = 64
"""Profiles in memory, of all tasks: about 1 MiB each."""


def write_profile(folder: Path, rows: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
    """Write the profile of a version that was taught these (input, output) rows. Takes 0.1 ms a row."""
    (folder / FILE).write_text(Profile.of(rows).model_dump_json(), encoding="utf-8")


def read_profile(folder: Path) -> Profile | None:
    """None where there is none that can be read: versions older than profiles serve without."""
    try:
        return Profile.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


class Familiarity:
    """Of all versions that this worker serves; each profile is read once."""

    def __init__(self) -> None:
        self._profiles: OrderedDict[Path, Profile | None] = OrderedDict()

    async def novelty(self, settings: TaskSettings, version: int, input: Mapping[str, Any]) -> float | None:
        """0 familiar, 1 all new; None where the version has no profile. Never raises, takes 0.1 ms."""
        profile = await self.profile(settings, version)
        return None if profile is None else profile.novelty(input)

    async def profile(self, settings: TaskSettings, version: int) -> Profile | None:
        """Of a version; None where it has none."""
        folder = version_dir(settings, version)
        if folder not in self._profiles:
            profile = await asyncio.to_thread(read_profile, folder)
            if profile is None and not folder.is_dir():
                return None  # it may be put back in place
            self._profiles[folder] = profile
        self._profiles.move_to_end(folder)
        while len(self._profiles) > KEPT:
            self._profiles.popitem(last=False)
        return self._profiles[folder]
