import sys
from pathlib import Path

import pytest

from nix.debian.builder.archive import NotAPackage, alternatives, post_install_script, tarball
from tests.unit.debian.debs import COMPRESS, Package, archive
from tests.unit.debian.debs import tarball as made_tarball

NO_ZSTD = ("false",)


def names(package: Path, zstd: tuple[str, ...] = NO_ZSTD) -> list[str]:
    with tarball(package, "data", zstd=zstd) as data:
        return [member.name for member in data]


@pytest.mark.parametrize("compression", sorted(COMPRESS))
def test_a_package_is_read_whatever_its_compression(tmp_path: Path, compression: str) -> None:
    package = Package(files={"usr/bin/a": b"1" * 100_000, "usr/bin/b": b"2"})
    assert names(package.write(tmp_path / "a.deb", compression)) == ["./usr/bin/a", "./usr/bin/b"]


def test_zstd_is_decompressed_by_the_command_given(tmp_path: Path) -> None:
    script = tmp_path / "mirror.py"
    script.write_text("import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])")
    path = tmp_path / "a.deb"
    path.write_bytes(archive({"data.tar.zst": made_tarball({"usr/bin/a": b""})[::-1]}))
    assert names(path, (sys.executable, str(script))) == ["./usr/bin/a"]


def test_members_of_odd_length_are_followed_by_a_byte_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.deb"
    path.write_bytes(archive({"debian-binary": b"odd", "data.tar": made_tarball({"a": b""})}))
    assert names(path) == ["./a"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not an ar archive"),
        (b"PK\x03\x04", "not an ar archive"),
        (archive({"debian-binary": b"2.0\n"}), "no data member"),
        (archive({"data.tar.br": b""}), "compression .br"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "a.deb").write_bytes(content)
    with pytest.raises(NotAPackage, match=complaint):
        names(tmp_path / "a.deb")


def test_links_a_maintainer_script_has_made_are_found(tmp_path: Path) -> None:
    script = (
        "update-alternatives --install /usr/bin/awk awk /usr/bin/gawk 10 \\\n"
        "  --slave /usr/share/man/man1/awk.1.gz awk.1.gz /usr/share/man/man1/gawk.1.gz\n"
        'update-alternatives --install "/usr/bin/$name" $name /usr/bin/other 5\n'
    )
    path = Package(files={}, postinst=script).write(tmp_path / "a.deb")
    with tarball(path, "control", zstd=NO_ZSTD) as control:
        assert list(alternatives(post_install_script(control))) == [
            ("/usr/bin/awk", "/usr/bin/gawk"),
            ("/usr/share/man/man1/awk.1.gz", "/usr/share/man/man1/gawk.1.gz"),
        ]


def test_a_package_without_a_script_makes_no_links(tmp_path: Path) -> None:
    path = Package(files={}).write(tmp_path / "a.deb")
    with tarball(path, "control", zstd=NO_ZSTD) as control:
        assert post_install_script(control) == ""
