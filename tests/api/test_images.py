"""Built images: their page, their description, what two tags differ in."""

import httpx
import pytest

from app.builder.builds.contents_record import ImagePackages, PackageFacts
from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.oci import Digest
from app.reference import ImageReference
from app.storage import keys
from tests.api.registry import Registry
from tests.api.shape import assert_error

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EVIL = "<script>alert(1)</script>"


@pytest.fixture
async def versions(client: httpx.AsyncClient, registry: Registry) -> None:
    registry.images.versions.update({"latest": "2.0", "v1.0": "1.0"})
    for tag in ("latest", "v1.0"):
        await client.get(f"/v2/hello/manifests/{tag}")


@pytest.mark.usefixtures("versions")
async def test_a_built_image_is_described(client: httpx.AsyncClient) -> None:
    manifest = await client.get("/v2/hello/manifests/latest")

    image = (await client.get("/api/images/hello")).json()

    (one,) = image["architectures"]
    (layer,) = manifest.json()["layers"]
    assert (image["name"], image["tag"]) == ("hello", "latest")
    assert image["digest"] == one["digest"] == manifest.headers["docker-content-digest"]
    assert one["packages"] == [
        {"name": "hello", "version": "2.0", "licenses": [], "description": "", "homepage": ""}
    ]
    assert one["layers"] == [
        {"digest": layer["digest"], "size": layer["size"], "contents": "nix: hello", "images": 1}
    ]
    assert image["recent_images"] == 2
    assert one["size"] == layer["size"]
    assert one["config_digest"] == manifest.json()["config"]["digest"]


async def test_an_index_is_described_by_architecture(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.architectures = ("amd64", "arm64")
    index = {"accept": "application/vnd.oci.image.index.v1+json"}
    digest = (await client.get("/v2/git/manifests/latest", headers=index)).headers

    image = (await client.get("/api/images/git")).json()

    assert image["digest"] == digest["docker-content-digest"]
    assert [one["architecture"] for one in image["architectures"]] == ["amd64", "arm64"]
    page = await client.get("/images/git:latest", headers=BROWSER)
    assert "arm64" in page.text


@pytest.mark.parametrize("body", [None, b"", b"[]"])
async def test_an_image_whose_config_is_damaged_is_not_described(
    client: httpx.AsyncClient, registry: Registry, body: bytes | None
) -> None:
    manifest = (await client.get("/v2/hello/manifests/latest")).json()
    key = keys.blob(Digest.parse(manifest["config"]["digest"]))
    if body is None:
        await registry.storage.delete(key)
    else:
        await registry.storage.write(key, body)

    assert_error(await client.get("/api/images/hello"), 404, "BLOB_UNKNOWN")
    assert (await client.get("/images/hello", headers=BROWSER)).status_code == 404


@pytest.mark.usefixtures("versions")
async def test_pages_of_recent_images_survive_a_restart(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    before = (await client.get("/api/images/hello")).json()

    registry.images.forget()

    assert (await client.get("/api/images/hello")).json() == before
    assert (await client.get("/images/hello:v1.0", headers=BROWSER)).status_code == 200
    front = (await client.get("/", headers=BROWSER)).text
    assert front.index("/images/hello:v1.0") < front.index("/images/hello:latest")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/images/htop", 404, "UNSUPPORTED"),
        ("/api/images/hello?tag=v9", 404, "UNSUPPORTED"),
        ("/api/images/hello?tag=-", 404, "MANIFEST_UNKNOWN"),
        ("/api/images/UPPER", 400, "NAME_INVALID"),
        ("/api/diff/hello?before=v9", 404, "UNSUPPORTED"),
        ("/api/diff/hello", 400, "UNSUPPORTED"),
        ("/images/htop:latest", 404, "UNSUPPORTED"),
        ("/images/htop", 404, "UNSUPPORTED"),
        ("/images/:", 400, "NAME_INVALID"),
    ],
)
@pytest.mark.usefixtures("versions")
async def test_what_is_not_built_is_not_found_and_not_built(
    client: httpx.AsyncClient, registry: Registry, path: str, status: int, code: str
) -> None:
    before = registry.jobs.counts.started

    assert_error(await client.get(path), status, code)

    assert registry.jobs.counts.started == before


