"""The names in a store path, recorded while its archive is packed."""

from app.builder.nix.store import File, ReadBuffers, UnreadablePath, Visitor

_END = b"\0"
# Names and their bytes; a larger path is read a second time.
_LARGEST = 8 << 20


class RecordingVisitor:
    """Pass all entries on, and record their names."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._recorded = bytearray()

    @property
    def recorded(self) -> bytes | None:
        """The names as ``replay`` takes them; None if they are too many."""
        return bytes(self._recorded) if len(self._recorded) <= _LARGEST else None

    def enter(self, name: bytes) -> None:
        self._record(b"d", name)
        self._visitor.enter(name)

    def leave(self) -> None:
        self._record(b"u", b"")
        self._visitor.leave()

    def file(self, name: bytes, file: File) -> None:
        self._record(b"f", name)
        self._visitor.file(name, file)

    def symlink(self, name: bytes, target: bytes) -> None:
        self._record(b"s", name)
        self._record(b"", target)
        self._visitor.symlink(name, target)

    def _record(self, kind: bytes, text: bytes) -> None:
        if len(self._recorded) <= _LARGEST:
            self._recorded += kind + text + _END


def replay(recorded: bytes, visitor: Visitor) -> None:
    """Call the visitor as the recorded pass did; the files cannot be opened."""
    tokens = iter(recorded.split(_END)[:-1])
    for token in tokens:
        name = token[1:]
        match token[:1]:
            case b"d":
                visitor.enter(name)
            case b"u":
                visitor.leave()
            case b"s":
                visitor.symlink(name, next(tokens))
            case _:
                visitor.file(name, _Unreadable())


class _Unreadable:
    def open(self) -> tuple[int, bool]:
        raise UnreadablePath("only the names of its files were requested")

    def readv(self, buffers: ReadBuffers) -> int:
        raise UnreadablePath(f"no content for {len(buffers)} buffers")
