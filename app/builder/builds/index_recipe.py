"""The values that decide an index of several architectures; pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.builder.builds.build import FORMAT, Recipe
from app.builder.builds.composer import Layering
from app.builder.builds.records import INDEXES
from app.builder.builds.supply import Supply
from app.builder.evaluation.evaluator import Pinned, subject
from app.builder.images.image import BuiltIndex
from app.builder.images.layering.grouping import GROUPING
from app.builder.images.packing.codec import identity_of
from app.errors import RegistryError
from app.oci import Digest
from app.request import ARCHITECTURES, ImageRequest


@dataclass(frozen=True, slots=True)
class Part:
    """The work for one architecture; ``recipe`` is an error if the revision lacks a package."""

    architecture: str
    recipe: Recipe | RegistryError

    @property
    def supply(self) -> Supply | None:
        return None if isinstance(self.recipe, RegistryError) else self.recipe.supply


@dataclass(frozen=True, slots=True)
class IndexRecipe:
    """The input of a build; ``parts`` are in the order of the work, ``key`` decides the index."""

    key: Digest
    pinned: Pinned
    parts: tuple[Part, ...]


def index_key(
    request: ImageRequest,
    pinned: Pinned,
    systems: Sequence[str],
    layering: Layering,
    base: Pinned | None,
) -> Digest:
    """Return the key of everything that decides an index.

    It cannot have what evaluations find out: servers that disagree on that agree on the key, so
    that the first one decides.
    """
    return INDEXES.key(
        image=FORMAT,
        systems=systems,
        source=pinned.source.name,
        subject=subject(replace(pinned, system="")),
        chosen_base=pinned.source.definition.base,
        base=base and {"source": base.source.name, "subject": subject(replace(base, system=""))},
        **request.key_parts,
        grouping=GROUPING,
        plans=layering.profiles.identities,
        budget=layering.layers(request),
        codec=identity_of(layering.codecs),
    )


def error_of(recipe: IndexRecipe) -> RegistryError:
    """Return the error of the request's own architecture, or the first."""
    own = ARCHITECTURES[recipe.pinned.system]
    errors = {one.architecture: one.recipe for one in recipe.parts}
    error = errors.get(own) or next(iter(errors.values()))
    assert isinstance(error, RegistryError)
    return error


def base_of(recipes: Iterable[Recipe | RegistryError]) -> Pinned | None:
    bases = (one.supply.base for one in recipes if isinstance(one, Recipe))
    return next((base for base in bases if base is not None), None)


def warnings_of(recipe: IndexRecipe, index: BuiltIndex) -> tuple[str, ...]:
    """Return all warnings, each once; one of a single image with its architecture."""
    children = Counter(text for child in index.children for text in child.image.warnings)
    of_all = len(index.children)
    texts = (
        *(f"no image for {one.architecture}: {one.reason}" for one in index.left_out),
        *recipe.pinned.revision.warnings,
        *(text for part in recipe.parts if part.supply for text in part.supply.warnings),
        *(
            text if children[text] == of_all else f"{child.architecture}: {text}"
            for child in index.children
            for text in child.image.warnings
        ),
    )
    return tuple(dict.fromkeys(texts))
