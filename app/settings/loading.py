"""Load the settings, and report mistakes to the operator by the names of variables."""

from pathlib import Path
from tomllib import TOMLDecodeError

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.errors import OperatorError
from app.settings.environment import process_environment
from app.settings.names import CONFIG_VARIABLE, PREFIX, variables
from app.settings.service_links import without_service_links
from app.settings.settings import Settings

# The error of a default that depends on a setting with a mistake of its own.
_CONSEQUENCE = "default_factory_not_called"


class SettingsError(OperatorError):
    """Invalid configuration; the message has a line for each mistake."""


def load_settings() -> Settings:
    """Read the environment and the file.  Raises SettingsError."""
    _check_variables()
    file = process_environment().get(CONFIG_VARIABLE)
    if file and not Path(file).is_file():
        raise SettingsError(f"{CONFIG_VARIABLE}: file {file} does not exist")
    try:
        return Settings()
    except ValidationError as error:
        mistakes = [item for item in error.errors() if item["type"] != _CONSEQUENCE]
        raise SettingsError("\n".join(map(_mistake, mistakes))) from None
    except TOMLDecodeError as error:
        raise SettingsError(f"{file} is not valid TOML: {error}") from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a setting with two names
        raise SettingsError(f"{file}: {error}") from None


def _check_variables() -> None:
    """Reject misspelt names: pydantic-settings ignores variables that no field has."""
    known = {CONFIG_VARIABLE, *(name for f in Settings.model_fields for name in variables(f))}
    ours = [
        name for name in without_service_links(process_environment()) if name.startswith(PREFIX)
    ]
    unknown = sorted(set(ours) - known)
    if unknown:
        raise SettingsError(f"unknown setting: {', '.join(unknown)}; see docs/configuration.md")


def _mistake(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"])
    field = next((f for f in Settings.model_fields if where in (f, *variables(f))), None)
    name = variables(field)[0] if field else where
    reason = error["msg"].removeprefix("Value error, ")
    return f"{name}: {reason}" if name else reason
