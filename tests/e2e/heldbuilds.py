"""Builds that last until a test lets them finish, however fast or slow the machine is."""

import itertools
from pathlib import Path

_NUMBERS = itertools.count()


class HeldBuild:
    """A package of tests/nix/packages that no other test of this session builds.

    The image has ``contents`` in its file ``/held``.  As a context manager it is released at the
    end of the block, also by an error.
    """

    def __init__(self, gates: Path) -> None:
        number = next(_NUMBERS)
        self.package = f"held-{number}"
        self.contents = f"{number}\n"
        self._gate = gates / self.package

    def __enter__(self) -> None:
        """Nothing begins here: a request starts the build."""

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let the build finish."""
        self._gate.touch()
