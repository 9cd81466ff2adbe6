"""Types that settings of several sections have."""

from typing import Annotated

from pydantic import Field

Seconds = Annotated[float, Field(gt=0)]
