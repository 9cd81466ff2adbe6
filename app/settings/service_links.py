"""Variables that Kubernetes sets in every pod for each Service of the namespace.

The variables for a Service called ``nixery`` or ``nixery-...`` have the prefix of settings.  One of
them, ``NIXERY_PORT=tcp://10.0.0.1:80``, also has the name of a setting.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value", str, str | None)

_NAME = re.compile(
    r"NIXERY_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_.+)?)",
    re.IGNORECASE,
)
_PORT = re.compile(r"NIXERY_(.+_)?PORT", re.IGNORECASE)
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def without_service_links(environment: Mapping[str, Value]) -> dict[str, Value]:
    """Return the environment without the variables that describe a Service."""
    return {name: value for name, value in environment.items() if not _is_link(name, value or "")}


def _is_link(name: str, value: str) -> bool:
    is_address = _PORT.fullmatch(name) is not None and _ADDRESS.match(value) is not None
    return is_address or _NAME.fullmatch(name) is not None
