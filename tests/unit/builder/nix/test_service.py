"""Services as package sets describe them."""

import json

import pytest

from app.builder.nix.service import Service, parse_service

GOOD: dict[str, object] = {
    "users": [{"name": "web", "uid": 33, "home": "/var/www"}],
    "directories": [{"path": "/var/lib/web", "user": "web", "mode": "0750"}],
    "links": {"/var/log/web.log": "/dev/stdout"},
    "environment": {"DATA": "/var/lib/web"},
    "packages": ["bash"],
    "command": ["web", "--foreground", "line\nline"],
    "user": "web",
}


def test_a_service_has_a_form() -> None:
    service = parse_service(json.dumps(GOOD))

    assert service.directories[0].path == "/var/lib/web"
    assert service.command == ("web", "--foreground", "line\nline")
    assert parse_service("{}") == Service()


@pytest.mark.parametrize(
    "wrong",
    [
        {"unknown": 1},
        {"users": [{"name": "root:x", "uid": 1}]},
        {"users": [{"name": "a\nroot", "uid": 1}]},
        {"users": [{"name": "web\n", "uid": 1}]},
        {"users": [{"name": "web", "uid": 0}]},
        {"users": [{"name": "web", "uid": 65532}]},
        {"users": [{"name": "web", "uid": "33"}]},
        {"users": [{"name": "web", "uid": 33, "home": "/"}]},
        {"users": [{"name": f"u{number}", "uid": number + 1} for number in range(9)]},
        {"directories": [{"path": "/var/../etc"}]},
        {"directories": [{"path": "/var/lib/../../nix"}]},
        {"directories": [{"path": "/var//lib"}]},
        {"directories": [{"path": "/var/lib/"}]},
        {"directories": [{"path": "var/lib"}]},
        {"directories": [{"path": "/nix/store/x"}]},
        {"directories": [{"path": "/bin/x"}]},
        {"directories": [{"path": "/proc/x"}]},
        {"directories": [{"path": "/var/x\n"}]},
        {"directories": [{"path": "/var/.wh.x"}]},
        {"directories": [{"path": "/var/x", "mode": "4755"}]},
        {"directories": [{"path": "/var/x", "mode": "9"}]},
        {"links": {"/var/log/x": "/dev/mem"}},
        {"links": {"/bin/sh": "/dev/null"}},
        {"environment": {"A=B": "x"}},
        {"environment": {"A": "x\x00"}},
        {"packages": ["../x"]},
        {"command": ["\x1b[2J"]},
        {"command": ["x"] * 65},
        {"command": "x"},
        {"user": "web:0"},
    ],
)
def test_anything_else_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        parse_service(json.dumps({**GOOD, **wrong}))


@pytest.mark.parametrize("text", ["", "null", "[]", "7", "{"])
def test_what_is_not_an_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        parse_service(text)
