"""Run ``nixery``: the server by default, else the verb of the command line."""

import sys
from collections.abc import Callable, Sequence
from functools import partial

from app.commands.exit_status import ERROR, INTERRUPTED
from app.settings.environment import process_environment

_COMPLETION = "_NIXERY_COMPLETE"  # a shell asks for completions, without arguments


def run(arguments: Sequence[str], *, serve: Callable[[], None]) -> int:
    """Return the exit status.  ``serve`` runs the server."""
    if list(arguments) in ([], ["serve"]) and _COMPLETION not in process_environment():
        # Typer and the other verbs would cost a server 3 MB and 0.3 s.
        return _status_of(serve)
    from app.commands.verbs import app  # noqa: PLC0415  # see above

    return _status_of(partial(app, args=list(arguments), prog_name="nixery", obj=serve))


def _status_of(command: Callable[[], object]) -> int:
    try:
        command()
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
            return ERROR
        return end.code or 0
    return 0
