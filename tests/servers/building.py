"""Programs that tests need and that nobody has installed: built once, into the cache, by one process at a time."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from workers.temporal_binary import cache_folder, only_one


def built(name: str, version: str, build: Callable[[Path], Path]) -> Path:
    """Path of the program in the cache. `build` is called with it where it is missing, and has to put it there."""
    cache = cache_folder()
    target = cache / f"{name}-{version}"
    if target.is_file():
        return target
    with only_one(cache / f"{name}.lock", partial(say, name)):
        return target if target.is_file() else build(target)


def say(name: str, line: str) -> None:
    """To whoever waits for it."""
    print(f"{name}: {line}", file=sys.stderr, flush=True)
