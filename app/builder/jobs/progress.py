"""The stage and the last output lines of a job, bounded in size, for its page."""

from app.builder.jobs.clients import Clients
from app.text.sanitize import LastLines, one_line

_LINES = 400
_LINE_LIMIT = 500
_STAGE_LIMIT = 200


class Progress:
    """``stage`` describes the present work, "" before the first; ``log`` has the last lines.

    ``clients`` are the clients that the job runs for.
    """

    __slots__ = ("_log", "clients", "stage")

    def __init__(self) -> None:
        self.clients = Clients()
        self.stage = ""
        self._log = LastLines(_LINES, _LINE_LIMIT)

    def enter(self, stage: str) -> None:
        self.stage = one_line(stage, _STAGE_LIMIT)
        self.write(self.stage)

    def write(self, text: str) -> None:
        self._log.add(text)

    def clean(self, most: int) -> bool:
        """Make so many lines fit to be shown; return whether all are, and ``log`` costs nothing."""
        return self._log.clean(most)

    @property
    def log(self) -> tuple[str, ...]:
        return self._log.read()

    def drop_log(self) -> None:
        self._log.clear()
