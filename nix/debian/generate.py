#!/usr/bin/env python3
"""Makes Debian's packages ready for Nix: `generate.py --help` names the commands."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from nix.debian.generator.cli import main

if __name__ == "__main__":
    sys.exit(main())
