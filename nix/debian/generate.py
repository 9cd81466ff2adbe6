#!/usr/bin/env python3
"""Prepare Debian's packages for Nix; `generate.py --help` lists the commands."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from nix.debian.generator.cli import main

if __name__ == "__main__":
    sys.exit(main())
