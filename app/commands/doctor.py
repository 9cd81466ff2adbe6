"""``nixery doctor``: check what the server needs, and advise what to do."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from app.commands.checkup import open_checkup
from app.commands.exit_status import ERROR
from app.commands.failures import exit_on_errors
from app.commands.findings import Finding, Outcome, problem
from app.settings.loading import SettingsError, load_settings
from app.settings.settings import Settings
from app.telemetry import log


def command(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check what the server needs, and advise what to do.

    Checks the settings, Nix, its sandbox and binary caches, storage, disks, the clock, the
    sources and the layer plan. A server may run at the same time. The exit status is 1 if any
    check finds a problem.
    """
    with exit_on_errors("doctor", interrupted="the checks printed so far are complete"):
        found = _examine(as_json=as_json)
        worst = _worst(found)
        if as_json:
            checks = [asdict(finding) for finding in found]
            sys.stdout.write(json.dumps({"outcome": worst, "checks": checks}, indent=2) + "\n")
    if worst is Outcome.PROBLEM:
        raise typer.Exit(ERROR)


def _examine(*, as_json: bool) -> list[Finding]:
    found: list[Finding] = []

    def add(finding: Finding) -> None:
        found.append(finding)
        if not as_json:
            sys.stdout.write(_text(finding))
            sys.stdout.flush()

    try:
        settings = load_settings()
    except SettingsError as error:
        for mistake in str(error).splitlines():
            add(problem("settings", mistake, "see docs/configuration.md"))
        return found
    log.set_up(level="CRITICAL", form=settings.log_format)  # findings have the same errors

    async def run(settings: Settings) -> None:
        async with open_checkup(settings) as checkup:
            async for finding in checkup.findings():
                add(finding)

    asyncio.run(run(settings))
    return found


def _text(finding: Finding) -> str:
    advice = f"\n{'':18}{finding.advice}" if finding.advice else ""
    return f"{finding.outcome:9}{finding.check:9}{finding.message}{advice}\n"


def _worst(found: Sequence[Finding]) -> Outcome:
    outcomes = {finding.outcome for finding in found}
    worst = [one for one in (Outcome.PROBLEM, Outcome.WARNING) if one in outcomes]
    return worst[0] if worst else Outcome.OK
