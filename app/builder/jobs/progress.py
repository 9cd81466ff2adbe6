"""The stage and the last output lines of a job, bounded in size, for its page."""

from app.builder.jobs.clients import Clients
from app.builder.jobs.phases import Phases
from app.system.concurrency import KeyedLock
from app.text.sanitize import LastLines, one_line

_LINES = 400
_LINE_LIMIT = 500
_STAGE_LIMIT = 200


class Progress:
    """What a running job does.

    ``stage`` describes the present work, "" before the first; ``log`` has the last lines.
    ``phases`` are its times.  ``clients`` are the clients that the job runs for.  Parts of a job
    enter a queue in ``turns``, so that a job takes one place of it at a time.
    """

    __slots__ = ("_log", "_parts", "clients", "phases", "stage", "turns")

    def __init__(self) -> None:
        self.clients = Clients()
        self.stage = ""
        self.phases = Phases()
        self._log = LastLines(_LINES, _LINE_LIMIT)
        self.turns: KeyedLock[str] = KeyedLock()
        self._parts: dict[str, _Part] = {}

    def enter(self, stage: str) -> None:
        self.stage = one_line(stage, _STAGE_LIMIT)
        self.write(self.stage)

    def write(self, text: str) -> None:
        self._log.add(text)

    def part(self, name: str) -> "Progress":
        """Return the progress of a part of this job's work, which runs beside other parts.

        Its lines are those of the job, after its name.
        """
        if name not in self._parts:
            self._parts[name] = _Part(self, name)
        return self._parts[name]

    def clean(self, most: int) -> bool:
        """Sanitize up to ``most`` lines; return whether all are, so that ``log`` costs nothing."""
        return self._log.clean(most)

    @property
    def log(self) -> tuple[str, ...]:
        return self._log.read()

    @property
    def position(self) -> int:
        """The number of lines sanitized so far, dropped ones included."""
        return self._log.count

    def log_after(self, position: int) -> tuple[str, ...]:
        """Return the lines sanitized since this position."""
        return self._log.after(position)

    def drop_log(self) -> None:
        self._log.clear()

    def show_parts(self) -> None:
        """Compose the stage from those of the parts."""
        stages = (f"{part.name}: {part.stage}" for part in self._parts.values() if part.stage)
        self.stage = one_line("; ".join(stages), _STAGE_LIMIT)


class _Part(Progress):
    __slots__ = ("_whole", "name")

    def __init__(self, whole: Progress, name: str) -> None:
        super().__init__()
        self.name = name
        self.clients = whole.clients
        self._whole = whole
        self.turns = whole.turns
        self.phases = whole.phases

    def enter(self, stage: str) -> None:
        super().enter(stage)
        self._whole.show_parts()

    def write(self, text: str) -> None:
        self._whole.write(f"{self.name}: {text}")
