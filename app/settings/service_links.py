"""Variables that Kubernetes sets in every pod of a namespace for each Service there.

Those for a Service called ``nixery`` or ``nixery-...`` begin as settings do, and one of them,
``NIXERY_PORT=tcp://10.0.0.1:80``, is called as one.
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
    """What is left when those that speak of a Service, and of no setting, are taken away."""
    return {name: value for name, value in environment.items() if not _is_link(name, value or "")}


def _is_link(name: str, value: str) -> bool:
    is_address = _PORT.fullmatch(name) is not None and _ADDRESS.match(value) is not None
    return is_address or _NAME.fullmatch(name) is not None
