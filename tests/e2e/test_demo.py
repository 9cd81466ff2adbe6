"""The command of the README prints what the README shows."""

import platform
import re
import time
from pathlib import Path

import pytest

from tests.e2e.process import succeed
from tests.e2e.server import ROOT, ServerFactory

pytestmark = pytest.mark.e2e

README = (ROOT / "README.md").read_text()
PULLED = re.compile(r"^demo: (sha256:[0-9a-f]{12}: \d+ layers, \d+ MB), in", re.MULTILINE)


@pytest.fixture(scope="session")
def pinned(packages: Path) -> None:
    """The README shows what the committed lock for this kind of machine gives."""
    if platform.machine() != "x86_64":
        pytest.skip("UNTESTED, needs x86-64: the README's images are of that architecture")
    if packages != ROOT / "nix" / "debian":
        pytest.skip("UNTESTED, the archive no longer has what the committed lock names")


@pytest.mark.alone
def test_the_demo_pulls_and_runs_and_starts_again_in_ten_seconds() -> None:
    demo = ("make", "-C", str(ROOT), "demo-once")
    first = succeed(*demo, timeout=900)
    started = time.monotonic()

    again = succeed(*demo, timeout=60)

    assert time.monotonic() - started < 10
    for output in (first, again):
        assert "git version" in output
        assert "htop" in output


@pytest.mark.may_skip
@pytest.mark.usefixtures("pinned")
def test_the_demo_pulls_the_image_that_the_readme_shows() -> None:
    output = succeed("make", "-C", str(ROOT), "demo-once", timeout=900)

    assert PULLED.findall(README) == PULLED.findall(output)


@pytest.mark.may_skip
@pytest.mark.usefixtures("pinned")
def test_another_server_has_the_digests_that_the_readme_shows(new_server: ServerFactory) -> None:
    server = new_server(NIXERY_ARCHITECTURES="amd64,arm64")
    [shown] = re.findall(r"^Digest: (sha256:[0-9a-f]{64})$", README, re.MULTILINE)
    [demo] = PULLED.findall(README)

    assert server.digest("python3/curl") == shown
    # skopeo has the image of its machine, Docker shows the digest of the index.
    assert server.digest("amd64/shell/git/htop").startswith(demo.partition(": ")[0])
