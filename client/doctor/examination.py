"""All checks of a configuration, side by side."""

import asyncio

from apprentice.settings import Config
from client.doctor import models, places, temporal
from client.doctor.findings import Finding


async def examine(config: Config, address: str | None) -> list[Finding]:
    """What was found, in the order of the configuration: models, places, then the Temporal server. Never raises."""
    checks = [models.remote(*each) for each in models.providers(config)]
    checks += [models.local(*each) for each in models.servers(config)]
    checks.append(places.store(config))
    checks += [places.folder(place) for place in dict.fromkeys(task.local.model_dir for task in config.tasks)]
    found, server = await asyncio.gather(asyncio.gather(*checks), temporal.server(address, config.temporal))
    return [*found, *server]
