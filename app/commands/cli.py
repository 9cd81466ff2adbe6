"""Run ``nixery``: the server by default, else the verb of the command line."""

from collections.abc import Callable, Sequence
from functools import partial

from app.commands.exit_status import ERROR, INTERRUPTED, PIPE_CLOSED
from app.commands.interrupts import ended_by_interrupt
from app.commands.standard_streams import (
    finish_errors,
    finish_output,
    open_missing,
    report,
    was_output_replaced,
)
from app.settings.environment import process_environment

_COMPLETION = "_NIXERY_COMPLETE"  # a shell requests completions, without arguments


def run(arguments: Sequence[str], *, serve: Callable[[], None]) -> int:
    """Return the exit status.  ``serve`` runs the server."""
    had_output = open_missing()
    if list(arguments) in ([], ["serve"]) and _COMPLETION not in process_environment():
        # Typer and the other verbs would cost a server 3 MB and 0.3 s.
        return _status_of(serve)
    if not had_output:
        report("nixery: standard output is closed\n")
        return ERROR
    try:
        return _finished(arguments, serve)
    finally:
        finish_errors()


def _finished(arguments: Sequence[str], serve: Callable[[], None]) -> int:
    """Run a verb, and write what is buffered; return the exit status."""
    try:
        status = _status_of(partial(_run_verb, arguments, serve))
    except OSError as error:  # verbs catch their own; this is help or usage, printed by Typer
        return finish_output() or _lost(error)
    if was_output_replaced():
        return PIPE_CLOSED
    lost = finish_output()
    return status or lost


def _run_verb(arguments: Sequence[str], serve: Callable[[], None]) -> None:
    with ended_by_interrupt():
        from app.commands.verbs import app  # noqa: PLC0415  # the server does without

    app(args=list(arguments), prog_name="nixery", obj=serve)


def _lost(error: OSError) -> int:
    report(f"nixery: cannot write: {error.strerror}\n")
    return ERROR


def _status_of(command: Callable[[], object]) -> int:
    try:
        command()
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        if isinstance(end.code, str):
            report(f"{end.code}\n")
            return ERROR
        return end.code or 0
    return 0
