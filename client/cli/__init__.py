"""The command line: `apprentice --help`."""

from client.cli.app import main

__all__ = ["main"]
