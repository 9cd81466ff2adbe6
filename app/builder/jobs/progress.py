"""What a running build says about itself, kept for its page and bounded in size."""

from collections import deque

from app.builder.wording import line

_LINES = 400
_LINE_LIMIT = 500
_STAGE_LIMIT = 200


class Progress:
    """``stage`` is one sentence about now, "" until the first; ``log`` the last lines said.

    ``revision`` is what all of it is true of, once that is known.
    """

    __slots__ = ("_log", "revision", "stage")

    def __init__(self) -> None:
        self.stage = ""
        self.revision: str | None = None
        self._log: deque[str] = deque(maxlen=_LINES)

    def enter(self, stage: str) -> None:
        self.stage = line(stage, _STAGE_LIMIT)
        self.say(self.stage)

    def say(self, text: str) -> None:
        self._log.append(line(text, _LINE_LIMIT))

    @property
    def log(self) -> tuple[str, ...]:
        return tuple(self._log)

    def drop_log(self) -> None:
        self._log.clear()
