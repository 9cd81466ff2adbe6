"""The command line: ``nixery`` serves; each verb has a module of its own."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, cast

import typer

from app.commands import plan, popcount, prepare, verify
from app.commands.failures import INTERRUPTED
from app.telemetry.log import VERSION

app = typer.Typer(
    name="nixery",
    help="A container registry in which the image name is the recipe.",
    epilog="Without a command the registry is served; docs/configuration.md has its settings.",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(words: Sequence[str], *, serve: Callable[[], None]) -> int:
    """Return the exit status: 0, 1 for an error or a finding, 2 for usage, 130 after Ctrl-C."""
    try:
        app(args=list(words), prog_name="nixery", obj=serve)
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
            return 1
        return end.code or 0
    return 0


def _show_version(wanted: bool) -> None:  # noqa: FBT001  # the signature is typer's
    if wanted:
        sys.stdout.write(f"nixery {VERSION}\n")
        raise typer.Exit


@app.callback()
def _main(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001  # handled by its callback
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        _serve(context)


@app.command("serve")
def _serve(context: typer.Context) -> None:
    """Run the registry; this is also what nixery does without a command."""
    try:
        cast("Callable[[], None]", context.obj)()
    except KeyboardInterrupt:  # raised again when the server has stopped in order
        raise typer.Exit(INTERRUPTED) from None


app.command("prepare")(prepare.command)
app.command("popcount")(popcount.command)
app.command("plan")(plan.command)
app.command("verify")(verify.command)
