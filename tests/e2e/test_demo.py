"""The command of the README, as a stranger types it."""

import time

import pytest

from tests.e2e.process import succeed
from tests.e2e.server import ROOT

pytestmark = pytest.mark.e2e


def test_the_demo_pulls_and_runs_and_starts_again_in_ten_seconds() -> None:
    demo = ("make", "-C", str(ROOT), "demo-once")
    first = succeed(*demo, timeout=900)
    started = time.monotonic()

    again = succeed(*demo, timeout=60)

    assert time.monotonic() - started < 10
    for output in (first, again):
        assert "git version" in output
        assert "htop" in output
