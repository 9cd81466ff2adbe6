"""The attribute names of a revision: listed once, cached and searched."""

import asyncio
import time
from collections.abc import Iterable, Sequence

from loguru import logger
from pydantic import TypeAdapter

from app.builder.evaluation.evaluator import Pinned, opened, subject
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.progress import Progress
from app.builder.jobs.queues import WorkQueue
from app.builder.names.attribute_names import AttributeNames, list_names
from app.builder.names.attribute_reader import AttributeReader, lasting_jobs
from app.builder.names.lookups import Lookups
from app.builder.names.name_index import best_of
from app.builder.names.suggestions import SUGGESTIONS, ListedNames, Suggestions
from app.builder.nix.door import NixEvaluator
from app.errors import (
    EvaluationFailed,
    NamesPending,
    PackagesUnknown,
    RegistryError,
    StorageUnavailable,
    TooManyRequests,
    Unavailable,
)
from app.oci import Digest
from app.storage.base import Storage
from app.storage.records.kind import Kind
from app.storage.records.records import Records
from app.system.concurrency import gather
from app.system.workers import Workers

# Raise the format when the same revision gives other names.
ATTRIBUTE_NAMES = Kind(name="attribute-names", format=2, adapter=TypeAdapter(AttributeNames))
_REVISIONS = 4  # kept in memory; a large set takes some 50 MB
_QUEUE = 8
_EXPECTED_SECONDS = 10
_SUGGEST_SECONDS = 2
_SEARCH_SECONDS = 25  # some clients leave after 30


