"""Find valid paths of the store and make roots for them, without building or downloading."""

from collections.abc import Iterable, Sequence

from app.builder.nix.closure import StorePath
from app.builder.nix.programs.errors import evaluation_error, exit_reason
from app.builder.nix.programs.programs import Programs
from app.builder.nix.roots import TemporaryRoots
from app.errors import StoreUnavailable

_NOTHING = (
    *("--option", "substitute", "false"),
    *("--option", "max-jobs", "0"),
    *("--option", "builders", ""),
)


async def keep(
    programs: Programs, options: Sequence[str], paths: Sequence[StorePath], roots: TemporaryRoots
) -> frozenset[StorePath]:
    """Make roots for the paths that are valid, and return these.  Raises StoreUnavailable."""
    valid = await valid_paths(programs, options, paths)
    if not valid:
        return frozenset()
    root = ("--add-root", str(roots.next_root()))
    command = ["nix-store", "--realise", *map(str, sorted(valid)), *root, *options, *_NOTHING]
    finished = await programs.query("roots", command)
    if finished.code != 0:
        why = evaluation_error(finished.stderr) or exit_reason(finished)
        raise StoreUnavailable(f"Nix cannot keep paths of its store: {why}")
    return valid


async def valid_paths(
    programs: Programs, options: Sequence[str], paths: Iterable[StorePath]
) -> frozenset[StorePath]:
    """Return the paths that are valid now.  Raises StoreUnavailable."""
    wanted = sorted(paths)
    if not wanted:
        return frozenset()
    query = ["nix-store", "--check-validity", "--print-invalid", *map(str, wanted), *options]
    finished = await programs.query("validity", query)
    if finished.code != 0:
        why = evaluation_error(finished.stderr) or exit_reason(finished)
        raise StoreUnavailable(f"Nix cannot query its store: {why}")
    invalid = set(finished.stdout.decode(errors="replace").split())
    return frozenset(path for path in wanted if str(path) not in invalid)
