"""``nixery`` and ``python -m app``: the command line."""

import sys

from app.commands import cli
from app.commands.interrupts import ended_by_interrupt


def main() -> None:
    sys.exit(cli.run(sys.argv[1:], serve=_serve))


def _serve() -> None:
    # The other commands and --help do not need a web server's imports.
    with ended_by_interrupt():
        from app.commands.serve import serve  # noqa: PLC0415  # on demand

        serve()  # which handles the signal itself, as soon as its event loop runs


if __name__ == "__main__":
    main()
