from pathlib import Path

import pytest

from app.settings.settings import Settings, SettingsError, StorageBackend, load, variables


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        for name in variables(field):
            monkeypatch.delenv(name, raising=False)


def test_without_any_variable_the_embedded_defaults_hold() -> None:
    settings = load()

    assert settings.storage is StorageBackend.FILESYSTEM
    assert settings.layer_budget == 94
    assert (settings.pkgs_path, settings.pkgs_repo, settings.channel) == (None, None, None)


def test_the_names_nixery_had_keep_working(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PORT", "5000")
    monkeypatch.setenv("NIXERY_PKGS_PATH", str(tmp_path))
    monkeypatch.setenv("NIXERY_STORAGE_BACKEND", "filesystem")
    monkeypatch.setenv("STORAGE_PATH", str(tmp_path / "storage"))
    monkeypatch.setenv("NIX_TIMEOUT", "60")
    monkeypatch.setenv("NIX_POPULARITY_URL", "popularity.json")

    settings = load()

    assert (settings.port, settings.build_seconds) == (5000, 60)
    assert settings.pkgs_path == tmp_path
    assert settings.storage_path == tmp_path / "storage"
    assert settings.popularity == "popularity.json"


def test_a_mistyped_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIXERY_PROT", "1")

    with pytest.raises(SettingsError, match="unknown setting: NIXERY_PROT"):
        load()


def test_variables_of_kubernetes_services_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "NIXERY_SERVICE_HOST": "10.0.0.1",
        "NIXERY_SERVICE_PORT": "80",
        "NIXERY_SERVICE_PORT_HTTP": "80",
        "NIXERY_PORT": "tcp://10.0.0.1:80",
        "NIXERY_PORT_80_TCP": "tcp://10.0.0.1:80",
        "NIXERY_PORT_80_TCP_PROTO": "tcp",
        "NIXERY_PORT_80_TCP_PORT": "80",
        "NIXERY_PORT_80_TCP_ADDR": "10.0.0.1",
        "NIXERY_WEB_SERVICE_HOST": "10.0.0.2",
        "NIXERY_WEB_PORT": "udp://10.0.0.2:53",
    }.items():
        monkeypatch.setenv(name, value)
    assert load().port == 8080

    monkeypatch.setenv("PORT", "5000")
    assert load().port == 5000

    monkeypatch.setenv("NIXERY_PORT", "5001")
    assert load().port == 5001


@pytest.mark.parametrize("name", ["NIXERY_WEB_PORT", "NIXERY_PORT_80", "NIXERY_SERVICES"])
def test_what_only_looks_like_a_service_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "80")

    with pytest.raises(SettingsError, match=f"unknown setting: {name}"):
        load()


def test_storage_is_below_the_state_path_unless_it_says_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "default"))
    assert load().storage_path == tmp_path / "default" / "nixery" / "storage"

    monkeypatch.setenv("NIXERY_STATE_PATH", str(tmp_path / "state"))
    assert load().storage_path == tmp_path / "state" / "storage"

    monkeypatch.setenv("NIXERY_STORAGE_PATH", str(tmp_path / "elsewhere"))
    assert load().storage_path == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    ("variable", "inside", "outside"),
    [
        ("NIXERY_HOP_SECONDS", ("0.1", "29.9"), ("0", "30", "nan", "inf", "-1")),
        ("NIXERY_HOPS", ("0", "9"), ("-1", "10", "1.5")),
        ("NIXERY_HOLD_SECONDS", ("0.1", "7200"), ("0", "7201", "nan", "inf")),
        ("NIXERY_DRAIN_SECONDS", ("0", "600"), ("-1", "nan", "inf")),
        ("NIXERY_FAILURE_SECONDS", ("0", "600"), ("-1", "nan", "inf")),
    ],
)
def test_times_of_waiting_have_bounds(
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    inside: tuple[str, ...],
    outside: tuple[str, ...],
) -> None:
    for value in inside:
        monkeypatch.setenv(variable, value)
        load()
    for value in outside:
        monkeypatch.setenv(variable, value)
        with pytest.raises(SettingsError, match=variable):
            load()