async def test_the_page_of_an_image_that_is_not_built_leads_to_its_plan(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get("/images/shell/git:v1", headers=BROWSER)

    assert page.status_code == 404
    assert 'href="/plan/shell/git:v1"' in page.text
    assert 'href="/plan' not in (await client.get("/images", headers=BROWSER)).text


@pytest.mark.usefixtures("versions")
async def test_the_page_has_packages_layers_digest_and_each_clients_command(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get("/images/hello:latest", headers=BROWSER)

    digest = (await client.get("/v2/hello/manifests/latest")).headers["docker-content-digest"]
    for text in (
        digest,
        "<td>hello</td><td>2.0</td><td>unknown</td>",
        '<svg class="layers"',
        '<g class="alone"><title>hello:',
        "nerdctl --insecure-registry pull registry/hello:latest",
        "buildah from --tls-verify=false registry/hello:latest",
        "docker pull registry/hello:latest",
        "podman pull --tls-verify=false registry/hello:latest",
        "ctr images pull --plain-http registry/hello:latest",
        "docker://registry/hello:latest oci-archive:hello-latest.tar",
        "crane pull --insecure --format=oci registry/hello:latest hello-latest",
    ):
        assert text in page.text
    assert (await client.get("/images/hello")).text == page.text
    assert "style=" not in page.text


@pytest.mark.usefixtures("versions")
async def test_two_tags_are_compared_by_package_and_by_bytes(client: httpx.AsyncClient) -> None:
    found = (await client.get("/api/diff/hello?before=v1.0")).json()
    same = (await client.get("/api/diff/hello?before=latest&after=latest")).json()

    assert found["packages"] == [{"name": "hello", "before": "1.0", "after": "2.0"}]
    assert (found["layers_shared"], found["layers_new"]) == (0, 1)
    assert found["download_size"] == found["size"] > 0
    assert (same["packages"], same["download_size"], same["layers_shared"]) == ([], 0, 1)
    page = (await client.get("/images/hello:latest?before=v1.0", headers=BROWSER)).text
    assert "<td>hello</td><td>1.0</td><td>2.0</td>" in page


@pytest.mark.usefixtures("versions")
async def test_the_page_has_licences_and_the_closure_as_a_graph(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    hello, lib, dev = (
        StorePath(f"{n:032d}-{name}") for n, name in enumerate(("hello", "lib", "x"))
    )
    digest = (await client.get("/v2/hello/manifests/latest")).headers["docker-content-digest"]
    closure = Closure(
        (
            StoreObject(hello, 2_000_000, (lib, dev)),
            StoreObject(lib, 30_000_000, (dev,)),
            StoreObject(dev, 5, ()),
        )
    )
    facts = PackageFacts(
        "hello", "2.0", hello, ("GPL-3.0-or-later", EVIL), EVIL, "https://example.org/?a=<b>"
    )
    registry.images.packages_of[digest] = ImagePackages((facts,), closure)

    page = (await client.get("/images/hello:latest", headers=BROWSER)).text
    described = (await client.get("/api/images/hello")).json()["architectures"][0]["packages"]

    assert described[0]["licenses"] == ["GPL-3.0-or-later", EVIL]
    assert "<td>GPL-3.0-or-later, &lt;script&gt;" in page
    assert "<script" not in page
    assert 'href="https://example.org/?a=&lt;b&gt;"' in page
    assert page.count('<g class="package">') == 1
    assert page.count('<g class="path">') == 2
    # hello refers to x through lib as well: one edge is left out.
    assert page.count('<path d="M') == 2


async def test_a_layer_counts_the_recent_images_that_have_it(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.versions["latest"] = "1"
    for name in ("hello", "git", "shell", "shell/git"):
        await client.get(f"/v2/{name}/manifests/latest")
    index = registry.images.recent
    first = await index.find(ImageReference.parse("hello", "latest"))
    assert first is not None
    built = await registry.images.built(ImageReference.parse("hello", "latest"))
    assert built is not None
    index.add(ImageReference.parse("other", "latest"), built, {})

    image = (await client.get("/api/images/hello")).json()

    assert image["recent_images"] == 5
    assert [layer["images"] for layer in image["architectures"][0]["layers"]] == [2]
    await registry.storage.delete(f"manifests/sha256/{first.digest.hex}")
    assert (await client.get("/api/images/git")).json()["recent_images"] == 5


async def test_hostile_texts_of_an_image_are_escaped(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.versions["latest"] = EVIL
    await client.get("/v2/hello/manifests/latest")

    page = await client.get("/images/hello:latest", headers=BROWSER)

    assert page.status_code == 200
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text
    for hostile in (f"/images/{EVIL}:latest", f"/images/hello:{EVIL}", "/images/a/../../b"):
        refused = await client.get(hostile, headers=BROWSER)
        assert refused.status_code in (400, 404)
        assert "<script" not in refused.text
