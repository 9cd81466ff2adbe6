"""The exit statuses of ``nixery`` (docs/operator-guide.md)."""

ERROR = 1  # also: verify found damage
USAGE = 2
CANNOT_START = 3
INTERRUPTED = 130  # as shells report a program that SIGINT ended
