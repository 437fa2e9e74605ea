"""Builds the model servers that tests use, once, into the cache: `python -m tests.servers`.

Before the tests rather than in them: it takes minutes, and a test that waits for a compiler looks like one that hangs.
Where a toolchain is missing, the tests that need the server say so by name.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from tests.servers import llama_cpp, ollama


def main() -> int:
    """Exit code: 0 even if one cannot be built."""
    builds: list[Callable[[], Path]] = [ollama.find_binary, llama_cpp.find_binary]
    for build in builds:
        try:
            build()
        except (ollama.NoOllama, llama_cpp.NoLlamaCpp) as reason:
            print(f"model servers: {reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
