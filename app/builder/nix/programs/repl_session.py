"""One process of ``nix repl``, for one revision of a package set."""

import secrets
from collections.abc import Sequence

from app.builder.nix.programs.repl_protocol import Protocol, request
from app.builder.nix.programs.request import subject
from app.builder.nix.programs.session import Kept, Session
from app.system.blocking import blocking


class ReplSession(Session):
    """Writes the derivation files of the packages that it evaluates."""

    def __init__(self, kept: Kept) -> None:
        super().__init__(kept)
        self._protocol = Protocol(secrets.token_hex(16))

    async def _exchange(self, names: Sequence[str], function: str) -> bytes:
        text = request(names, function)
        if self._conversation is None:
            self._conversation = self._kept.start()
            text = self._protocol.start(subject(self._kept.evaluation)) + text
        return await self._conversation.request(text, until=self._protocol.end)

    @blocking
    def _response(self, printed: bytes) -> bytes | None:
        return self._protocol.response(printed)
