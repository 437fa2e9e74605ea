"""What the local model needs: a base model and a trainer for a server, and nothing that it ignores."""

import re

from apprentice.config.surroundings import Found, Surroundings, address, variable
from apprentice.settings import TaskSettings

_PLACE = re.compile(r"\{([A-Za-z_]+)\}")


def local(task: TaskSettings, around: Surroundings) -> Found:
    """The local backend has what it needs, and nothing that it ignores."""
    settings = task.local
    backend = settings.backend
    if backend == "embedded":
        for name in ("base_url", "api_key_env"):
            if getattr(settings, name) is not None:
                yield ("local", name), "has no effect with the backend embedded; leave it out"
        if settings.fine_tune_backend != "embedded":
            yield ("local", "fine_tune_backend"), "the backend embedded is trained by embedded alone"
        return
    if not settings.base_model:
        yield ("local",), f"the backend {backend} needs `base_model`, as its server names it"
    if settings.fine_tune_backend == "embedded":
        words = f"embedded trains no model for the backend {backend}: set few_shot"
        yield ("local", "fine_tune_backend"), words
    if settings.base_url is not None:
        yield from address(settings.base_url, ("local", "base_url"), "http://localhost:11434")
        if settings.base_url.rstrip("/").endswith(("/v1", "/api")):
            yield ("local", "base_url"), "must end before /v1 or /api, which is put behind it"
    yield from variable(settings.api_key_env, ("local", "api_key_env"), around.environ)


def server_command(task: TaskSettings, around: Surroundings) -> Found:
    """The command that serves a version has its places, and no unknown ones."""
    command, path = task.local.server_command, ("local", "server_command")
    if command is None:
        return
    if task.local.backend != "llama_cpp":
        yield path, f"has no effect with the backend {task.local.backend}; leave it out"
        return
    places = {place for word in command for place in _PLACE.findall(word)}
    for needed in ("model", "port"):
        if needed not in places:
            yield path, f"needs {{{needed}}}, as in [llama-server, -m, '{{model}}', --port, '{{port}}']"
    for unknown in sorted(places - {"model", "adapter", "port"}):
        yield path, f"there is no place {{{unknown[:60]}}} (there are: {{model}}, {{adapter}}, {{port}})"
