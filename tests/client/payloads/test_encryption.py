"""With a key nothing that a caller sent, and nothing that a model answered, can be read in Temporal."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from apprentice.messages import ApplySettings
from client import Apprentice, PayloadUnreadable, RequestFailed
from client.payloads import NO_SETTINGS
from tests.client.payloads.conftest import client_of, converter, new_key
from tests.conftest import DevEnv
from tests.workflows.conftest import SettingsOf
from workflows import WORKFLOWS
from workflows.ids import lifecycle_id
from workflows.tolerant import TolerantSignals

SECRET = "4111 1111 1111 1111"
# What Temporal indexes and shows cannot be encrypted; none of it is personal. Headers and markers are the SDK's own.
NOT_SECRET = {"searchAttributes", "userMetadata", "upsertWorkflowSearchAttributesEventAttributes"}
Serving = Callable[..., AbstractAsyncContextManager[Apprentice]]


def encodings(part: object) -> Iterator[str]:
    """Of all payloads below this part of a history, as JSON has them (base64)."""
    if isinstance(part, dict):
        if isinstance(metadata := part.get("metadata"), dict) and "encoding" in metadata and "data" in part:
            yield metadata["encoding"]
        for name, inner in part.items():
            if name not in NOT_SECRET:
                yield from encodings(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from encodings(inner)


async def round_trip(there: DataConverter, back: DataConverter) -> object:
    return (await back.decode(await there.encode([{"text": SECRET}]), [dict]))[0]


async def test_what_one_encrypts_the_other_reads_and_it_is_not_in_the_payload(tmp_path: Path) -> None:
    both = converter(tmp_path, new_key())
    [payload] = await both.encode([{"text": SECRET}])
    assert SECRET.encode() not in payload.SerializeToString()
    assert payload.metadata["encoding"] == b"binary/encrypted"
    assert await round_trip(both, both) == {"text": SECRET}


async def test_two_payloads_of_one_value_differ(tmp_path: Path) -> None:
    both = converter(tmp_path, new_key())
    assert await both.encode(["yes"]) != await both.encode(["yes"])


async def test_an_old_key_still_decrypts_and_the_new_one_encrypts(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    rotated = converter(tmp_path, f"{new},{old}")
    assert await round_trip(converter(tmp_path, old), rotated) == {"text": SECRET}
    with pytest.raises(PayloadUnreadable):
        await round_trip(rotated, converter(tmp_path, old))


async def test_what_was_written_before_encryption_is_read(tmp_path: Path) -> None:
    assert await round_trip(converter(tmp_path), converter(tmp_path, new_key())) == {"text": SECRET}
    large = {"text": SECRET * 20_000}
    stored = await converter(tmp_path).encode([large])
    assert (await converter(tmp_path, new_key()).decode(stored, [dict]))[0] == large


@pytest.mark.parametrize("keys", [None, "another"])
async def test_without_the_key_the_error_says_what_to_do(tmp_path: Path, keys: str | None) -> None:
    there = converter(tmp_path, new_key())
    with pytest.raises(PayloadUnreadable, match="encryption_key_env" if keys is None else "is not among ours"):
        await round_trip(there, converter(tmp_path, new_key() if keys else None))


async def test_a_changed_ciphertext_is_noticed(tmp_path: Path) -> None:
    both = converter(tmp_path, new_key())
    [payload] = await both.encode(["yes"])
    payload.data = payload.data[:-1] + bytes([payload.data[-1] ^ 1])
    with pytest.raises(PayloadUnreadable, match="changed"):
        await both.decode([payload])


def marked(history: WorkflowHistory) -> int:
    """How many payloads the SDK's marks of patches hold: no data of ours."""
    marks = [event.marker_recorded_event_attributes for event in history.events]
    return sum(len(payloads.payloads) for mark in marks for payloads in mark.details.values())


