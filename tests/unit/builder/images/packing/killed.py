"""Packs in children that are killed at a line of the program, each at another."""

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from app.builder.images.image import Layer
from app.builder.images.packing import codec
from app.builder.images.packing.packer import LayerPacker
from app.builder.nix.closure import StorePath
from app.storage.existence_cache import BlobExistenceCache
from app.storage.filesystem import FilesystemStorage
from app.system.workers import Workers
from tests.unit.builder.images.packing.trees import local_store

_APP = str(Path(sys.modules["app.builder.images.packing.packer"].__file__ or "").parents[3])


async def pack(storage: Path, store: Path) -> tuple[Layer, ...]:
    """Each path alone, and all of them together."""
    files = FilesystemStorage(storage)
    await files.start()
    packer = LayerPacker(
        storage=files,
        existence=BlobExistenceCache(files),
        workers=Workers(2),
        codecs=codec.find_all("gzip"),
        store=local_store(store),
    )
    paths = [StorePath(name) for name in sorted(path.name for path in store.iterdir())]
    layers = await asyncio.gather(*(packer.layer([path]) for path in paths), packer.layer(paths))
    await packer.close()
    return tuple(layers)


class Lines:
    """Counts the lines that all threads run in our own modules; the process ends at the last."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self._last = last

    def __enter__(self) -> Self:
        threading.settrace(self._call)
        sys.settrace(self._call)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        sys.settrace(None)
        threading.settrace(None)

    # Any: what typeshed has for trace functions.
    def _call(self, frame: FrameType, _event: str, _argument: Any) -> Any:  # noqa: ANN401
        return self._line if frame.f_code.co_filename.startswith(_APP) else None

    def _line(self, _frame: FrameType, event: str, _argument: Any) -> Any:  # noqa: ANN401
        if event == "line":
            self.count += 1
            if self.count >= self._last:
                os.kill(os.getpid(), signal.SIGKILL)
        return self._line


def main(storage: str, store: str, last: str) -> None:
    """Prints how many lines there were, if that is fewer than ``last``."""
    with Lines(int(last)) as lines:
        asyncio.run(pack(Path(storage), Path(store)))
    sys.stdout.write(str(lines.count))


if __name__ == "__main__":
    main(*sys.argv[1:])
