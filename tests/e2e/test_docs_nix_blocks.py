"""Nix code in the documentation parses."""

import subprocess

import pytest

from tests import docpages
from tests.docpages import Block
from tests.e2e.process import SYSTEM_PATH

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("block", docpages.blocks("nix"), ids=str)
def test_nix_parses(block: Block) -> None:
    done = subprocess.run(
        ["nix-instantiate", "--parse", "-"],
        input=block.text,
        env={"PATH": SYSTEM_PATH},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
