"""The command of the README prints what the README shows."""

import platform
import re
import sys
from pathlib import Path

import pytest

from tests.e2e.process import succeed
from tests.e2e.server import ROOT, ServerFactory

pytestmark = pytest.mark.e2e

# A network of its own, in which only the demo's own address can be reached.
OFFLINE = ("unshare", "--net", sys.executable, "-c", """
import fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    SIOCSIFFLAGS, IFF_UP = 0x8914, 1
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
os.execvp(sys.argv[1], sys.argv[1:])
""")  # fmt: skip

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
def test_the_demo_pulls_and_runs_and_starts_again_without_a_network() -> None:
    demo = ("make", "-C", str(ROOT), "demo-once")
    first = succeed(*demo, timeout=900)

    again = succeed(*OFFLINE, *demo, timeout=600)

    for output in (first, again):
        assert "git version" in output
        assert "htop" in output
    assert PULLED.findall(first) == PULLED.findall(again)


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
