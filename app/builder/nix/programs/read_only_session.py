"""One process of ``nix-instantiate --readonly-mode``, for one revision of a package set.

It writes no derivation files.  ``nix/read-only.nix`` describes how it gets requests: from files,
each behind a named pipe.  A shell opens the pipes, because that waits for the evaluation.  The shell
stops the evaluation at the end of its input, which is that of the server, however it ended.
"""

import json
import os
import secrets
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from app.builder.nix.programs.request import subject
from app.builder.nix.programs.session import Kept, Session
from app.system.blocking import blocking
from app.system.directory_trees import remove_tree

# $$ is the process that becomes the evaluation.
_SCRIPT = """
exec 3<&0 </dev/null
(
    while read -r turn; do : >"$turn"; done <&3
    kill "$$"
) >/dev/null 2>&1 &
exec "$@" 2>&1 3<&-
"""
_SHELL = ("/bin/sh", "-c", _SCRIPT, "sh")
# The evaluation makes a list of this length.
_MOST_REQUESTS = 10_000


class ReadOnlySession(Session):
    """Evaluates without writing derivation files; an error that Nix cannot catch ends the process.

    ``parent`` is a directory of the server's own.
    """

    def __init__(self, kept: Kept, parent: Path) -> None:
        super().__init__(kept)
        self._parent = parent
        self._directory: Path | None = None
        self._marker = secrets.token_hex(16)
        self._requests = 0

    @property
    def over_budget(self) -> bool:
        return self._requests >= _MOST_REQUESTS or super().over_budget

    async def end(self) -> None:
        await super().end()
        directory, self._directory = self._directory, None
        if directory is not None:
            await self._kept.workers.run(partial(remove_tree, directory))

    async def _exchange(self, names: Sequence[str], function: str) -> bytes:
        if self._directory is None:
            self._directory = await self._kept.workers.run(self._new_directory)
        turn = await self._kept.workers.run(self._write, self._directory, names, function)
        if self._conversation is None:
            self._conversation = self._kept.start(
                before=_SHELL, after=self._subject(self._directory)
            )
        return await self._conversation.request(turn, until=f" {self._marker}\n".encode())

    def _subject(self, directory: Path) -> tuple[str, ...]:
        document = {
            **subject(self._kept.evaluation),
            "directory": str(directory),
            "marker": self._marker,
            "requests": _MOST_REQUESTS,
        }
        return ("--argstr", "subject", json.dumps(document))

    @blocking
    def _new_directory(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._parent))

    @blocking
    def _write(self, directory: Path, names: Sequence[str], function: str) -> bytes:
        """Write the next request; return the line that lets the evaluation read it."""
        number = self._requests
        self._requests += 1
        document = json.dumps({"function": function, "names": list(names)})
        (directory / f"request-{number}").write_text(document)
        os.mkfifo(directory / f"turn-{number + 1}", mode=0o600)
        for past in (f"request-{number - 1}", f"turn-{number - 1}"):
            (directory / past).unlink(missing_ok=True)
        return f"{directory}/turn-{number}\n".encode() if number else b""

    @blocking
    def _response(self, printed: bytes) -> bytes | None:
        opening, closing = f"{self._marker} ".encode(), f" {self._marker}\n".encode()
        start, end = printed.find(opening), printed.rfind(closing)
        return printed[start + len(opening) : end] if 0 <= start < end else None
