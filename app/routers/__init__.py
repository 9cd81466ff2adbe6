"""HTTP routes."""

import sys
from types import ModuleType
from typing import cast

# FastAPI imports ``pydantic.v1`` to look for models of pydantic's first version in every route,
# which takes 2 MB of memory.  There are none here: let that import fail, as it does where pydantic
# no longer has the module.  This file runs before every route; a program that has imported
# ``pydantic.v1`` already keeps it.
sys.modules.setdefault("pydantic.v1", cast("ModuleType", None))
