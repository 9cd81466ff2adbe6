"""The exit statuses of ``nixery``, beside 0, and Typer's 2 for wrong usage (docs/commands.md)."""

ERROR = 1  # also: verify found damage, or doctor a problem
CANNOT_START = 3
PIPE_CLOSED = 141  # as shells report a program that SIGPIPE ended
INTERRUPTED = 130  # as shells report a program that SIGINT ended
