"""Every part of every key: records of values that differ in it are kept apart.

docs/records.md has the list, and the reason why other things are not in the keys.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.builder.builds.build import build_key
from app.builder.builds.catalogue import TAGS
from app.builder.builds.closures import CLOSURES
from app.builder.builds.composer import Layering
from app.builder.builds.index_recipe import index_key
from app.builder.builds.supply import Supply
from app.builder.evaluation.evaluator import Pinned, subject
from app.builder.evaluation.result_cache import attribute_key
from app.builder.images.contents.file_trees import FILE_TREES
from app.builder.images.layering.choice import NO_PROFILES, LayerProfiles
from app.builder.images.layering.profile import LayerProfile, ProfileEntry
from app.builder.images.packing import codec
from app.builder.images.packing.record import contents_key, layer_key, path_key
from app.builder.images.profile_loading import PLANS
from app.builder.names.attributes import names_key
from app.builder.sources.definition import (
    ChannelDefinition,
    Definition,
    FlakeDefinition,
    GitDefinition,
    PathDefinition,
    Policy,
)
from app.builder.sources.revision import Revision
from app.builder.sources.search_path import SearchPath
from app.builder.sources.source import Source, revision_key
from app.commands.record_kinds import RECORD_KINDS
from app.oci import Digest
from app.reference import RepositoryName, Tag
from app.request import ImageRequest
from app.storage.memory import MemoryStorage
from tests.unit.builder.images.packing.trees import store_path

REVISION = Revision("nixpkgs", "commit:" + "1" * 40, datetime(2026, 1, 1, tzinfo=UTC), moves=True)
GIT = GitDefinition(name="nixpkgs", location="https://example.org/a")
PATH = PathDefinition(name="nixpkgs", location="/a")
CHANNEL = ChannelDefinition(name="nixpkgs")
# Two of each pair publish the same commit id, or have the same files.
PLACES: dict[str, tuple[Definition, Definition]] = {
    "channel host": (CHANNEL, CHANNEL.model_copy(update={"location": "https://example.org"})),
    "channel archive": (
        CHANNEL,
        CHANNEL.model_copy(update={"archive": "https://example.org/{commit}.tar.gz"}),
    ),
    "repository": (GIT, GIT.model_copy(update={"location": "https://example.org/b"})),
    "directory of the repository": (GIT, GIT.model_copy(update={"directory": "nix"})),
    "user of the repository": (GIT, GIT.model_copy(update={"username": "another"})),
    "kind": (GIT, FlakeDefinition(name="nixpkgs", location=GIT.location)),
    "directory": (PATH, PATH.model_copy(update={"location": "/b"})),
    "further files": (PATH, PATH.model_copy(update={"reads": ("/c",)})),
}
PIN: dict[str, Callable[[Pinned], Pinned]] = {
    "revision": lambda pin: replace(pin, revision=replace(REVISION, identity="commit:2")),
    "system": lambda pin: replace(pin, system="aarch64-linux"),
    "unfree": lambda pin: changed(pin, policy=Policy(allow_unfree=True)),
    "insecure": lambda pin: changed(pin, policy=Policy(allow_insecure=("openssl",))),
    "broken": lambda pin: changed(pin, policy=Policy(allow_broken=True)),
    "trusted": lambda pin: changed(pin, trusted=False),
}


def pinned(definition: Definition = CHANNEL) -> Pinned:
    source = Source(definition=definition, upstream=None, storage=MemoryStorage())  # type: ignore[arg-type]  # nothing is asked
    return Pinned(source, REVISION, "x86_64-linux")


def changed(pin: Pinned, **fields: object) -> Pinned:
    definition = pin.source.definition.model_copy(update=fields)
    return replace(pinned(definition), revision=pin.revision, system=pin.system)


REQUEST = ImageRequest(
    None, "x86_64-linux", ("git", "jq"), nonroot=False, named=frozenset({"git", "jq"})
)
LAYERING = Layering(profiles=NO_PROFILES, budget=100, codecs=codec.find_all("gzip"))


def build(pin: Pinned, request: ImageRequest = REQUEST, **layering: object) -> Digest:
    return build_key(request, pin, replace(LAYERING, **layering))  # type: ignore[arg-type]  # its fields


def attribute(pin: Pinned) -> Digest:
    return attribute_key(subject(pin), "git")


EVALUATED: dict[str, Callable[[Pinned], Digest]] = {
    "attributes": attribute,
    "builds": build,
    "attribute-names": names_key,
}


@pytest.mark.parametrize("kind", EVALUATED)
@pytest.mark.parametrize("place", PLACES)
def test_results_of_evaluation_depend_on_the_place_of_the_files(kind: str, place: str) -> None:
    key = EVALUATED[kind]
    one, other = PLACES[place]

    assert key(pinned(one)) == key(pinned(one))
    assert key(pinned(one)) != key(pinned(other))


@pytest.mark.parametrize("kind", EVALUATED)
def test_results_of_evaluation_depend_on_the_search_path(kind: str) -> None:
    key = EVALUATED[kind]
    keys = {key(pinned())}
    for name in ("nixpkgs", "other"):
        for definition in (CHANNEL, GIT):
            for identity in ("commit:1", "commit:2"):
                pin = pinned()
                entry = pinned(definition).source
                path = SearchPath("nixpkgs", {name: (entry, Tag("latest"))})
                pin.source.search_path = path
                found = ((name, replace(REVISION, identity=identity)),)
                keys.add(key(replace(pin, revision=replace(REVISION, search_path=found))))

    assert len(keys) == 1 + 2 * 2 * 2


def test_a_build_depends_on_the_packages_and_the_revision_of_its_base() -> None:
    base = pinned(GIT)
    moved = replace(base, revision=replace(REVISION, identity="commit:2"))
    supplies = [
        Supply((), None, None),
        Supply(("cacert",), None, None),
        Supply(("cacert",), base, None),
        Supply(("cacert",), moved, None),
        Supply(("cacert", "iana-etc"), base, None),
    ]

    assert len({build_key(REQUEST, pinned(), LAYERING, supply) for supply in supplies}) == 5


@pytest.mark.parametrize("kind", EVALUATED)
@pytest.mark.parametrize("part", PIN)
def test_results_of_evaluation_depend_on_revision_system_and_policy(kind: str, part: str) -> None:
    key = EVALUATED[kind]

    assert key(PIN[part](pinned())) != key(pinned())


def test_a_result_belongs_to_a_name() -> None:
    assert attribute_key(subject(pinned()), "jq") != attribute(pinned())


@pytest.mark.parametrize("limit", ["evaluation_seconds", "evaluation_memory"])
def test_names_belong_to_the_limits_that_may_have_cut_their_list(limit: str) -> None:
    assert names_key(changed(pinned(), **{limit: 999})) != names_key(pinned())


@pytest.mark.parametrize(
    "key",
    [
        build(changed(pinned(), name="another")),
        build(pinned(), replace(REQUEST, packages=("git",))),
        build(pinned(), replace(REQUEST, nonroot=True)),
        build(pinned(), replace(REQUEST, few_layers=True)),
        build(pinned(), profiles=LayerProfiles.only(LayerProfile(1, {}))),
        build(pinned(), budget=61),
        build(pinned(), codecs=codec.find_all("zstd")),
        build(pinned(), codecs=codec.find_all("both")),
    ],
    ids=["source", "packages", "nonroot", "few layers", "profile", "budget", "codec", "codecs"],
)
def test_an_image_belongs_to_its_request_and_to_how_layers_are_made(key: Digest) -> None:
    assert key != build(pinned())


BOTH = ("x86_64-linux", "aarch64-linux")


def index(
    pin: Pinned, request: ImageRequest = REQUEST, base: Pinned | None = None, **layering: object
) -> Digest:
    return index_key(request, pin, BOTH, replace(LAYERING, **layering), base)  # type: ignore[arg-type]  # its fields


@pytest.mark.parametrize(
    "key",
    [
        *(index(PIN[part](pinned())) for part in PIN if part != "system"),
        *(index(pinned(other)) for _, other in PLACES.values()),
        index(changed(pinned(), name="another")),
        index(changed(pinned(), base="another")),
        index(pinned(), base=pinned(GIT)),
        index(pinned(), base=replace(pinned(GIT), revision=replace(REVISION, identity="2"))),
        index(pinned(), replace(REQUEST, packages=("git",))),
        index(pinned(), replace(REQUEST, nonroot=True)),
        index(pinned(), profiles=LayerProfiles.only(LayerProfile(1, {}))),
        index(pinned(), budget=61),
        index(pinned(), codecs=codec.find_all("zstd")),
        index(pinned(), codecs=codec.find_all("both")),
        index_key(REQUEST, pinned(), BOTH[:1], LAYERING, None),
    ],
)
def test_an_index_belongs_to_what_its_images_do_and_to_its_architectures(key: Digest) -> None:
    assert key != index(pinned())


# Names of the same packages, in the image or beside it, whose labels or commands differ.
ALIKE = (
    ("jq", "jq/cacert", "jq/iana-etc", "cacert/iana-etc/jq"),
    ("nonroot/cacert", "nonroot/iana-etc", "nonroot"),
    ("minimal", "busybox-sandbox-shell"),
    ("foreign/jq", "jq/glibc/stdenv.cc.cc.lib/zlib"),
    ("shell/ci", "ci/moreutils/nano", "ci/moreutils/nano/cacert"),
)


@pytest.mark.parametrize("names", ALIKE)
@pytest.mark.parametrize("key", [build, index])
def test_names_of_the_same_packages_have_records_of_their_own(
    key: Callable[..., Digest], names: tuple[str, ...]
) -> None:
    requests = [
        ImageRequest.parse(RepositoryName.parse(name), sources=(), system="x86_64-linux")
        for name in names
    ]

    assert len({request.packages for request in requests}) == 1
    assert len({key(pinned(), request) for request in requests}) == len(names)


def test_an_index_is_the_same_on_servers_of_all_architectures() -> None:
    other = replace(pinned(), system="aarch64-linux")

    assert index(other, replace(REQUEST, system="aarch64-linux")) == index(pinned())


def test_other_profiles_give_other_keys() -> None:
    profiles = [
        LayerProfile(1, {}),
        LayerProfile(2, {}),
        LayerProfile(1, {"a": ProfileEntry(1, 1)}),
        LayerProfile(1, {"a": ProfileEntry(None, 1)}),
    ]

    assert len(
        {build(pinned(), profiles=LayerProfiles.only(profile)) for profile in profiles}
    ) == len(profiles)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(
            (revision_key(one, "latest"), revision_key(other, "latest"))
            for one, other in PLACES.values()
        ),
        (revision_key(CHANNEL, "latest"), revision_key(CHANNEL, "nixos-unstable")),
        (revision_key(CHANNEL, "latest"), revision_key(changed(pinned(), name="a").source.definition, "latest")),
        (revision_key(CHANNEL, "latest"), revision_key(changed(pinned(), channel="a").source.definition, "latest")),
        (revision_key(GIT, "latest"), revision_key(GIT.model_copy(update={"default_ref": "a"}), "latest")),
    ],
)  # fmt: skip
def test_a_revision_belongs_to_a_source_its_place_and_a_tag(one: Digest, other: Digest) -> None:
    assert one != other


A, B = store_path(1, "a"), store_path(2, "a")
GZIP, ZSTD = codec.find("gzip"), codec.find("zstd")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (path_key(GZIP, A), path_key(GZIP, B)),
        (path_key(GZIP, A), path_key(ZSTD, A)),
        (layer_key(GZIP, (A, B)), layer_key(GZIP, (A,))),
        (layer_key(GZIP, (A, B)), layer_key(GZIP, (B, A))),
        (layer_key(GZIP, (A, B)), layer_key(ZSTD, (A, B))),
        (contents_key(GZIP, Digest.of(b"1")), contents_key(GZIP, Digest.of(b"2"))),
        (contents_key(GZIP, Digest.of(b"1")), contents_key(ZSTD, Digest.of(b"1"))),
        (CLOSURES.key(path=A.base), CLOSURES.key(path=B.base)),
        (FILE_TREES.key(path=A.base), FILE_TREES.key(path=B.base)),
        (TAGS.key(name="a", tag="b"), TAGS.key(name="a", tag="c")),
        (TAGS.key(name="a", tag="b"), TAGS.key(name="c", tag="b")),
        (PLANS.key(url="a"), PLANS.key(url="b")),
    ],
)
def test_keys_of_layers_depend_on_path_and_codec(one: Digest, other: Digest) -> None:
    assert one != other


@pytest.mark.parametrize("name", RECORD_KINDS)
def test_every_key_has_its_kind_and_format(name: str) -> None:
    kind = RECORD_KINDS[name]
    other = next(one for one in RECORD_KINDS.values() if one is not kind)

    assert kind.key(x=1) != replace(kind, format=kind.format + 1).key(x=1)
    assert kind.key(x=1) != other.key(x=1)
