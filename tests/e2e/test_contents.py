"""What docs/contents.md promises, read from images and seen from inside of containers."""

import io
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.clients import Containerd, Docker, pull
from tests.e2e.server import ROOT, Server, ServerFactory
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e

PACKAGES = ROOT / "tests" / "nix" / "small" / "image.nix"
INSIDE = """
id -u; id -un; id -gn; pwd; echo $HOME; touch $HOME/mine && echo written
touch /root/theirs 2>/dev/null || echo refused; touch /tmp/any && echo written
"""
FILES = """
grep -c ^root: /etc/passwd /etc/group; grep ^hosts: /etc/nsswitch.conf; . /etc/os-release; echo $ID
cat /etc/ssl/certs/ca-bundle.crt /etc/ssl/certs/ca-certificates.crt | grep -c BEGIN.CERTIFICATE
grep -c BEGIN.CERTIFICATE $SSL_CERT_FILE; stat -c '%a %u' /root /home; type -p bash
"""
PLACES = {
    "755": "/ /bin /boot /etc /etc/default /etc/opt /etc/profile.d /etc/skel /home /lib /media /mnt"
    " /opt /run /sbin /srv /usr /usr/bin /usr/include /usr/lib /usr/libexec /usr/local"
    " /usr/local/bin /usr/local/etc /usr/local/include /usr/local/lib /usr/local/libexec"
    " /usr/local/sbin /usr/local/share /usr/local/src /usr/sbin /usr/share /usr/src /var /var/cache"
    " /var/lib /var/local /var/log /var/mail /var/opt /var/run /var/spool",
    "1777": "/run/lock /tmp /var/lock /var/tmp",
    "700": "/root",
}
PROGRAMS = """
for directory in ${PATH//:/ }; do test -d $directory || echo missing $directory; done
names=$(ls -A /bin)
for directory in /usr/bin /sbin /usr/sbin /nix/bin; do
  test "$(ls -A $directory)" = "$names" || echo $directory differs
done
for file in /usr/bin/bash /usr/bin/mkfifo /sbin/ls /usr/sbin/sh /usr/bin/env /nix/bin/cat; do
  test -x $file || echo missing $file
done
set -u; . /etc/os-release
echo $NAME $VERSION_ID $VERSION $PRETTY_NAME $HOME_URL $ID | wc -w
readlink /share; test -s /usr/share/nano/c.nanorc && echo data
find / -xdev -perm /6000
for link in $(find -L / -xdev -maxdepth 1 -lname '/*') /bin/* /etc/*; do
  test -L $link || continue
  case $(readlink $link) in /proc/*) ;; /*) echo $link is absolute ;; esac
done
"""


