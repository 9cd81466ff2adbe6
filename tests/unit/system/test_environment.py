"""Credentials are in the environment of what needs them, and nowhere else."""

from pathlib import Path

from app.system.environment import (
    child_environment,
    for_git,
    for_store,
    for_untrusted_evaluation,
)

COMMON = {"PATH": "/bin", "HOME": "/home", "SSL_CERT_FILE": "/certificates", "TMPDIR": "/tmp"}
NIX = {"NIX_REMOTE": "daemon", "NIX_CONF_DIR": "/etc/nix"}
PROXIES = {"HTTPS_PROXY": "http://joe:hunter2@proxy", "http_proxy": "http://proxy", "NO_PROXY": "x"}
CONFIG = (
    "experimental-features = flakes\n"
    "access-tokens = github.com=ghp_0123456789\n"
    "  Extra-Access-Tokens=gitlab.com=PAT:0123456789\n"
    "substituters = https://joe:hunter2@cache.example\n"
    "netrc-file = /run/secrets/netrc\n"
)
FULL = {**COMMON, **NIX, **PROXIES, "NIX_CONFIG": CONFIG}


def test_a_child_sees_no_secret_of_the_server() -> None:
    surroundings = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "x", "NIX_REMOTE": "daemon"}

    environment = child_environment(surroundings, home=Path("/state/home"))

    assert "AWS_SECRET_ACCESS_KEY" not in environment
    assert environment["NIX_REMOTE"] == "daemon"
    assert environment["HOME"] == "/state/home"


def test_git_has_its_proxies_and_nothing_of_nixs() -> None:
    assert for_git(FULL) == {**COMMON, **PROXIES}


def test_an_untrusted_evaluation_has_neither_tokens_nor_passwords_nor_proxies() -> None:
    kept = "experimental-features = flakes\nnetrc-file = /run/secrets/netrc"

    assert for_untrusted_evaluation(FULL) == {**COMMON, **NIX, "NIX_CONFIG": kept}


def test_builds_and_downloads_have_proxies_and_no_access_tokens() -> None:
    kept = (
        "experimental-features = flakes\n"
        "substituters = https://joe:hunter2@cache.example\n"
        "netrc-file = /run/secrets/netrc"
    )

    assert for_store(FULL) == {**COMMON, **NIX, **PROXIES, "NIX_CONFIG": kept}


def test_a_configuration_of_nothing_but_tokens_is_left_out() -> None:
    environment = {**COMMON, "NIX_CONFIG": "access-tokens = github.com=ghp_0123456789"}

    assert for_store(environment) == for_untrusted_evaluation(environment) == COMMON
