"""What end-to-end tests share: the clients, started once, below one directory per session."""

from collections.abc import Iterator

import pytest

from tests.e2e.clients import Client, Containerd, Docker, Podman, Skopeo


@pytest.fixture(scope="session")
def skopeo(tmp_path_factory: pytest.TempPathFactory) -> Skopeo:
    return Skopeo(tmp_path_factory.mktemp("skopeo"))


@pytest.fixture(scope="session")
def containerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    client = Containerd(tmp_path_factory.mktemp("containerd"))
    yield client
    client.close()


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory, containerd: Containerd) -> Iterator[Docker]:
    client = Docker(tmp_path_factory.mktemp("docker"), containerd=containerd)
    yield client
    client.close()


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    return Podman(tmp_path_factory.mktemp("podman"))


@pytest.fixture(params=["skopeo", "containerd", "docker", "podman"])
def client(request: pytest.FixtureRequest) -> Client:
    """Every real client in turn."""
    client: Client = request.getfixturevalue(request.param)
    return client
