"""HTTP routes."""

import sys
from types import ModuleType
from typing import cast

# FastAPI looks for models of pydantic's first version in every route, and imports them for that:
# 2 MB of memory.  None in this place makes that import fail, which FastAPI expects.
sys.modules.setdefault("pydantic.v1", cast("ModuleType", None))
