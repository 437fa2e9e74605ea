"""`apprentice.yaml` -> Config. Every problem in it is found in one go, with its key and its line.

The keys are those of `apprentice.settings`, one class for each block. Blocks at the top level (remote, local,
sampling, cache, alerts) hold for every task; a task's own block is laid over them key by key. Caps are different: those
at the top level are for all tasks together, a task's own are its own besides. What leaves here is complete: paths are
absolute, every remote model has its price, every task knows whether it draws from a budget for all.
"""

from apprentice.config.changing import BadChange, changing
from apprentice.config.errors import ConfigError
from apprentice.config.loading import load, load_temporal, parse

__all__ = ["BadChange", "ConfigError", "changing", "load", "load_temporal", "parse"]
