from pathlib import Path

import pytest

from app.settings.loading import SettingsError, load_settings
from app.settings.names import variables
from app.settings.sections.storage import FilesystemBackend, GcsBackend, MemoryBackend
from app.settings.settings import Settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        for name in variables(field):
            monkeypatch.delenv(name, raising=False)


def test_defaults_serve_the_embedded_packages_from_a_directory() -> None:
    settings = load_settings()

    assert isinstance(settings.backend, FilesystemBackend)
    assert settings.layer_budget == 63
    assert (settings.pkgs_path, settings.pkgs_repo, settings.channel) == (None, None, None)


def test_variables_of_the_go_server_keep_working(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PORT", "5000")
    monkeypatch.setenv("NIXERY_PKGS_PATH", str(tmp_path))
    monkeypatch.setenv("NIXERY_STORAGE_BACKEND", "filesystem")
    monkeypatch.setenv("STORAGE_PATH", str(tmp_path / "storage"))
    monkeypatch.setenv("NIX_TIMEOUT", "60")
    monkeypatch.setenv("NIX_POPULARITY_URL", "popularity.json")

    settings = load_settings()

    assert (settings.port, settings.build_seconds) == (5000, 60)
    assert settings.pkgs_path == tmp_path
    assert settings.storage_path == tmp_path / "storage"
    assert settings.plan == "popularity.json"


def test_misspelt_variable_is_rejected_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIXERY_PROT", "1")

    with pytest.raises(SettingsError, match="unknown setting: NIXERY_PROT"):
        load_settings()


def test_variables_of_kubernetes_services_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert load_settings().port == 8080

    monkeypatch.setenv("PORT", "5000")
    assert load_settings().port == 5000

    monkeypatch.setenv("NIXERY_PORT", "5001")
    assert load_settings().port == 5001


@pytest.mark.parametrize("name", ["NIXERY_WEB_PORT", "NIXERY_PORT_80", "NIXERY_SERVICES"])
def test_variable_that_resembles_a_service_link_is_rejected(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "80")

    with pytest.raises(SettingsError, match=f"unknown setting: {name}"):
        load_settings()


def test_storage_path_defaults_to_a_directory_below_the_state_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "default"))
    assert load_settings().storage_path == tmp_path / "default" / "nixery" / "storage"

    monkeypatch.setenv("NIXERY_STATE_PATH", str(tmp_path / "state"))
    assert load_settings().storage_path == tmp_path / "state" / "storage"

    monkeypatch.setenv("NIXERY_STORAGE_PATH", str(tmp_path / "elsewhere"))
    assert load_settings().storage_path == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    ("variable", "inside", "outside"),
    [
        ("NIXERY_REDIRECT_SECONDS", ("0.1", "29.9"), ("0", "30", "nan", "inf", "-1")),
        ("NIXERY_REDIRECTS", ("0", "9"), ("-1", "10", "1.5")),
        ("NIXERY_HOLD_SECONDS", ("0.1", "7200"), ("0", "7201", "nan", "inf")),
        ("NIXERY_DRAIN_SECONDS", ("0", "600"), ("-1", "nan", "inf")),
        ("NIXERY_FAILURE_SECONDS", ("0", "600"), ("-1", "nan", "inf")),
    ],
)
def test_waiting_times_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    inside: tuple[str, ...],
    outside: tuple[str, ...],
) -> None:
    for value in inside:
        monkeypatch.setenv(variable, value)
        load_settings()
    for value in outside:
        monkeypatch.setenv(variable, value)
        with pytest.raises(SettingsError, match=variable):
            load_settings()


def test_external_url_is_limited_so_that_messages_have_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NIXERY_EXTERNAL_URL", "https://" + "x." * 56)
    assert len(load_settings().external_url) == 120

    monkeypatch.setenv("NIXERY_EXTERNAL_URL", "https://" + "x." * 56 + "x")
    with pytest.raises(SettingsError, match="NIXERY_EXTERNAL_URL"):
        load_settings()


@pytest.mark.parametrize("url", ["http://[::1", "http://host:99999", "http://a..b"])
@pytest.mark.parametrize("variable", ["NIXERY_EXTERNAL_URL", "NIXERY_OTLP_ENDPOINT"])
def test_url_with_an_invalid_host_or_port_is_rejected(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str
) -> None:
    monkeypatch.setenv(variable, url)

    with pytest.raises(SettingsError, match=f"{variable}: the host or port of the URL is invalid"):
        load_settings()


