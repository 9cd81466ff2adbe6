"""The directory of Nix expressions, and the layer plans, that come with the server."""

from importlib.resources import files
from pathlib import Path


def expressions_directory() -> Path:
    """Return ``nix`` inside the installed package or, in a source tree, beside the package.

    Nix reads files by path, so a package that is imported from an archive is not supported.
    """
    package = files("app")
    assert isinstance(package, Path), "the package has to be unpacked"
    installed = package / "nix"
    return installed if installed.is_dir() else package.parent / "nix"


EXPRESSIONS = expressions_directory()
EMBEDDED_PACKAGES = EXPRESSIONS / "debian"
# Outside the package sets: another plan does not make another revision of a set.
PLANS = EXPRESSIONS / "plans"
