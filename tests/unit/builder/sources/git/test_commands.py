"""The exact commands and environments that git is started with."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from app.builder.sources.definition import GitDefinition
from app.builder.sources.git.access import GitAccess
from app.builder.sources.git.command import GitCommand, check_git
from app.errors import StorageUnavailable
from app.system.environment import child_environment
from app.system.workers import Workers
from tests.recorded_programs import RecordedPrograms, Start

LOCATION = "https://git.example.org/packages.git"


@pytest.fixture
def programs(tmp_path: Path) -> RecordedPrograms:
    programs = RecordedPrograms(tmp_path)
    programs.add("git")
    return programs


@pytest.fixture
def environment(programs: RecordedPrograms, tmp_path: Path) -> dict[str, str]:
    surroundings = {
        "PATH": str(programs.directory),
        "SSL_CERT_FILE": "/etc/certificates",
        "NIX_CONFIG": "access-tokens = github.com=hunter2",
        "https_proxy": "http://proxy",
        "GIT_DIR": "/somewhere/else",
        "SSH_AUTH_SOCK": "/run/agent",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
    }
    return child_environment(surroundings, home=tmp_path / "home")


@pytest.fixture
def definition(tmp_path: Path) -> GitDefinition:
    return GitDefinition(name="team", location=LOCATION)


def command_of(
    definition: GitDefinition, environment: dict[str, str], directory: Path
) -> GitCommand:
    return GitCommand(
        definition=definition,
        environment=environment,
        directory=directory / "git",
        workers=Workers(1),
        listing_seconds=30,
        seconds=30,
    )


def configuration(start: Start) -> dict[str, str]:
    count = int(start.environment["GIT_CONFIG_COUNT"])
    return {
        start.environment[f"GIT_CONFIG_KEY_{n}"]: start.environment[f"GIT_CONFIG_VALUE_{n}"]
        for n in range(count)
    }


async def test_refs_are_listed_behind_a_separator(
    programs: RecordedPrograms,
    environment: dict[str, str],
    definition: GitDefinition,
    tmp_path: Path,
) -> None:
    await command_of(definition, environment, tmp_path).refs("--upload-pack=evil")

    assert programs.start.command == (
        *("git", "ls-remote", "--quiet", "--", "--upload-pack=evil"),
        *("HEAD", "refs/heads/*", "refs/tags/*"),
    )


async def test_git_has_neither_the_configuration_nor_the_secrets_of_the_machine(
    programs: RecordedPrograms,
    environment: dict[str, str],
    definition: GitDefinition,
    tmp_path: Path,
) -> None:
    await command_of(definition, environment, tmp_path).refs(LOCATION)

    start = programs.start
    others = {n: v for n, v in start.environment.items() if not n.startswith("GIT_CONFIG_")}
    assert others == {
        "PATH": str(programs.directory),
        "HOME": str(tmp_path / "home"),
        "LC_ALL": "C.UTF-8",
        "XDG_CACHE_HOME": str(tmp_path / "home" / ".cache"),
        "XDG_CONFIG_HOME": str(tmp_path / "home" / ".config"),
        "SSL_CERT_FILE": "/etc/certificates",
        "GIT_SSL_CAINFO": "/etc/certificates",
        "https_proxy": "http://proxy",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "GIT_ASKPASS": "true",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_SSH_COMMAND": (
            "ssh -F none -o BatchMode=yes -o ConnectTimeout=30 -o IdentityAgent=none"
            " -o ServerAliveInterval=20 -o StrictHostKeyChecking=yes"
        ),
        "GIT_TERMINAL_PROMPT": "0",
    }
    assert start.environment["GIT_CONFIG_GLOBAL"] == "/dev/null"
    assert start.environment["GIT_CONFIG_NOSYSTEM"] == "1"


async def test_git_follows_no_redirect_and_runs_no_hook(
    programs: RecordedPrograms,
    environment: dict[str, str],
    definition: GitDefinition,
    tmp_path: Path,
) -> None:
    await command_of(definition, environment, tmp_path).refs(LOCATION)

    settings = configuration(programs.start)
    assert settings["http.followRedirects"] == "false"
    assert settings["core.attributesFile"] == "/dev/null"
    assert settings["core.hooksPath"] == "/dev/null"
    assert settings["protocol.version"] == "2"
    assert (settings["gc.auto"], settings["maintenance.auto"]) == ("0", "false")


async def test_a_token_stays_in_its_file(
    programs: RecordedPrograms, environment: dict[str, str], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("hunter2")
    definition = GitDefinition(name="team", location=LOCATION, token_file=token)

    await command_of(definition, environment, tmp_path).refs(LOCATION)

    start = programs.start
    assert start.environment["GIT_ASKPASS"] == str(tmp_path / "git" / "askpass")
    assert start.environment["NIXERY_GIT_TOKEN_FILE"] == str(token)
    assert "hunter2" not in f"{start}"


def test_calls_that_start_together_write_one_whole_askpass_program(tmp_path: Path) -> None:
    definition = GitDefinition(name="team", location=LOCATION, token_file=tmp_path / "token")
    together = Barrier(3)

    def prepare(access: GitAccess) -> None:
        together.wait()
        access.prepare()

    with ThreadPoolExecutor(3) as pool:
        for number in range(200):
            directory = tmp_path / str(number)
            access = GitAccess(definition=definition, environment={}, directory=directory)
            list(pool.map(prepare, [access] * 3))
            assert [file.name for file in directory.iterdir()] == ["askpass"]


async def test_a_state_directory_that_does_not_work_is_named(
    programs: RecordedPrograms, environment: dict[str, str], tmp_path: Path
) -> None:
    definition = GitDefinition(name="team", location=LOCATION, token_file=tmp_path / "token")
    (tmp_path / "state").write_text("a file")
    git = command_of(definition, environment, tmp_path / "state")

    with pytest.raises(StorageUnavailable, match="state directory does not work"):
        await git.refs(LOCATION)

    assert programs.starts == []


async def test_a_key_is_the_only_identity_of_ssh(
    programs: RecordedPrograms, environment: dict[str, str], tmp_path: Path
) -> None:
    definition = GitDefinition(
        name="team",
        location="ssh://git@git.example.org/packages.git",
        ssh_key=tmp_path / "key",
        known_hosts=tmp_path / "known hosts",
    )

    await command_of(definition, environment, tmp_path).refs(definition.location)

    ssh = programs.start.environment["GIT_SSH_COMMAND"]
    assert ssh.startswith(f"ssh -F none -i {tmp_path}/key -o BatchMode=yes")
    assert ssh.endswith(f"-o IdentitiesOnly=yes -o 'UserKnownHostsFile=\"{tmp_path}/known hosts\"'")


async def test_a_history_is_fetched_without_files_and_tags_of_its_own(
    programs: RecordedPrograms,
    environment: dict[str, str],
    definition: GitDefinition,
    tmp_path: Path,
) -> None:
    repository = tmp_path / "git" / "repository.git"
    repository.mkdir(parents=True)
    (repository / "HEAD").touch()

    await command_of(definition, environment, tmp_path).fetch_history(repository, LOCATION)

    assert programs.start.command == (
        *("git", "--git-dir", str(repository), "fetch", "--quiet", "--no-tags"),
        *("--no-write-fetch-head", "--force", "--filter=tree:0", "--", LOCATION),
        *("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"),
    )


async def test_the_version_is_queried_without_secrets(
    programs: RecordedPrograms, environment: dict[str, str]
) -> None:
    await check_git(environment)

    assert programs.start.command == ("git", "--version")
    assert "hunter2" not in f"{programs.start}"
