"""docker-compose.yml: valid by the Compose specification's own JSON schema, and by what a schema cannot say.

The schema comes with the package check-jsonschema; no engine is needed. `docker compose config` has its say as well
where there is a client.
"""

import copy
import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from workers.dev_server import DYNAMIC_CONFIG

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def check(compose: dict[str, Any]) -> None:
    jsonschema.validators.validator_for(SCHEMA)(SCHEMA).validate(compose)


def test_it_is_valid_by_the_compose_specification() -> None:
    check(COMPOSE)


@pytest.mark.parametrize(
    ("key", "value"),
    [("depend_on", ["temporal"]), ("ports", "8080"), ("restart", 3), ("healthcheck", {"test": ["CMD"], "every": "5s"})],
)
def test_a_mistake_would_be_noticed(key: str, value: object) -> None:
    broken = copy.deepcopy(COMPOSE)
    broken["services"]["ui"][key] = value
    with pytest.raises(jsonschema.ValidationError):
        check(broken)


def test_docker_compose_accepts_it() -> None:
    if (docker := shutil.which("docker")) is None:
        pytest.skip("no docker client")
    if subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("the docker client has no compose plugin; the schema has been checked")
    result = subprocess.run([docker, "compose", "config", "--quiet"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_can_come_true(name: str) -> None:
    for other, rule in SERVICES[name].get("depends_on", {}).items():
        if rule["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert rule["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"].startswith("on-failure"), "one that always restarts never completes"


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if service["restart"] == "unless-stopped"])
def test_what_keeps_running_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_published_beyond_this_machine(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    tag = SERVICES[name]["image"].split(":", 1)[1]
    assert "latest" not in tag
    assert any(character.isdigit() for character in tag)


def test_volumes_and_configs_are_declared() -> None:
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert {mount for mount in mounts if not mount.startswith(".")} == COMPOSE["volumes"].keys()
    sources = {config["source"] for service in SERVICES.values() for config in service.get("configs", [])}
    assert sources == COMPOSE["configs"].keys()


def test_the_server_lifts_the_limits_that_the_dev_server_lifts() -> None:
    dynamic = yaml.safe_load(COMPOSE["configs"]["dynamic-config"]["content"])
    lifted = {key: str(values[0]["value"]) for key, values in dynamic.items()}
    assert lifted == {key: value for key, value in DYNAMIC_CONFIG.items() if key.startswith("history.")}


def test_the_image_runs_as_an_ordinary_user_and_copies_what_exists() -> None:
    instructions = [line.split() for line in (ROOT / "Dockerfile").read_text().splitlines() if line[:1].isupper()]
    assert [words[1] for words in instructions if words[0] == "USER"] == ["apprentice"]
    copied = [word for words in instructions if words[0] == "COPY" and "--" not in words[1] for word in words[1:-1]]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == let_in
