"""Builds as HTML without scripts and external resources; every value is escaped."""

from collections.abc import Iterable
from html import escape

from app.builder.jobs.job import JobState
from app.routers.schemas import Build, BuildList, BuildSummary

_REFRESH_SECONDS = 2
_STYLE = (
    "body{font:16px/1.5 sans-serif;margin:2em auto;max-width:60em;padding:0 1em}"
    "pre{background:#eee;padding:1em;white-space:pre-wrap}"
    "td,th{text-align:left;padding:.2em 1em .2em 0;vertical-align:top}"
    ".failed{color:#a00}.succeeded{color:#060}"
)


def overview(builds: BuildList) -> str:
    body = _section("Running", builds.running) + _section("Finished", builds.finished)
    return _document("Builds", body, refresh=bool(builds.running))


def single(build: Build) -> str:
    facts = [
        ("state", build.state.value),
        ("stage", build.stage),
        ("started", f"{build.started_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("took" if build.finished_at else "runs for", f"{build.seconds:.1f} s"),
        ("message", build.message),
        ("derivation", build.derivation),
    ]
    rows = "".join(
        f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in facts if value
    )
    body = f"<table class={build.state.value}>{rows}</table>"
    body += _log("Log of the derivation", build.failure_log) + _log("Log", build.log)
    body += '<p><a href="/builds">All builds</a></p>'
    return _document(build.image, body, refresh=build.state is JobState.RUNNING)


def _section(title: str, builds: Iterable[BuildSummary]) -> str:
    rows = "".join(
        f'<tr class={build.state.value}><td><a href="{escape(build.page)}">{escape(build.image)}'
        f"</a></td><td>{build.state.value}</td><td>{build.seconds:.1f} s</td>"
        f"<td>{escape(build.message or build.stage)}</td></tr>"
        for build in builds
    )
    return f"<h2>{title}</h2>" + (f"<table>{rows}</table>" if rows else "<p>None.</p>")


def _log(title: str, lines: list[str]) -> str:
    return f"<h2>{title}</h2><pre>{escape(chr(10).join(lines))}</pre>" if lines else ""


def _document(title: str, body: str, *, refresh: bool) -> str:
    again = f'<meta http-equiv="refresh" content="{_REFRESH_SECONDS}">' if refresh else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{again}'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    )
