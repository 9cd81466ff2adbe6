"""All settings of a server, from its environment and its configuration file."""

import tomllib
from pathlib import Path

from pydantic import AliasGenerator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.settings.environment import process_environment
from app.settings.names import CONFIG_VARIABLE, PREFIX, validation_alias, with_current_names
from app.settings.sections.layers import LayerSettings
from app.settings.sections.logging import LoggingSettings
from app.settings.sections.nix import NixSettings
from app.settings.sections.packages import PackageSettings
from app.settings.sections.serving import ServingSettings
from app.settings.sections.storage import StorageSettings
from app.settings.sections.waiting import WaitingSettings
from app.settings.service_links import without_service_links


class Settings(
    # Pydantic collects the fields of the last section first.
    LoggingSettings,
    WaitingSettings,
    StorageSettings,
    LayerSettings,
    NixSettings,
    PackageSettings,
    ServingSettings,
    BaseSettings,
):
    """Each setting is an environment variable and a line of the file; the environment wins.

    Package sources with names of their own can only be written in the file (docs/sources.md).
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        alias_generator=AliasGenerator(validation_alias=validation_alias),
        env_prefix=PREFIX,  # or the bare name of a field, such as HOST, would be a variable too
        allow_inf_nan=False,
    )

    @classmethod
    def settings_customise_sources(  # pydantic-settings defines the signature
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(env_settings, EnvSettingsSource)
        env_settings.env_vars = without_service_links(env_settings.env_vars)
        file = process_environment().get(CONFIG_VARIABLE)
        if not file:
            return init_settings, env_settings
        contents = tomllib.loads(Path(file).read_text(encoding="utf-8"))
        named = with_current_names(contents, settings_cls.model_fields)
        return init_settings, env_settings, InitSettingsSource(settings_cls, named)
