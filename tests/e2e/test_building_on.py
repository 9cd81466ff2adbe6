"""Images that are built on ours, by Docker's classic builder, BuildKit and buildah."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.builders import Buildah, Builder, DockerBuilder
from tests.e2e.clients import Docker, pull
from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e

# A tree as packages of other distributions bring it.
TREE = """
bin/of-bin etc/profile.d/of-tree.sh lib/of-lib opt/of-opt/x run/lock/of-lock sbin/of-sbin srv/of-srv
usr/bin/of-usr-bin usr/lib/of-usr-lib usr/local/bin/of-local usr/local/share/of-share/x
usr/share/nano/of-tree usr/share/of-share/x var/cache/of-cache/x
var/lib/of-lib/x var/log/of-log var/run/of-run var/spool/of-spool
"""
DOCKERFILE = """
FROM {minimal} AS minimal
FROM {image}
COPY --from=minimal /bin/sh /opt/static/sh
COPY --from=minimal /nix /opt/nix
COPY tree /
COPY tool /usr/local/bin
COPY tool /usr/local/bin/nano
COPY replaced /
COPY certificates.pem /root/certificates.pem
RUN set -eu; cp /usr/local/bin/tool /usr/local/bin/copied; \\
    cat /root/certificates.pem >/etc/ssl/certs/new.crt; \\
    mv /etc/ssl/certs/new.crt /etc/ssl/certs/ca-certificates.crt
COPY tool /bin/sort
"""
INSIDE = """
set -eu
export PATH
for file in $TREE; do test -e /$file || echo missing $file; done
echo tool $(tool) copied $(copied) of-local $(of-local) nano $(nano)
echo static $(/opt/static/sh -c "echo runs") $(/opt/nix/bin/sh -c 'echo too')
echo tac $(/bin/tac) $(/usr/bin/tac /etc/nsswitch.conf | tail -n 1)
bash -l -c 'echo login $OF_TREE'
(set -u; . /etc/os-release; echo release $VERSION_ID $VERSION $HOME_URL) | wc -w
for file in certs/ca-certificates.crt certs/ca-bundle.crt cert.pem; do cat /etc/ssl/$file; done
cat $SSL_CERT_FILE /usr/lib/ssl/cert.pem /etc/pki/tls/certs/ca-bundle.crt
/bin/sort </dev/null
"""


@pytest.fixture(scope="module")
def context(server: Server, docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = f"{server.address}/shell:latest"
    minimal = f"{server.address}/minimal:latest"
    pull(docker, image)
    pull(docker, minimal)
    context = tmp_path_factory.mktemp("context")
    tool = "#!/bin/sh\necho tool\n"
    for name in (*TREE.split(), *(f"../{name}" for name in ("tool", "replaced/bin/tac"))):
        path = Path(os.path.normpath(context / "tree" / name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("export OF_TREE=yes\n" if path.name.endswith(".sh") else tool)
        path.chmod(0o755)
    (context / "certificates.pem").write_text("mine\n")
    (context / "Dockerfile").write_text(DOCKERFILE.format(image=image, minimal=minimal))
    return context


@pytest.fixture(params=["docker", "buildkit", "buildah"])
def builder(request: pytest.FixtureRequest, docker: Docker, tmp_path: Path) -> Iterator[Builder]:
    if request.param == "buildah":
        buildah = Buildah(tmp_path)
        yield buildah
        buildah.close()
    else:
        yield DockerBuilder(docker, buildkit=request.param == "buildkit")


def test_files_are_added_and_replaced_and_trees_merge(context: Path, builder: Builder) -> None:
    builder.build(context, "built-on")

    tree = " ".join(TREE.split())
    output = builder.run("built-on", "sh", "-c", f"TREE='{tree}'\n{INSIDE}").splitlines()

    assert output == [
        "tool tool copied tool of-local tool nano tool",
        "static runs too",
        "tac tool passwd: files",  # a tree replaces a link; other names keep their program
        "login yes",
        "4",
        *["mine"] * 6,
        "tool",
    ]


def test_docker_copies_through_links(
    context: Path, server: Server, docker: Docker, tmp_path: Path
) -> None:
    """Into a container as COPY does, and out of it with -L."""
    container = docker.call("create", "--network=none", f"{server.address}/shell:latest", "sort")
    try:
        docker.call("cp", f"{context}/tool", f"{container.strip()}:/bin/sort")
        docker.call("cp", "-L", f"{container.strip()}:/usr/bin/sort", str(tmp_path / "file"))
        output = docker.call("start", "--attach", container.strip())
    finally:
        docker.call("rm", "--force", container.strip())

    assert output == "tool\n"
    assert (tmp_path / "file").read_text() == (context / "tool").read_text()


@pytest.mark.full
def test_an_image_of_the_most_layers_has_room_for_sixty_more(
    new_server: ServerFactory, docker: Docker, tmp_path: Path
) -> None:
    """Docker has a limit of 127 layers in all."""
    server = new_server(NIXERY_PLAN="none")
    image = f"{server.address}/shell/git/python3/curl/openssh/nix/perl/htop:latest"
    pull(docker, image)
    layers = int(docker.call("image", "inspect", "--format={{len .RootFS.Layers}}", image))
    more = 64 + 60 - layers  # the image may have 64: those of its packages and its own
    (tmp_path / "tool").write_text("last")
    copies = "".join(f"COPY tool /opt/{number}\n" for number in range(more))
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\n{copies}")
    builder = DockerBuilder(docker, buildkit=True)

    builder.build(tmp_path, "sixty-more")

    assert 48 < layers <= 64
    output = builder.run("sixty-more", "sh", "-c", f"cat /opt/{more - 1}; git --version")
    assert output.startswith("lastgit")
