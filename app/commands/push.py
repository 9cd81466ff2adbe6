"""``nixery push``: an image into another registry, without a server."""

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

import typer

from app.builder.images.image import Built
from app.commands.credentials import read_credentials
from app.commands.failures import exit_on_errors
from app.commands.layout import blobs_of, manifests_of, top_of
from app.commands.pulling import build_image, services
from app.commands.registry import PushInterrupted, RegistryClient
from app.commands.standard_streams import report
from app.commands.terminal import ProgressLine
from app.oci import Descriptor
from app.reference import ImageReference
from app.state import AppState
from app.system.concurrency import gather
from app.system.http_clients import async_client
from app.system.retrying import Retries, retry
from app.system.web_address import is_web_address

_AT_ONCE = 4
_SECONDS = 300
_RETRIES = Retries(3, 60)
_DOCKER_HUB = ("docker.io", "registry-1.docker.io")
_DESTINATION = re.compile(
    r"(?P<host>localhost(?::\d+)?|\[[0-9a-fA-F:]+\](?::\d+)?|[\w-]+(?:\.[\w-]+)+(?::\d+)?|[\w-]+:\d+)"
    r"/(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::(?P<tag>\w[\w.-]{0,127}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an image is pushed to.

    ``host`` has the port; ``tag`` is "" for that of the image.
    """

    host: str
    repository: str
    tag: str

    @property
    def path(self) -> str:
        """The repository's name in the registry."""
        is_official = self.host == _DOCKER_HUB[0] and "/" not in self.repository
        return f"library/{self.repository}" if is_official else self.repository

    def base(self, *, plain_http: bool) -> str:
        """Return the address of the registry."""
        host = _DOCKER_HUB[1] if self.host == _DOCKER_HUB[0] else self.host
        return f"{'http' if plain_http or self._is_loopback else 'https'}://{host}"

    @property
    def _is_loopback(self) -> bool:
        name = urlsplit(f"//{self.host}").hostname or ""
        try:
            return name == "localhost" or ip_address(name).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push has sent.

    ``sent`` and ``present`` count blobs; ``present`` were in the registry already.
    """

    destination: str
    digest: str
    sent: int
    present: int
    bytes_sent: int


def destination_of(text: str) -> Destination:
    found = _DESTINATION.fullmatch(text)
    if found is None or not is_web_address(f"http://{found['host']}"):
        raise typer.BadParameter(f"{text} is not of the form REGISTRY/REPOSITORY[:TAG]")
    return Destination(found["host"], found["repository"], found["tag"] or "")


def command(
    name: Annotated[str, typer.Argument(metavar="NAME[:TAG]", help="As in docker pull.")],
    destination: Annotated[
        Destination,
        typer.Argument(
            metavar="REGISTRY/REPOSITORY[:TAG]",
            parser=destination_of,
            help="Where to push; without a tag, the tag of the image.",
        ),
    ],
    *,
    plain_http: Annotated[
        bool,
        typer.Option(
            "--plain-http", help="Use http, as for registries on this machine, and not https."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Build an image with the settings of the server, and push it into another registry.

    The image has there the digest that a server with the same settings serves. Layers that the
    registry has are not sent. Passwords are those of docker login, from docker's config.json.
    """
    with exit_on_errors("push", interrupted="run the same command again; sent layers are kept"):
        reference = ImageReference.to_build(name)
        pushed = asyncio.run(_push(reference, destination, plain_http=plain_http))
        if as_json:
            text = json.dumps(asdict(pushed))
        else:
            text = (
                f"{pushed.destination} {pushed.digest}: {pushed.sent} blobs with"
                f" {pushed.bytes_sent / 1e6:.1f} MB sent, {pushed.present} were there"
            )
        sys.stdout.write(f"{text}\n")


async def _push(reference: ImageReference, destination: Destination, *, plain_http: bool) -> Pushed:
    credentials = await asyncio.to_thread(read_credentials, destination.host)
    async with (
        services() as state,
        async_client(seconds=_SECONDS, follow_redirects=False) as http,
    ):
        built = await build_image(state, reference)
        client = RegistryClient(
            http,
            base=destination.base(plain_http=plain_http),
            repository=destination.path,
            credentials=credentials,
        )
        tag = destination.tag or str(reference.reference)
        transfer = Transfer(state, client)
        await transfer.push(built, tag)
    return Pushed(
        destination=f"{destination.host}/{destination.repository}:{tag}",
        digest=str(top_of(built).digest),
        sent=transfer.sent,
        present=transfer.present,
        bytes_sent=transfer.bytes_sent,
    )


class Transfer:
    """Pushes an image, blobs side by side and the manifest of the tag last."""

    def __init__(self, state: AppState, client: RegistryClient) -> None:
        self.sent = 0
        self.present = 0
        self.bytes_sent = 0
        self._state = state
        self._client = client
        self._line = ProgressLine(sys.stderr)

    async def push(self, built: Built, tag: str) -> None:
        """Push the image.  Raises CannotPush, RegistryError."""
        try:
            await self._push_blobs(blobs_of(built))
        finally:
            self._line.clear()
        for manifest in manifests_of(built):
            body = (await self._state.manifests.read(manifest.digest)).body
            name = tag if manifest == top_of(built) else str(manifest.digest)
            await _retried(partial(self._client.push_manifest, name, manifest, body))

    async def _push_blobs(self, blobs: Sequence[Descriptor]) -> None:
        left = iter(blobs)

        async def work() -> None:
            for blob in left:
                await _retried(partial(self._push_blob, blob))
                if self._line.is_due():
                    done = self.sent + self.present
                    self._line.show(f"{done} of {len(blobs)} blobs, {self.bytes_sent:,} bytes sent")

        await gather(work() for _ in range(min(_AT_ONCE, len(blobs))))

    async def _push_blob(self, blob: Descriptor) -> None:
        if await self._client.has_blob(blob):
            self.present += 1
            return
        await self._client.push_blob(blob, partial(self._state.blobs.open, blob.digest))
        self.sent += 1
        self.bytes_sent += blob.size


async def _retried(work: Callable[[], Awaitable[None]]) -> None:
    def on_retry(error: Exception, pause: float) -> None:
        report(f"{error}; another attempt follows in {pause:g} s\n")

    await retry(work, retries=_RETRIES, transient=(PushInterrupted,), on_retry=on_retry)
