"""What a trainer is given: never a hold-out input, nor what is too much like one, however the split came about."""

import json
from dataclasses import replace
from pathlib import Path

from activities.comparing import Scorer
from activities.local.serving import LocalModels
from activities.store import Store
from activities.training.fine_tuning import FineTuning
from apprentice.messages import Split, TrainingRequest
from apprentice.settings import TaskSettings
from tests.activities.store.conftest import make_call

HELD = "I would like to know why the cash machine kept my card yesterday"
NEAR = [HELD.upper(), HELD + " please!", HELD.replace("machine", "machin"), HELD + " really"]
OTHER = [f"quite another question, the {n}th" for n in range(50)]


async def test_near_duplicates_of_hold_out_inputs_of_any_schema_version_are_not_trained_on(tmp_path: Path) -> None:
    settings = TaskSettings.model_validate(
        {
            "name": "tickets",
            "input_schema": {"text": "str"},
            "output_schema": {"label": "str"},
            "remote": {"provider": "simulated", "model": "m", "price": {}},
            "local": {"model_dir": str(tmp_path)},
        }
    )
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        await insert(store, HELD, Split.HOLDOUT, schema_version=1)
        for text in (*NEAR, HELD, *OTHER):
            await insert(store, text, Split.TRAIN, schema_version=2)
        ref = await store.examples.snapshot("tickets", 2)
        assert (ref.train, ref.holdout) == (len(NEAR) + 1 + len(OTHER), 0)
        request = TrainingRequest(task="tickets", version=1, settings_digest="d", dataset=ref)
        file = await FineTuning(store, LocalModels(), Scorer())._dataset(request, settings)
    assert [json.loads(line)["input"]["text"] for line in file.read_text().splitlines()] == OTHER


async def insert(store: Store, text: str, split: Split, schema_version: int) -> None:
    one = make_call(text, request_id=f"{schema_version}-{text}")
    await store.journal.intend(one.intent, one.example.created_at)
    example = replace(one.example, split=split, schema_version=schema_version)
    settled = await store.journal.answered(one.intent, one.answer, example, one.example.created_at)
    assert settled.example is split
