"""The command line of all verbs; each has a module of its own."""

import sys
from collections.abc import Callable
from typing import Annotated, cast

import typer

from app.commands import (
    build,
    config,
    doctor,
    plan,
    popcount,
    prepare,
    preview,
    push,
    verify,
    warm,
    watch,
)
from app.telemetry.log import VERSION

app = typer.Typer(
    name="nixery",
    help="A container registry in which the image name is the recipe.",
    epilog="""\
Without a command, nixery runs the registry. Its settings are environment variables; see
docs/configuration.md.

Exit status: 0 success, 1 an error or damage, 2 wrong usage, 3 the server cannot start,
130 stopped by Ctrl-C.""",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  # typer defines the signature
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


@app.command("serve", short_help="Run the registry (the default).")
def _serve(context: typer.Context) -> None:
    """Run the registry, as nixery does without a command."""
    cast("Callable[[], None]", context.obj)()


app.command("build", short_help="Build an image without a registry.")(build.command)
app.command("prepare", short_help="Download the embedded packages.")(prepare.command)
app.command("popcount", short_help="Count references in a binary cache.")(popcount.command)
app.command("plan", short_help="Write a layer plan for NIXERY_PLAN.")(plan.command)
app.command("preview", short_help="Print what a pull would take.")(preview.command)
app.command("verify", short_help="Check the stored images for damage.")(verify.command)
app.command("doctor", short_help="Check what the server needs.")(doctor.command)
app.command("config", short_help="Print the settings and their origins.")(config.command)
app.command("warm", short_help="Build many images, for later pulls.")(warm.command)
app.command("watch", short_help="Follow a build of a running server.")(watch.command)
app.command("push", short_help="Push an image into another registry.")(push.command)
