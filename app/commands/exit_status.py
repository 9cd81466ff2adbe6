"""The exit statuses of ``nixery``, beside 0, and Typer's 2 for wrong usage (docs/commands.md)."""

ERROR = 1  # also: verify found damage, or doctor a problem
CANNOT_START = 3
INTERRUPTED = 130  # as shells report a program that SIGINT ended
