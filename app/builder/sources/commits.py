"""The names of git commits."""

import re

FULL_COMMIT = re.compile(r"[0-9a-f]{40}")
ABBREVIATED_COMMIT = re.compile(r"[0-9a-f]{7,39}")
COMMIT = re.compile(r"[0-9a-f]{7,40}")
