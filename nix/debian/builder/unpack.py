"""Unpacking packages into a prefix, with links pointed at where their targets went."""

import os
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from nix.debian.builder.archive import alternatives, post_install_script, tarball
from nix.debian.builder.prefix import Prefix

PLACEHOLDER = "link-to-be-made"


@dataclass(frozen=True, slots=True)
class Links:
    """Links met while unpacking; they are made once every file is in place.

    `symbolic` maps a place to (the link's Debian path, its target); `hard` holds (place,
    place of the target); `alternatives` holds pairs of Debian paths (link, target).
    """

    symbolic: dict[str, tuple[str, str]] = field(default_factory=dict)
    hard: list[tuple[str, str]] = field(default_factory=list)
    alternatives: list[tuple[str, str]] = field(default_factory=list)


def unpack(prefix: Prefix) -> None:
    """Unpacks the task's packages; where two hold one path, the first named wins."""
    links = Links()
    for deb in prefix.task.debs:
        if not prefix.task.recipe.only:
            with tarball(deb, "control", zstd=prefix.task.zstd) as control:
                links.alternatives.extend(alternatives(post_install_script(control)))
        with tarball(deb, "data", zstd=prefix.task.zstd) as data:
            for member in data:
                put_member(prefix, links, data, member)
    put_hard_links(prefix, links)
    choose_alternatives(prefix, links)
    put_symbolic_links(prefix, links)


def put_member(
    prefix: Prefix, links: Links, data: tarfile.TarFile, member: tarfile.TarInfo
) -> None:
    place = prefix.layout.place(member.name)
    only = prefix.task.recipe.only
    if place is None or (only and place not in only):
        return
    path = prefix.absolute(place)
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
    elif member.issym():
        links.symbolic.setdefault(place, ("/" + member.name.removeprefix("./"), member.linkname))
    elif member.islnk():
        target = prefix.layout.place(member.linkname)
        if target is not None:
            links.hard.append((place, target))
    elif member.isreg() and place not in prefix.files:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = cast("IO[bytes]", data.extractfile(member))
        with path.open("wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
        executable = bool(member.mode & 0o111)
        path.chmod(0o755 if executable else 0o644)
        prefix.files[place] = executable


def put_hard_links(prefix: Prefix, links: Links) -> None:
    for place, target in links.hard:
        if place not in prefix.files and target in prefix.files:
            path = prefix.absolute(place)
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(prefix.absolute(target), path)
            prefix.files[place] = prefix.files[target]


def choose_alternatives(prefix: Prefix, links: Links) -> None:
    """Takes those alternatives whose link is still free and whose target exists."""
    for link, target in links.alternatives:
        place, aim = prefix.layout.place(link), prefix.layout.place(target)
        if place is None or aim is None or place in prefix.files or place in links.symbolic:
            continue
        if aim in prefix.files or aim in links.symbolic or prefix.in_closure(aim):
            links.symbolic[place] = (link, target)


def put_symbolic_links(prefix: Prefix, links: Links) -> None:
    """Resolves every link in Debian's namespace and points it where the target is now."""
    waiting: list[tuple[str, Path, str, str | None]] = []
    for place, (name, target) in sorted(links.symbolic.items()):
        aim = target if target.startswith("/") else os.path.join(os.path.dirname(name), target)  # noqa: PTH118, PTH120  a Debian path, not one of ours
        path = prefix.absolute(place)
        aim_place = prefix.layout.place(aim)
        if aim_place == place or place in prefix.files or path.is_dir():
            continue  # merging directories made the link point at itself, or at what is here
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(PLACEHOLDER)  # so that links to links find each other
        waiting.append((place, path, aim, aim_place))
    for place, path, aim, aim_place in waiting:
        path.unlink()
        path.symlink_to(link_target(prefix, links, place, aim, aim_place))


def link_target(
    prefix: Prefix, links: Links, place: str, aim: str, aim_place: str | None
) -> Path | str:
    if aim_place is None:
        return aim
    own = prefix.absolute(aim_place)
    if aim_place in links.symbolic or os.path.lexists(own):
        source = prefix.absolute(place)
        same_output = (own == prefix.task.out / aim_place) == (source == prefix.task.out / place)
        return os.path.relpath(own, source.parent) if same_output else own
    return prefix.in_closure(aim_place) or aim
