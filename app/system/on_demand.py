"""Modules that an idle server does not need in memory, imported when they are first used."""

from importlib import import_module


class OnDemand:
    """A stand-in for a module: the first use of a name imports it.

    An import waits for the disk, so the first use belongs into a worker thread.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> object:
        value = getattr(import_module(self._module), name)
        setattr(self, name, value)  # the next use is as fast as that of a module
        return value
