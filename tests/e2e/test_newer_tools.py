"""crane, oras and containerd of the newest Debian pull, wait for builds and print errors."""

import json
import re
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

import httpx
import pytest

from tests.e2e.clients import Containerd, pull
from tests.e2e.heldbuilds import HeldBuild
from tests.e2e.process import run, succeed
from tests.e2e.releases import unpack
from tests.e2e.server import Server, ServerFactory
from tests.waiting import wait_until

# The newest Debian changes daily.
pytestmark = [pytest.mark.e2e, pytest.mark.full]

PAGE_COMMAND = re.compile(r'<pre class="command">(crane .*?)</pre>')


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("tools") / "tree"
    return unpack("sid", lambda _: ["crane", "oras", "containerd"], tree) / "usr/bin"


@pytest.fixture(scope="module")
def registry(salted_packages: Path, module_server: ServerFactory) -> Server:
    return module_server(salted_packages, NIXERY_REDIRECT_SECONDS="1")


@pytest.fixture(scope="module")
def newest_containerd(
    programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Containerd]:
    client = Containerd(tmp_path_factory.mktemp("containerd-2"), programs)
    yield client
    client.close()


def test_crane_reads_and_pulls_what_the_registry_serves(
    programs: Path, registry: Server, tmp_path: Path
) -> None:
    crane, image = str(programs / "crane"), f"{registry.address}/jq:latest"
    digest = registry.digest("jq")

    assert succeed(crane, "digest", image).strip() == digest
    manifest = succeed(crane, "manifest", image)
    assert manifest == registry.get(f"/v2/jq/manifests/{digest}").text
    assert json.loads(succeed(crane, "config", image))["config"]["Cmd"] == ["jq"]
    assert succeed(crane, "ls", f"{registry.address}/jq").split() == ["latest"]
    assert "PASS" in succeed("sh", "-c", '"$0" validate --remote "$1" 2>&1', crane, image)

    page = httpx.get(
        f"{registry.url}/images/jq:latest", headers={"accept": "text/html"}, timeout=300
    ).text
    (command,) = PAGE_COMMAND.findall(page)
    _, *arguments = unescape(command).split()
    succeed("env", f"--chdir={tmp_path}", crane, *arguments)
    (layout,) = (path.parent for path in tmp_path.glob("*/oci-layout"))
    assert digest in (layout / "index.json").read_text()

    exported = tmp_path / "files.tar"
    succeed(crane, "export", image, str(exported))
    with tarfile.open(exported) as files:
        assert "usr/bin/jq" in {name.removeprefix("./") for name in files.getnames()}


def test_oras_copies_with_the_digest_of_the_registry(
    programs: Path, registry: Server, tmp_path: Path
) -> None:
    image, layout = f"{registry.address}/jq:latest", tmp_path / "layout"

    succeed(
        str(programs / "oras"), "copy", "--from-plain-http", image,
        "--to-oci-layout", f"{layout}:jq",
    )  # fmt: skip

    assert registry.digest("jq") in (layout / "index.json").read_text()


def test_the_newest_containerd_pulls_and_runs(
    newest_containerd: Containerd, registry: Server
) -> None:
    assert re.search(r"Server:\s+Version:\s+2\.", newest_containerd.call("version"))
    for name, options in (("jq", ()), ("coreutils/jq", ("--local", "--plain-http"))):
        image = f"{registry.address}/{name}:latest"
        pull(newest_containerd, image, *options)
        assert newest_containerd.run(image, "jq", "-n", "40 + 2") == "42\n"


@pytest.mark.parametrize(
    "tool", [("crane", "manifest"), ("oras", "manifest", "fetch", "--plain-http")]
)
def test_tools_wait_for_a_build_and_print_the_reason_of_a_failure(
    programs: Path, registry: Server, held_build: HeldBuild, tool: tuple[str, ...]
) -> None:
    command = (str(programs / tool[0]), *tool[1:])
    name, before = held_build.package, registry.redirects()

    with ThreadPoolExecutor(1) as pool, held_build:
        pulled = pool.submit(succeed, *command, f"{registry.address}/{name}:latest")
        wait_until(lambda: registry.redirects() > before or pulled.done())
        held_build.release()
        manifest = pulled.result()
    unknown = run(*command, f"{registry.address}/jqq:latest")
    failed = run(*command, f"{registry.address}/broken-build:latest")

    assert manifest.strip() == registry.get(f"/v2/{name}/manifests/latest").text
    assert unknown.returncode != 0
    assert "did you mean jq?" in unknown.stderr
    assert failed.returncode != 0
    assert "frobnicator 4711 not found" in failed.stderr
