"""What a User-Agent reveals about the client's machine."""

import pytest

from app.routers.clients import architecture_of

DOCKER = "docker/20.10.24 go/go1.19.8 git-commit/5d6db84 kernel/6.1.0-44 os/linux arch/{}"


@pytest.mark.parametrize(
    ("user_agent", "architecture"),
    [
        (DOCKER.format("arm64"), "arm64"),
        (f"{DOCKER.format('amd64')} UpstreamClient(Docker-Client/20.10.24 \\(linux\\))", "amd64"),
        (DOCKER.format("x" * 21), ""),
        ("containerd/1.6.20~ds1", ""),
        ("containers/5.24.1 (github.com/containers/image)", ""),
        ("", ""),
    ],
)
def test_docker_sends_its_architecture(user_agent: str, architecture: str) -> None:
    assert architecture_of(user_agent) == architecture
