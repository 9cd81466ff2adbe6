"""The exit statuses of ``nixery`` (docs/commands.md)."""

ERROR = 1  # also: verify found damage, or doctor a problem
USAGE = 2
CANNOT_START = 3
INTERRUPTED = 130  # as shells report a program that SIGINT ended
