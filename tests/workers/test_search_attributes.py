import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from workers.search_attributes import (
    SEARCH_ATTRIBUTES,
    SearchAttributesError,
    known_search_attributes,
    search_attributes,
)

if TYPE_CHECKING:
    from tests.conftest import DevEnv


@pytest.fixture
async def bare_namespace(dev_env: "DevEnv") -> Client:
    """A client of a namespace without any search attribute."""
    name = f"bare-{uuid.uuid4().hex[:8]}"
    retention = Duration()
    retention.FromTimedelta(timedelta(days=1))
    await dev_env.client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
    )
    client = await Client.connect(dev_env.address, namespace=name)
    for _ in range(100):
        try:
            await known_search_attributes(client)
        except RPCError:
            continue
        break
    return client


async def test_the_dev_server_has_every_attribute_with_its_type(dev_env: "DevEnv") -> None:
    assert SEARCH_ATTRIBUTES.items() <= (await known_search_attributes(dev_env.client)).items()
    assert await search_attributes(dev_env.client) == []


async def test_missing_attributes_are_added_once(bare_namespace: Client) -> None:
    assert await search_attributes(bare_namespace) == sorted(SEARCH_ATTRIBUTES)
    assert await search_attributes(bare_namespace) == []
    assert SEARCH_ATTRIBUTES.items() <= (await known_search_attributes(bare_namespace)).items()


async def test_an_attribute_of_another_type_is_refused_by_name(bare_namespace: Client) -> None:
    await bare_namespace.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=bare_namespace.namespace,
            search_attributes={"ApprenticePhase": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD},
        )
    )
    with pytest.raises(SearchAttributesError, match="ApprenticePhase is Keyword, needed Int"):
        await search_attributes(bare_namespace)
