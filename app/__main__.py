"""``nixery`` and ``python -m app``: the command line, and the server it starts by default."""

import sys

from app.commands import cli


def main() -> None:
    """The entry of the console script."""
    sys.exit(cli.run(sys.argv[1:], serve=_serve))


def _serve() -> None:
    # Whoever counts references or asks for --help need not wait for a web server's imports.
    from app.commands.serve import serve  # noqa: PLC0415  # only for whoever serves

    serve()


if __name__ == "__main__":
    main()
