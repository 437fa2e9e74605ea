"""Each local answer says how new its input is to the version, whatever backend serves it."""

import json
from pathlib import Path

import pytest

from activities.local import version_dir
from activities.local.familiarity import FILE, Familiarity, read_profile, write_profile
from apprentice.novelty import FAR, MOST_CLASSES
from apprentice.settings import TaskSettings


@pytest.fixture
def settings(tmp_path: Path) -> TaskSettings:
    return TaskSettings.model_validate(
        {
            "name": "tickets",
            "input_schema": {"text": "str"},
            "output_schema": {"category": ["a", "b"]},
            "remote": {"provider": "simulated", "model": "m"},
            "local": {"model_dir": str(tmp_path)},
        }
    )


def taught(settings: TaskSettings, version: int) -> Path:
    folder = version_dir(settings, version)
    folder.mkdir(parents=True)
    write_profile(folder, (({"text": f"where is my parcel {at}"}, {"category": "a"}) for at in range(200)))
    return folder


async def test_the_profile_of_each_version_is_its_own(settings: TaskSettings) -> None:
    taught(settings, 1)
    version_dir(settings, 2).mkdir()
    familiarity = Familiarity()
    assert (await familiarity.novelty(settings, 1, {"text": "where is my parcel 7"}) or 0.0) < 0.1
    assert (await familiarity.novelty(settings, 1, {"text": "Rückgabe bitte"}) or 0.0) > FAR
    assert await familiarity.novelty(settings, 2, {"text": "where is my parcel 7"}) is None  # older than profiles


async def test_a_damaged_profile_costs_no_answer(settings: TaskSettings) -> None:
    (taught(settings, 1) / FILE).write_text('{"inputs": 3}')
    assert read_profile(version_dir(settings, 1)) is None
    assert await Familiarity().novelty(settings, 1, {"text": "x"}) is None


@pytest.mark.parametrize(
    "damage",
    [
        {"hashes": "!"},
        {"hashes": "AAAAAA=="},
        {"counts": ""},
        {"classes": "A"},
        {"classes": "AAAA" * 3 * MOST_CLASSES},
        {"usual": 1.0},
        {"usual": "NaN"},
        {"inputs": -5},
    ],
)
async def test_a_profile_with_a_damaged_part_is_none(settings: TaskSettings, damage: dict[str, object]) -> None:
    file = taught(settings, 1) / FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | damage))
    assert await Familiarity().novelty(settings, 1, {"text": "where is my parcel"}) is None


async def test_a_folder_that_is_put_back_is_found_again(settings: TaskSettings) -> None:
    familiarity = Familiarity()
    assert await familiarity.novelty(settings, 1, {"text": "x"}) is None
    taught(settings, 1)
    assert await familiarity.novelty(settings, 1, {"text": "x"}) is not None