def test_only_the_mistake_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default of another setting is computed from all of them."""
    monkeypatch.setenv("NIXERY_PORT", "http")

    with pytest.raises(SettingsError) as raised:
        load_settings()

    assert str(raised.value).splitlines() == [
        "NIXERY_PORT: Input should be a valid integer, unable to parse string as an integer"
    ]


def test_value_out_of_bounds_is_rejected_with_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NIXERY_REDIRECT_SECONDS", "31")

    with pytest.raises(SettingsError, match=r"NIXERY_REDIRECT_SECONDS: .*less than 30"):
        load_settings()


def test_two_sources_in_variables_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIXERY_CHANNEL", "nixos-unstable")
    monkeypatch.setenv("NIXERY_PKGS_PATH", "/pkgs")

    with pytest.raises(SettingsError, match="only one of NIXERY_PKGS_PATH, NIXERY_CHANNEL"):
        load_settings()


def test_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "nixery.toml"
    file.write_text('port = 1000\nhost = "0.0.0.0"\n')
    monkeypatch.setenv("NIXERY_CONFIG", str(file))
    monkeypatch.setenv("PORT", "2000")

    settings = load_settings()

    assert (settings.host, settings.port) == ("0.0.0.0", 2000)


@pytest.mark.parametrize(
    ("variable", "setting"),
    [
        ("NIXERY_REALISATIONS", "builds"),
        ("NIXERY_HOP_SECONDS", "redirect_seconds"),
        ("NIXERY_HOPS", "redirects"),
    ],
)
def test_old_names_work_as_variables_and_in_the_file(
    variable: str, setting: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "nixery.toml"
    file.write_text(f"{variable.removeprefix('NIXERY_').lower()} = 7\n")
    monkeypatch.setenv("NIXERY_CONFIG", str(file))
    assert getattr(load_settings(), setting) == 7

    monkeypatch.setenv(variable, "8")
    assert getattr(load_settings(), setting) == 8

    file.write_text(f"{setting} = 6\n")
    assert getattr(load_settings(), setting) == 8

    monkeypatch.setenv(variables(setting)[0], "9")
    assert getattr(load_settings(), setting) == 9


def test_file_with_a_setting_under_two_names_is_rejected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "nixery.toml"
    file.write_text("builds = 1\nrealisations = 2\n")
    monkeypatch.setenv("NIXERY_CONFIG", str(file))

    with pytest.raises(SettingsError, match="builds is set twice, once under its old name"):
        load_settings()


def test_backend_has_the_parameters_of_the_chosen_storage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NIXERY_STATE_PATH", str(tmp_path))
    assert load_settings().backend == FilesystemBackend(tmp_path / "storage")

    monkeypatch.setenv("NIXERY_STORAGE", "memory")
    assert load_settings().backend == MemoryBackend()

    monkeypatch.setenv("NIXERY_STORAGE", "gcs")
    with pytest.raises(SettingsError, match="NIXERY_STORAGE=gcs needs NIXERY_GCS_BUCKET"):
        load_settings()

    monkeypatch.setenv("GCS_BUCKET", "images")
    assert load_settings().backend == GcsBackend("images", tmp_path / "spool")


@pytest.mark.parametrize("text", ["nonsense = 1\n", "port = [\n"])
def test_invalid_file_is_rejected(
    text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "nixery.toml"
    file.write_text(text)
    monkeypatch.setenv("NIXERY_CONFIG", str(file))

    with pytest.raises(SettingsError):
        load_settings()


def test_bare_names_of_fields_are_not_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "elsewhere")
    monkeypatch.setenv("SYSTEM", "vax")

    assert load_settings().host == "127.0.0.1"


def test_variables_choose_the_default_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert [d.name for d in load_settings().definitions] == ["debian"]

    monkeypatch.setenv("NIXERY_PKGS_REPO", "/srv/packages.git")
    (definition,) = load_settings().definitions

    assert (definition.kind, definition.default) == ("git", True)


def test_sources_of_the_file_are_added_to_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "nixery.toml"
    file.write_text(
        '[[sources]]\nname = "team"\nkind = "git"\nlocation = "/srv/team.git"\nbuild = false\n'
    )
    monkeypatch.setenv("NIXERY_CONFIG", str(file))

    debian, team = load_settings().definitions

    assert (debian.name, debian.default) == ("debian", True)
    assert (team.name, team.default, team.build) == ("team", False, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "shell"\nkind = "path"\nlocation = "/x"', "shell is a meta package"),
        ('name = "debian"\nkind = "path"\nlocation = "/x"', "two sources are called debian"),
        (
            'name = "a"\nkind = "path"\nlocation = "/x"\nbase = "b"',
            "source a has base b, which is not a source; the sources are debian, a",
        ),
        ('name = "a"\nkind = "svn"\nlocation = "/x"', "svn"),
    ],
)
def test_invalid_source_is_rejected(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "nixery.toml"
    file.write_text(f"[[sources]]\n{text}\n")
    monkeypatch.setenv("NIXERY_CONFIG", str(file))

    with pytest.raises(SettingsError, match=message):
        load_settings()


def test_limits_apply_to_sources_without_their_own(
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
        for source in load_settings().definitions
    }

    # revision_seconds does not apply to directories: hashing files again is cheap.
    assert limits == {
        "debian": (5, 33, 44),
        "team": (7, 33, 44),
        "own": (7, 33, 1),
        "files": (5, 33, 44),
    }


def test_a_directory_of_pages_has_to_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NIXERY_WEB_DIR", str(tmp_path))
    assert load_settings().web_dir == tmp_path

    monkeypatch.setenv("NIXERY_WEB_DIR", str(tmp_path / "absent"))
    with pytest.raises(SettingsError, match=f"directory {tmp_path}/absent does not exist"):
        load_settings()