def test_a_public_address_leaves_room_for_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIXERY_EXTERNAL_URL", "https://" + "x" * 112)
    assert len(load().external_url) == 120

    monkeypatch.setenv("NIXERY_EXTERNAL_URL", "https://" + "x" * 113)
    with pytest.raises(SettingsError, match="NIXERY_EXTERNAL_URL"):
        load()


def test_a_value_out_of_bounds_is_refused_with_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NIXERY_HOP_SECONDS", "31")

    with pytest.raises(SettingsError, match=r"NIXERY_HOP_SECONDS: .*less than 30"):
        load()


def test_two_sources_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIXERY_CHANNEL", "nixos-unstable")
    monkeypatch.setenv("NIXERY_PKGS_PATH", "/pkgs")

    with pytest.raises(SettingsError, match="only one of NIXERY_PKGS_PATH, NIXERY_CHANNEL"):
        load()


def test_the_file_sets_what_the_environment_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "nixery.toml"
    file.write_text('port = 1000\nhost = "0.0.0.0"\n')
    monkeypatch.setenv("NIXERY_CONFIG", str(file))
    monkeypatch.setenv("PORT", "2000")

    settings = load()

    assert (settings.host, settings.port) == ("0.0.0.0", 2000)


@pytest.mark.parametrize("text", ["nonsense = 1\n", "port = [\n"])
def test_a_wrong_file_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "nixery.toml"
    file.write_text(text)
    monkeypatch.setenv("NIXERY_CONFIG", str(file))

    with pytest.raises(SettingsError):
        load()


def test_bare_names_of_fields_are_nobodys_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "elsewhere")
    monkeypatch.setenv("SYSTEM", "vax")

    assert load().host == "127.0.0.1"


def test_the_variables_of_nixery_choose_the_default_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert [d.name for d in load().definitions] == ["debian"]

    monkeypatch.setenv("NIXERY_PKGS_REPO", "/srv/packages.git")
    (definition,) = load().definitions

    assert (definition.kind, definition.default) == ("git", True)


def test_sources_of_the_file_stand_beside_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "nixery.toml"
    file.write_text(
        '[[sources]]\nname = "team"\nkind = "git"\nlocation = "/srv/team.git"\nbuild = false\n'
    )
    monkeypatch.setenv("NIXERY_CONFIG", str(file))

    debian, team = load().definitions

    assert (debian.name, debian.default) == ("debian", True)
    assert (team.name, team.default, team.build) == ("team", False, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "shell"\nkind = "path"\nlocation = "/x"', "shell is a meta package"),
        ('name = "debian"\nkind = "path"\nlocation = "/x"', "two sources are called debian"),
        (
            'name = "a"\nkind = "path"\nlocation = "/x"\nbase = "b"',
            "the base of source a is b, and no source is called so; there is debian, a",
        ),
        ('name = "a"\nkind = "svn"\nlocation = "/x"', "svn"),
    ],
)
def test_a_source_that_cannot_be_is_refused(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "nixery.toml"
    file.write_text(f"[[sources]]\n{text}\n")
    monkeypatch.setenv("NIXERY_CONFIG", str(file))

    with pytest.raises(SettingsError, match=message):
        load()


def test_limits_hold_for_every_source_that_does_not_say_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "nixery.toml"
    file.write_text(
        "revision_seconds = 7\nevaluation_seconds = 33\nbuild_seconds = 44\n"
        '[[sources]]\nname = "team"\nkind = "git"\nlocation = "/srv/team.git"\n'
        '[[sources]]\nname = "own"\nkind = "git"\nlocation = "/srv/own.git"\nbuild_seconds = 1\n'
        '[[sources]]\nname = "files"\nkind = "path"\nlocation = "/srv/files"\n'
    )
    monkeypatch.setenv("NIXERY_CONFIG", str(file))

    limits = {
        source.name: (source.revision_seconds, source.evaluation_seconds, source.build_seconds)
        for source in load().definitions
    }

    # Looking at files costs little.
    assert limits == {
        "debian": (5, 33, 44),
        "team": (7, 33, 44),
        "own": (7, 33, 1),
        "files": (5, 33, 44),
    }
