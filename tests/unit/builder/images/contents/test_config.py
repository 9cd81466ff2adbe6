"""Configuration and manifests, and images as go-containerregistry's ``validate`` looks at them."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from app.builder.images.contents.base import base_entries
from app.builder.images.contents.config import (
    ImageConfig,
    ImageLayer,
    command,
    describe_paths,
    image_documents,
)
from app.builder.images.image import Layer
from app.builder.images.packing import codec
from app.builder.images.packing.packer import LayerPacker
from app.oci import Descriptor, Digest, MediaType
from app.storage import keys
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from tests.unit.builder.images.packing.test_codec import unpack
from tests.unit.builder.images.packing.trees import ODDITIES, local_store, plant_path, store_path

PATH = store_path(1, "package-1.0")


def layer_of(text: str, media_type: MediaType = MediaType.OCI_LAYER_GZIP) -> Layer:
    body = text.encode()
    return Layer(Descriptor(media_type, Digest.of(body), len(body)), Digest.of(body * 2))


def image_of(*layers: Layer, **changes: object) -> ImageConfig:
    values: dict[str, object] = {
        "architecture": "amd64",
        "created": datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC),
        "command": (),
        "nonroot": False,
        "labels": {},
        "layers": tuple(ImageLayer(layer, f"layer {n}") for n, layer in enumerate(layers)),
    }
    return ImageConfig(**(values | changes))  # type: ignore[arg-type]  # each field as the class has it


def config_of(image: ImageConfig) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(image_documents(image).config)
    return config


def test_history_has_a_described_entry_for_each_layer() -> None:
    config = json.loads(image_documents(image_of(layer_of("a"), layer_of("b"))).config)

    assert len(config["history"]) == len(config["rootfs"]["diff_ids"]) == 2
    assert config["history"][0] == {"created": "2026-05-04T03:02:01Z", "created_by": "layer 0"}
    assert not any("empty_layer" in entry for entry in config["history"])


def test_created_is_in_utc() -> None:
    east = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))

    assert config_of(image_of(created=east))["created"] == "2025-12-31T22:00:00Z"


@pytest.mark.parametrize(("architecture", "variant"), [("amd64", None), ("arm64", "v8")])
def test_arm64_names_its_variant(architecture: str, variant: str | None) -> None:
    config = config_of(image_of(architecture=architecture))

    assert (config["os"], config["architecture"]) == ("linux", architecture)
    assert config.get("variant") == variant


def test_programs_certificates_time_zones_and_locales_are_found() -> None:
    execution = config_of(image_of())["config"]

    assert execution == {
        "Env": [
            "LOCALE_ARCHIVE=/usr/lib/locale/locale-archive",
            "NIX_SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            "PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin",
            "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            "TZDIR=/usr/share/zoneinfo",
        ],
        "WorkingDir": "/",
    }


def test_nonroot_is_a_user_by_number_with_a_home() -> None:
    execution = config_of(image_of(nonroot=True))["config"]

    assert (execution["User"], execution["WorkingDir"]) == ("65532", "/home/nonroot")
    assert "HOME=/home/nonroot" in execution["Env"]


def test_command_and_labels_are_set_if_there_are_any() -> None:
    execution = config_of(image_of(command=("bash",), labels={"a": "b"}))["config"]

    assert (execution["Cmd"], execution["Labels"]) == (["bash"], {"a": "b"})


SERVE = [("serve", "-f")]


@pytest.mark.parametrize(
    ("shells", "interactive", "services", "main_programs", "expected"),
    [
        (["bash", "sh"], True, SERVE, ["git"], ("bash",)),
        (["sh"], True, [], ["busybox"], ("sh",)),
        (["bash"], False, SERVE, [None], ("serve", "-f")),
        (["bash"], False, [*SERVE, *SERVE], ["git"], ("bash",)),
        ([], False, [()], ["serve"], ("serve",)),
        (["bash"], False, [], ["git"], ("bash",)),
        (["sh"], False, [], ["git"], ("git",)),
        ([], True, [], [None], ()),
        ([], False, [], ["git", "htop"], ()),
        ([], False, [], [], ()),
    ],
)
def test_the_command_is_a_requested_shell_or_a_service_or_the_main_program(
    shells: list[str],
    interactive: bool,  # noqa: FBT001  # a parameter of the test
    services: list[tuple[str, ...]],
    main_programs: list[str | None],
    expected: tuple[str, ...],
) -> None:
    found = command(
        shells=shells, interactive=interactive, services=services, main_programs=main_programs
    )

    assert found == expected


def test_a_layer_of_many_paths_is_described_in_a_line() -> None:
    paths = [store_path(number, f"p{number}") for number in range(5)]

    assert describe_paths(paths[:2]) == "nix: p0, p1"
    assert describe_paths(paths) == "nix: p0, p1, p2 and 2 more"


def test_both_manifests_name_one_config_and_the_same_layers() -> None:
    documents = image_documents(image_of(layer_of("a"), layer_of("b")))
    assert documents.docker_manifest is not None
    oci, docker = json.loads(documents.manifest), json.loads(documents.docker_manifest)

    assert oci["config"]["digest"] == str(Digest.of(documents.config)) == docker["config"]["digest"]
    assert [layer["digest"] for layer in oci["layers"]] == [
        layer["digest"] for layer in docker["layers"]
    ]
    assert (oci["mediaType"], oci["config"]["mediaType"], oci["layers"][0]["mediaType"]) == (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.oci.image.layer.v1.tar+gzip",
    )
    assert (
        docker["mediaType"],
        docker["config"]["mediaType"],
        docker["layers"][0]["mediaType"],
    ) == (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    )


def test_zstd_has_no_schema_2() -> None:
    documents = image_documents(image_of(layer_of("a"), layer_of("b", MediaType.OCI_LAYER_ZSTD)))

    assert documents.docker_manifest is None


@pytest.mark.parametrize("name", ["gzip", "zlib", "zstd"])
async def test_an_image_is_valid_down_to_the_unpacked_layers(name: str, tmp_path: Path) -> None:
    storage = MemoryStorage()
    plant_path(tmp_path / "store", PATH, ODDITIES)
    packer = LayerPacker(
        storage=storage,
        existence=BlobExistenceCache(storage),
        workers=Workers(2),
        codecs=codec.find_all(name),
        store=local_store(tmp_path / "store"),
    )
    layers = [await packer.contents_layer(base_entries()), await packer.layer([PATH])]
    await packer.close()

    documents = image_documents(image_of(*layers))

    manifest, config = json.loads(documents.manifest), json.loads(documents.config)
    assert manifest["config"]["size"] == len(documents.config)
    assert len(manifest["layers"]) == len(config["rootfs"]["diff_ids"]) == len(config["history"])
    for descriptor, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        blob = await storage.read(keys.blob(Digest.parse(descriptor["digest"])))
        assert len(blob) == descriptor["size"]
        assert f"sha256:{hashlib.sha256(blob).hexdigest()}" == descriptor["digest"]
        tar = unpack(MediaType(descriptor["mediaType"]), blob)
        assert f"sha256:{hashlib.sha256(tar).hexdigest()}" == diff_id