def config(server: Server, answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    digest = answer.json()["config"]["digest"]
    document: dict[str, Any] = server.get(f"/v2/any/blobs/{digest}").json()
    return document


def layers(server: Server, name: str) -> list[str]:
    answer = server.get(f"/v2/{name}/manifests/latest")
    assert answer.status_code == 200, answer.text
    return [layer["digest"] for layer in answer.json()["layers"]]


def test_labels_have_the_origin_and_the_packages_of_an_image(
    new_server: ServerFactory, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "upstream")
    commit = repository.commit(PACKAGES.read_text().replace("VERSION", "1.2"))
    settings = tmp_path / "nixery.toml"
    settings.write_text(
        f'[[sources]]\nname = "team"\nkind = "git"\nlocation = "{repository.url}"\n'
    )
    server = new_server(PACKAGES, NIXERY_CONFIG=str(settings))

    from_git = config(server, server.get("/v2/team/tool/other/manifests/main"))
    alone = config(server, server.get("/v2/team/tool/manifests/main"))
    from_files = config(server, server.get("/v2/tool/manifests/latest"))

    assert from_git["created"] == "2024-05-01T01:00:00Z"
    assert from_git["config"]["Labels"] == {
        "nixery.packages": "cacert iana-etc other-1.2 tool-1.2",
        "nixery.source": "team",
        "org.opencontainers.image.created": "2024-05-01T01:00:00Z",
        "org.opencontainers.image.revision": commit,
        "org.opencontainers.image.title": "other, tool",
    }
    described = alone["config"]["Labels"].items() - from_git["config"]["Labels"].items()
    assert {name.removeprefix("org.opencontainers.image."): text for name, text in described} == {
        "nixery.packages": "cacert iana-etc tool-1.2",
        "title": "tool",
        "version": "1.2",
        "description": "A tool",
        "url": "https://example.org/tool",
        "documentation": "https://example.org/tool/manual",
        "licenses": "Apache-2.0 AND MIT",
    }
    assert from_files["created"] == "1970-01-01T00:00:01Z"
    assert from_files["config"]["Labels"]["nixery.source"] == "path"
    assert len(from_files["config"]["Labels"]["org.opencontainers.image.revision"]) == 40


def test_one_layer_has_everything_that_is_not_a_store_path(server: Server) -> None:
    jq, nonroot = layers(server, "jq"), layers(server, "nonroot/jq")
    assert jq[-1] == nonroot[-1]  # the same packages have the same links

    others: list[str] = []
    for digest in jq:
        with tarfile.open(fileobj=io.BytesIO(server.get(f"/v2/jq/blobs/{digest}").content)) as tar:
            names = tar.getnames()
        assert names[:2] == ["nix", "nix/store"]
        others = [name for name in names[2:] if not name.startswith("nix/store/")]
        assert bool(others) == (digest == jq[-1])
    assert {"etc/passwd", "bin/jq", "usr/lib/os-release"} < set(others)


@pytest.mark.parametrize("name", ["docker", "containerd"])
def test_nonroot_owns_its_home_and_little_else(
    server: Server, name: str, request: pytest.FixtureRequest
) -> None:
    client: Docker | Containerd = request.getfixturevalue(name)
    image = f"{server.address}/nonroot/shell:latest"
    pull(client, image)

    output = client.run(image, "bash", "-c", INSIDE).split()

    home = "/home/nonroot"
    assert output == ["65532", "nonroot", "nonroot", home, home, "written", "refused", "written"]


def test_every_image_has_the_documented_files(server: Server, docker: Docker) -> None:
    image = f"{server.address}/shell/gnugrep:latest"
    pull(docker, image)

    output = docker.run(image, "bash", "-c", FILES).splitlines()

    both, one = int(output[4]), int(output[5])
    assert output[:4] == ["/etc/passwd:1", "/etc/group:1", "hosts:     files dns", "nixery"]
    assert both == 2 * one > 0
    assert output[6:] == ["700 0", "755 0", "/usr/bin/bash"]


def test_a_file_of_two_packages_is_settled_the_same_way_and_reported(
    new_server: ServerFactory, salted_packages: Path
) -> None:
    server = new_server(salted_packages)

    one = server.get("/v2/conflict-one/conflict-two/manifests/latest")
    other = server.get("/v2/conflict-two/conflict-one/manifests/latest")

    (build, *_) = server.get("/builds", Accept="application/json").json()["finished"]
    log = server.get(build["page"], Accept="application/json").json()["log"]
    assert one.headers["Docker-Content-Digest"] == other.headers["Docker-Content-Digest"]
    assert "packages share 2 file names: /bin/conflict is" in one.headers["Warning"]
    assert "collision: /bin/conflict is conflict-one's, not conflict-two's" in log
    assert "collision: /usr/share/either is conflict-one's, not conflict-two's" in log


def test_the_usual_places_and_programs_are_there(server: Server, docker: Docker) -> None:
    image = f"{server.address}/shell/findutils:latest"
    pull(docker, image)
    places = " ".join(PLACES.values())

    modes = docker.run(image, "bash", "-c", f"stat -c '%a' {places}").split()
    output = docker.run(image, "bash", "-c", PROGRAMS).splitlines()

    assert dict(zip(places.split(), modes, strict=True)) == {
        place: mode for mode, listed in PLACES.items() for place in listed.split()
    }
    assert output == ["9", "usr/share", "data"]


def test_python_accepts_every_layer_as_data(server: Server, tmp_path: Path) -> None:
    for number, digest in enumerate(layers(server, "shell/git")):
        blob = server.get(f"/v2/any/blobs/{digest}").content
        with tarfile.open(fileobj=io.BytesIO(blob)) as layer:
            layer.extractall(tmp_path / str(number), filter="data")


def test_links_outside_of_the_store_are_relative_except_for_those_of_services(
    server: Server,
) -> None:
    def absolute(name: str) -> set[str]:
        blob = server.get(f"/v2/any/blobs/{layers(server, name)[-1]}").content
        with tarfile.open(fileobj=io.BytesIO(blob)) as layer:
            links = [member for member in layer if member.issym()]
        assert len(links) > 20
        return {link.name for link in links if link.linkname.startswith("/")}

    for name in ("nix/shell", "foreign/tzdata/perl/perlpackages.json/python3", "nonroot/redis"):
        assert absolute(name) == set()
    assert absolute("nginx") == {
        "etc/nginx/sites-enabled/default",
        "run/nginx.pid",
        "var/log/nginx/access.log",
        "var/log/nginx/error.log",
        "var/log/nginx/nginx.pid",
        "var/www/html",
    }


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("shell/redis", "bash"),
        ("redis/hello", "redis-server"),
        ("nginx/redis/bash", "bash"),
        ("bash/hello", "bash"),
        ("hello", "hello"),
        ("foreign/hello", "hello"),
        ("minimal/hello", "sh"),
        ("hello/tree", None),
        ("nginx/redis", None),
    ],
)
def test_the_first_rule_that_applies_gives_the_command(
    server: Server, name: str, program: str | None
) -> None:
    execution = config(server, server.get(f"/v2/{name}/manifests/latest"))["config"]

    assert execution.get("Cmd", [None])[0] == program
    assert "Entrypoint" not in execution


def test_arguments_are_a_command_in_place_of_the_images_own(server: Server, docker: Docker) -> None:
    image = f"{server.address}/hello:latest"
    pull(docker, image)

    assert docker.run(image) == "Hello, world!\n"
    assert docker.run(image, "hello", "--greeting=other") == "other\n"