async def test_a_whole_life_leaves_no_plain_text_in_the_history_and_replays(
    serving: Serving, settings_of: SettingsOf, tmp_path: Path
) -> None:
    """Inputs, outputs, and errors: messages and stack traces go through the codec as well."""
    broken = {"provider": "simulated", "model": SECRET, "price": {}, "simulation": {"error_rate": 1.0}}
    settings, both = settings_of(), converter(tmp_path, new_key())
    failing = settings.model_copy(update={"remote": type(settings.remote).model_validate(broken)})
    async with serving(settings, both) as apprentice:
        result = await apprentice.run(settings.name, {"text": SECRET}, deadline=20)
        assert result.output["category"] in ("billing", "shipping", "account")
        await apprentice.run(settings.name, {"text": SECRET * 20_000}, deadline=20)
        await apprentice.operate(settings.name, ApplySettings(settings=failing))
        with pytest.raises(RequestFailed):
            await apprentice.run(settings.name, {"text": f"{SECRET} again"}, deadline=60)
        history = await apprentice.client.get_workflow_handle(lifecycle_id(settings.name)).fetch_history()
    text = history.to_json()
    assert SECRET not in text
    found = Counter(encodings(json.loads(text)))
    names = {base64.b64decode(name) for name in found}
    sealed, marks = {b"binary/encrypted", b"json/protobuf"}, {b"json/plain"}
    assert names == sealed | marks, (
        "references, which are sealed, encrypted payloads, and the SDK's own mark of a patch"
    )
    assert found[base64.b64encode(b"json/plain").decode()] == marked(history)
    assert found.total() > 10
    failures = [event.activity_task_failed_event_attributes for event in history.events]
    assert {one.failure.message for one in failures if one.HasField("failure")} <= {"Encoded failure"}
    await Replayer(
        workflows=WORKFLOWS,
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=both,
        interceptors=[TolerantSignals()],
    ).replay_workflow(history)


async def test_a_task_that_began_in_the_clear_goes_on_encrypted(
    serving: Serving, settings_of: SettingsOf, tmp_path: Path
) -> None:
    settings = settings_of()
    async with serving(settings, converter(tmp_path)) as apprentice:
        before = await apprentice.run(settings.name, {"text": "one"}, request_id="one", deadline=20)
    async with serving(settings, converter(tmp_path, new_key()), max_cached_workflows=0) as apprentice:
        after = await apprentice.run(settings.name, {"text": "one"}, request_id="one", deadline=20)
        await apprentice.run(settings.name, {"text": "two"}, deadline=20)
    assert after.output == before.output


@pytest.mark.slow
@pytest.mark.parametrize("keys", [None, "another"])
async def test_a_worker_without_the_key_fails_nothing_for_good(
    serving: Serving, settings_of: SettingsOf, dev_env: DevEnv, tmp_path: Path, keys: str | None
) -> None:
    settings, keyed = settings_of(), converter(tmp_path, new_key())
    async with serving(settings, keyed) as apprentice:
        await apprentice.run(settings.name, {"text": "one"}, deadline=20)
    async with serving(settings, converter(tmp_path, new_key() if keys else None), apply=False):
        asking = Apprentice(await client_of(dev_env, keyed))
        waiting = asyncio.create_task(asking.run(settings.name, {"text": "two"}, deadline=60))
        await asyncio.sleep(3)
        assert not waiting.done()
    async with serving(settings, keyed, apply=False) as apprentice:
        assert (await waiting).output["category"]
        description = await apprentice.client.get_workflow_handle(lifecycle_id(settings.name)).describe()
    assert description.status is WorkflowExecutionStatus.RUNNING


@pytest.mark.parametrize("who", ["nobody", "a stranger"])
async def test_a_client_with_another_key_is_refused_by_name_and_hurts_nobody(
    serving: Serving, settings_of: SettingsOf, dev_env: DevEnv, tmp_path: Path, who: str
) -> None:
    settings = settings_of()
    async with serving(settings, converter(tmp_path, new_key())) as apprentice:
        if who == "nobody":
            stranger = Apprentice(await client_of(dev_env, NO_SETTINGS))
        else:
            stranger = Apprentice(await client_of(dev_env, converter(tmp_path, new_key())))
        with pytest.raises(PayloadUnreadable):
            await stranger.run(settings.name, {"text": "one"}, deadline=20)
        with pytest.raises(PayloadUnreadable):
            await stranger.status(settings.name)
        await apprentice.run(settings.name, {"text": "two"}, deadline=20)
