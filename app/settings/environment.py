"""The environment of this process."""

import os


def process_environment() -> dict[str, str]:
    """Return all variables; programs that the process starts inherit some of them."""
    return dict(os.environ)
