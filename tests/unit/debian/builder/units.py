"""Units built in a temporary directory instead of a store."""

from collections.abc import Mapping
from pathlib import Path

from nix.debian.builder.build import build
from nix.debian.builder.task import Recipe, Task
from tests.unit.debian.builder.elves import Sample
from tests.unit.debian.debs import Package


class Store:
    """Builds units below a directory; those built before are there to depend on."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.built: dict[str, Path] = {}

    def unit(
        self,
        name: str,
        files: Mapping[str, bytes | str],
        *,
        needs: tuple[str, ...] = (),
        recipe: Recipe | None = None,
        man: Path | None = None,
        postinst: str = "",
        hard_links: Mapping[str, str] | None = None,
    ) -> Path:
        """A unit of one package."""
        package = Package(name=name, files=files, postinst=postinst, hard_links=hard_links or {})
        return self.merged(name, (package,), needs=needs, recipe=recipe, man=man)

    def merged(
        self,
        name: str,
        packages: tuple[Package, ...],
        *,
        needs: tuple[str, ...] = (),
        recipe: Recipe | None = None,
        man: Path | None = None,
    ) -> Path:
        out = self.directory / "store" / name
        self.directory.mkdir(exist_ok=True)
        debs = tuple(
            package.write(self.directory / f"{name}-{index}.deb")
            for index, package in enumerate(packages)
        )
        build(
            Task(
                unit=name,
                out=out,
                man=man,
                other_outputs=(),
                debs=debs,
                dependencies={need: str(self.built[need]) for need in needs},
                triplet="x86_64-linux-gnu",
                machine=62,
                loader="ld-linux-x86-64.so.2",
                redirect_library="/redirect",
                recipe=recipe or Recipe(),
                zstd=("false",),
            )
        )
        self.built[name] = out
        return out

    def shell(self) -> Path:
        return self.unit("bash", {"bin/bash": b"\x7fELF", "bin/sh": "bash"})

    def libc(self) -> Path:
        return self.unit(
            "libc",
            {
                "lib/x86_64-linux-gnu/libc.so.6": Sample(needed=(), interpreter=None).content(),
                "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": b"loader",
                "lib64/ld-linux-x86-64.so.2": "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
            },
        )
