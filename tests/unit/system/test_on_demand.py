"""A module is imported when one of its names is used."""

import subprocess
import sys

import pytest

from app.system.on_demand import OnDemand


def test_the_first_use_of_a_name_imports_the_module() -> None:
    module = "wsgiref.simple_server"
    sys.modules.pop(module, None)
    stand_in = OnDemand(module)
    assert module not in sys.modules

    server = stand_in.WSGIServer

    assert server is sys.modules[module].WSGIServer
    assert stand_in.WSGIServer is server


def test_a_name_that_the_module_lacks_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = OnDemand("json").no_such_name


# What one request in a thousand uses: megabytes for each process.
ON_DEMAND = (
    "cryptography",
    "google",
    "httpx",
    "jinja2",
    "opentelemetry.sdk",
    "pycurl",
    "rapidfuzz",
)


@pytest.mark.slow
def test_a_server_with_all_routes_has_not_imported_what_few_requests_need() -> None:
    program = f"""
import sys
import app.commands.serve
from app.settings.settings import Settings
from app.wiring.http import create_app
create_app(Settings())
print(*(name for name in {ON_DEMAND!r} if name in sys.modules))
"""
    imported = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert imported.stdout.split() == []
