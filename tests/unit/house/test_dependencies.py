"""docs/dependencies.md has a reason for each library, and lists no other."""

import re
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PAGE = (ROOT / "docs/dependencies.md").read_text()
# Not a library of the project: it makes the environment.
TOOLS = {"uv"}


def required() -> Iterator[str]:
    project = PROJECT["project"]
    groups = (*project["optional-dependencies"].values(), *PROJECT["dependency-groups"].values())
    own = (project["dependencies"], PROJECT["build-system"]["requires"])
    for requirement in chain(*own, *groups):
        if isinstance(requirement, str):  # else another group
            yield re.split(r"[^\w-]", requirement)[0]


def test_every_library_is_listed_with_a_reason() -> None:
    rows = re.findall(r"^\| ([\w, -]+) \| (?!why)(.+) \|$", PAGE, re.MULTILINE)
    listed = {name.strip() for names, _ in rows for name in names.split(",")}

    assert listed == {*required(), *TOOLS}
