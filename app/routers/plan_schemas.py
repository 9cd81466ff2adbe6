"""JSON documents about pulls that have not happened yet, with examples, for /docs."""

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.builder.builds.preview import Place

_PATH = "/nix/store/0c0qcrlk8ydxqs1bmh3mqmmz7b8vq3jx-git-2.47.1"
_PLACES = (
    "`packed` in the storage, `store`: in this machine's Nix store, `cache`: a binary cache has it,"
    " `build`: it has to be built, `nowhere`: it may not be built, and no binary cache has it"
)
_PLANNED_PACKAGE: JsonDict = {"name": "git", "version": "2.47.1", "path": _PATH, "place": "cache"}
_PLANNED_PATH: JsonDict = {
    "path": _PATH,
    "place": "cache",
    "nar_size": 48234496,
    "size": None,
    "cache": "https://cache.nixos.org",
    "download_size": 11534336,
}
_TOTALS: JsonDict = {
    "paths": {"packed": 0, "store": 0, "cache": 1, "build": 0, "nowhere": 0},
    "nar_size": 48234496,
    "size": 0,
    "download_size": 11534336,
    "builds": 0,
    "layers": 3,
}


class PlannedPackage(BaseModel):
    name: str
    version: str = Field(description="Empty if it is not known")
    path: str
    place: Place = Field(description=_PLACES)


class PlannedPath(BaseModel):
    path: str
    place: Place = Field(description=_PLACES)
    nar_size: int | None = Field(description="Unpacked bytes; null before it is built")
    size: int | None = Field(description="Compressed bytes; null if it is not packed")
    cache: str = Field(description="The binary cache that has it; else empty")
    download_size: int | None = Field(
        description="Bytes that the server would download; null if none, or not known"
    )


class PlannedLayer(BaseModel):
    paths: int = Field(description="How many store paths it has")
    first: str = Field(description="The name of its first path")
    nar_size: int
    size: int | None = Field(description="Compressed bytes; null if a path is not packed")
    stored: bool


class Totals(BaseModel):
    """Of all paths, also of those that are not listed."""

    paths: dict[Place, int] = Field(description="Store paths, by where they are")
    nar_size: int = Field(description="Unpacked bytes, as far as they are known")
    size: int = Field(description="Compressed bytes of the paths that are packed")
    download_size: int = Field(description="Bytes that the server would download, if known")
    builds: int = Field(description="Derivations that would be built")
    layers: int | None = Field(description="Layers of the image; null before it is complete")


class PlannedImage(BaseModel):
    architecture: str
    digest: str = Field(description="Of the manifest if it is stored; else empty")
    complete: bool = Field(
        description="The whole closure is known; else some of it has to be built first"
    )
    packages: list[PlannedPackage]
    totals: Totals
    layers: list[PlannedLayer] = Field(
        description="Those of store paths, the lowest first; one more has the image's own files"
    )
    paths: list[PlannedPath] = Field(max_length=1000, description="The first 1000, by path")
    builds: list[str] = Field(max_length=1000, description="The first 1000 derivations to build")


class ArchitectureLacking(BaseModel):
    architecture: str
    reason: str


class ImagePlan(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "git",
                    "tag": "latest",
                    "source": "nixpkgs",
                    "revision": "0d534853a55b5d02a4ababa1d71921ce8f0aee4c",
                    "digest": "",
                    "architectures": [
                        {
                            "architecture": "amd64",
                            "digest": "",
                            "complete": True,
                            "packages": [_PLANNED_PACKAGE],
                            "totals": _TOTALS,
                            "layers": [
                                {
                                    "paths": 1,
                                    "first": "git-2.47.1",
                                    "nar_size": 48234496,
                                    "size": None,
                                    "stored": False,
                                }
                            ],
                            "paths": [_PLANNED_PATH],
                            "builds": [],
                        }
                    ],
                    "left_out": [],
                }
            ]
        }
    )

    name: str
    tag: str
    source: str
    revision: str
    digest: str = Field(description="Of the index or manifest if a pull would find it; else empty")
    architectures: list[PlannedImage]
    left_out: list[ArchitectureLacking] = Field(description="Without an image, and why")
