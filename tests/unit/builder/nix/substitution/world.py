"""A simulated binary cache, and a store that reads from it, for tests."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.builder.nix.binary_cache.exchange import TransferOptions
from app.builder.nix.binary_cache.signatures import TrustedKeys
from app.builder.nix.closure import StoreObject, StorePath
from app.builder.nix.substitution.caches import Caches, Trust
from app.builder.nix.substitution.client import CacheClient
from app.builder.nix.substitution.finding import ClosureFinder, Found
from app.builder.nix.substitution.offer import Offer
from app.builder.nix.substitution.registry import Job, Remote, RemotePaths
from app.builder.nix.substitution.retry_policy import RetryPolicy
from app.builder.nix.substitution.store import SubstitutedStore
from app.system.retrying import Retries
from scripts.channel.cache import CacheWriter, SigningKey
from scripts.channel.server import Channel
from scripts.channel.serving import serving
from tests.archives import archive_of
from tests.unit.builder.images.packing.trees import Node, local_store

KEY = SigningKey.new("team-1")
RETRIES = Retries(times=2, seconds=60, pause_seconds=0.01)
Contents = Mapping[StorePath, Node]


def fill(
    directory: Path,
    contents: Contents,
    references: Mapping[StorePath, Collection[StorePath]] | None = None,
    *,
    compression: str = "zstd",
    key: SigningKey = KEY,
    priority: int = 40,
) -> Path:
    writer = CacheWriter(directory, key, compression)
    writer.begin(priority)
    for path, node in contents.items():
        writer.add(path, archive_of(node), (references or {}).get(path, ()))
    return directory


@dataclass
class World:
    """Simulated channels; ``channels`` are caches in the order of the setting."""

    directory: Path
    channels: Sequence[Channel]
    keys: Sequence[str] = (KEY.public,)
    retries: Retries = RETRIES
    seconds: float = 60
    stall_seconds: int = 5
    required: bool = True
    netrc: str = ""
    certificates: str = ""
    objects: Sequence[StoreObject] = ()
    lines: list[str] = field(default_factory=list)

    def open(self, stack: ExitStack) -> None:
        for channel in self.channels:
            stack.enter_context(serving(channel))
        options = TransferOptions(self.netrc, self.certificates, self.stall_seconds)
        self.client = CacheClient(options)
        stack.callback(self.client.close)
        trust = Trust(
            TrustedKeys(self.keys),
            frozenset(key.partition(":")[0] for key in self.keys),
            required=self.required,
        )
        self.caches = Caches([channel.url for channel in self.channels], self.client, trust)
        self.remotes = RemotePaths()
        self.job: Job = stack.enter_context(self.remotes.job())
        local = self.directory / "local"
        local.mkdir(exist_ok=True)
        self.store = SubstitutedStore(
            local=local_store(local, *self.objects),
            remotes=self.remotes,
            client=self.client,
            directory=self.directory / "downloads",
            workers=2,
        )

    async def find(self, *roots: StorePath) -> Found:
        policy = RetryPolicy(retries=self.retries, seconds=self.seconds, on_retry=self.lines.append)

        def add(offer: Offer) -> None:
            remote = Remote(offer, self.caches, policy)
            self.remotes.add(self.job, offer.substitute.path, remote)

        finder = ClosureFinder(
            self.caches.find, retries=self.retries, on_line=self.lines.append, on_offer=add
        )
        return await finder.find(roots, absent=())

    @property
    def left_over(self) -> list[str]:
        """Files of downloads that are open in this process, or have names."""
        directory = self.directory / "downloads"
        names = [str(file) for file in directory.glob("*")]
        for descriptor in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # that of the listing
                names.append(str(descriptor.readlink()))
        return [name for name in names if name.startswith(f"{directory}/")]


@contextmanager
def opened(world: World) -> Iterator[World]:
    with ExitStack() as stack:
        world.open(stack)
        yield world