class AttributeIndex:
    """The names of all revisions, each listed when it is first needed.

    One listing runs at a time, so that requests for many revisions do not take all processors.  It
    continues when its callers leave, until ``close``, for later requests.
    """

    def __init__(
        self, *, nix: NixEvaluator, storage: Storage, workers: Workers, lookups: Lookups
    ) -> None:
        self._nix = nix
        self._lookups = lookups
        self._records = Records(storage=storage, kind=ATTRIBUTE_NAMES)
        self._workers = workers
        self._queue = WorkQueue(
            "listing", at_once=1, waiting=_QUEUE, expected_seconds=_EXPECTED_SECONDS
        )
        self._reader = AttributeReader(nix=nix, workers=workers)
        self._listings: Jobs[ListedNames] = lasting_jobs(_REVISIONS)

    async def names(self, pinned: Pinned) -> tuple[str, ...]:
        """Return sorted names as in image names; wait for the list without a limit.

        Raises EvaluationFailed, SourceUnavailable, TooManyRequests, Draining.
        """
        listed = await self._listed(pinned, None)
        return listed.index.names if listed else ()

    async def search(
        self, places: Sequence[Pinned], text: str, limit: int, clients: Iterable[str] = ()
    ) -> tuple[str, ...]:
        """Search one revision on several systems, the server's own first; best first.

        A system whose names cannot be listed is left out, unless it is the only one or the first.
        Raises the errors of ``names``, and Unavailable if a listing takes too long.
        """
        clients = tuple(clients)

        async def search(pinned: Pinned) -> tuple[str, ...]:
            listed = await self._searched(pinned, places[0])
            if listed is None:
                return ()
            return await self._lookups.run(clients, listed.index.search, text, limit)

        return best_of(await gather(map(search, places)), limit)

    async def _searched(self, pinned: Pinned, own: Pinned) -> ListedNames | None:
        """Return None for a system that is left out."""
        try:
            listed = await self._listed(pinned, _SEARCH_SECONDS)
        except EvaluationFailed as error:
            if pinned is own:
                raise
            logger.bind(system=pinned.system).warning("names are left out of a search: {}", error)
            return None
        if listed is None:
            raise Unavailable(f"the names of {pinned.source.name} are being listed; try again")
        return listed

    async def explained(
        self, places: Sequence[Pinned], error: PackagesUnknown, clients: Iterable[str] = ()
    ) -> PackagesUnknown:
        """Return the error with packages that the revision has on any of the systems.

        ``places`` are the revision on each system, the server's own first.  Never raises another
        error.
        """
        clients = tuple(clients)
        found = await gather(self._suggested(pinned, error, clients) for pinned in places)
        names = best_of([names for names in found if names is not None], SUGGESTIONS)
        if not names and None in found:
            return NamesPending(error.packages)
        return PackagesUnknown(error.packages, names) if names else error

    async def _suggested(
        self, pinned: Pinned, error: PackagesUnknown, clients: tuple[str, ...]
    ) -> tuple[str, ...] | None:
        """Return suggested packages; None if there may be some later."""

        async def listed() -> ListedNames:
            names = await self._listed(pinned, None)
            assert names is not None
            return names

        suggestions = Suggestions(
            key=names_key(pinned),
            pinned=pinned,
            reader=self._reader,
            lookups=self._lookups,
            clients=clients,
            listed=listed,
            known=self._known(pinned),
        )
        try:
            async with asyncio.timeout(_SUGGEST_SECONDS):
                return await suggestions.find(error.packages)
        except TimeoutError:
            return None
        except RegistryError as failure:
            logger.bind(source=pinned.source.name).warning("no suggestions: {}", failure)
            return None if isinstance(failure, TooManyRequests | Unavailable) else ()

    def lacking(self, pinned: Pinned, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names that are not packages by a listing in memory; () without one."""
        listed = self._known(pinned)
        return tuple(name for name in names if listed.index.lacks(name)) if listed else ()

    def rules_out(self, pinned: Pinned, name: str) -> bool:
        """Return whether nothing has this name, by a listing in memory; False without one."""
        listed = self._known(pinned)
        return listed is not None and listed.rules_out(name)

    def _known(self, pinned: Pinned) -> ListedNames | None:
        return self._listings.remembered_result(str(names_key(pinned)))

    def lists(self, pinned: Pinned, name: str) -> bool:
        """Return whether the name is listed; False if the list is not in memory."""
        listed = self._known(pinned)
        return listed is not None and listed.index.has(name)

    async def close(self) -> None:
        await self._reader.close()
        await self._listings.drain(0)

    async def _listed(self, pinned: Pinned, seconds: float | None) -> ListedNames | None:
        key = names_key(pinned)

        async def start(progress: Progress) -> ListedNames:
            names = await self._read(key)
            if names is None:
                async with self._queue.slot(progress):
                    names = await self._list(pinned)
                await self._write(key, names)
            return await self._workers.run(ListedNames.of, names)

        title = f"names of {pinned.source.name} {pinned.revision.label[:12]}"
        return await self._listings.join(str(key), start, title=title).wait(seconds)

    async def _list(self, pinned: Pinned) -> AttributeNames:
        begun = time.monotonic()
        async with opened(pinned) as evaluation:
            names = await list_names(self._nix, evaluation)
        logger.bind(
            source=pinned.source.name,
            revision=pinned.revision.identity,
            names=len(names.candidates),
            seconds=round(time.monotonic() - begun, 3),
        ).info("listed the names of a package set")
        return names

    async def _read(self, key: Digest) -> AttributeNames | None:
        try:
            bodies = await self._records.bodies((key,))
        except StorageUnavailable:
            return None
        (names,) = await self._workers.run(self._records.decode_each, (key,), bodies)
        return names

    async def _write(self, key: Digest, names: AttributeNames) -> None:
        body = await self._workers.run(self._records.encode, key, names)
        try:
            await self._records.write_body(key, body)
        except StorageUnavailable as error:
            logger.warning("the names of a package set cannot be stored: {}", error)


def names_key(pinned: Pinned) -> Digest:
    """Return the key of a revision's names; a list that reaches a limit has fewer of them."""
    definition = pinned.source.definition
    limits = [definition.evaluation_seconds, definition.evaluation_bytes]
    return ATTRIBUTE_NAMES.key(subject=subject(pinned), limits=limits)
