"""Downloads over TLS trust what the machine trusts, as its git and curl do."""

import sys
from pathlib import Path

import pytest

from tests.e2e.githosts import https_files, new_authority
from tests.e2e.process import succeed
from tests.e2e.server import ROOT

pytestmark = pytest.mark.e2e

# In a name space of its own the machine's list is another one.
INSTALLED = """
mount --bind "$1" /etc/ssl/certs/ca-certificates.crt
shift
exec env -u SSL_CERT_FILE -u SSL_CERT_DIR -- "$@"
"""
DOWNLOADS = """
import asyncio, sys, threading
from app.builder.images.profile_download import download
from app.builder.nix.binary_cache.exchange import TransferOptions
from app.builder.nix.binary_cache.transfer import Transfer
from app.builder.sources.channel import new_client

async def requests(url):
    async with new_client() as http:
        return await download(url), (await http.get(url)).content

body = bytearray()
def write(part, position):
    body[position:] = part
    return True

Transfer(TransferOptions(), threading.Event()).get(sys.argv[1], write)
print(*asyncio.run(requests(sys.argv[1])), bytes(body))
"""


def test_downloads_trust_an_authority_that_is_in_the_machines_list(tmp_path: Path) -> None:
    """The authority has no key usage, which Python requires from 3.13 on."""
    authority = new_authority(tmp_path / "ca")
    files = tmp_path / "files"
    files.mkdir()
    (files / "file").write_text("body")

    with https_files(files, authority=authority) as port:
        shell = ("unshare", "--mount", "sh", "-euc", INSTALLED, "sh", str(authority.ca))
        program = (sys.executable, "-c", DOWNLOADS, f"https://localhost:{port}/file")
        output = succeed(*shell, *program, env={"PYTHONPATH": str(ROOT)})

    assert output.split() == ["b'body'"] * 3
