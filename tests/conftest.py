"""Fixtures every suite may ask for."""

import os
from collections.abc import Generator, Iterator
from importlib import import_module

import pytest
from loguru import logger

from app.system.blocking import report_to
from tests import blockedloop, ownership
from tests.workers import (
    pytest_collection,
    pytest_collection_modifyitems,
    pytest_ignore_collect,
    pytest_runtest_protocol,
)

__all__ = [
    "pytest_collection",
    "pytest_collection_modifyitems",
    "pytest_ignore_collect",
    "pytest_runtest_protocol",
]

report_to(blockedloop.fail)

# pytest rewrites assertions in modules of tests only, and in these.
pytest.register_assert_rewrite(
    "tests.conformance",
    "tests.contract.nix_contract",
    "tests.contract.storage_contract",
    "tests.malformed",
)


def pytest_configure(config: pytest.Config) -> None:
    """Register for the whole session: fixtures of its scope call no hooks of this directory."""
    config.pluginmanager.register(ownership, "ownership")


def pytest_collectstart() -> None:
    """Set up hypothesis, but not in the process that only distributes tests to workers.

    The first collector with this hook is this directory, before any file of tests.
    """
    import_module("tests.examples")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip is a failure in CI; a developer's machine may lack something."""
    report = yield
    if "CI" in os.environ and report.skipped and item.get_closest_marker("may_skip") is None:
        report.outcome = "failed"
        report.longrepr = f"with CI nothing may skip: {report.longreprtext}"
    return report


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Every line logged, with its values and traceback."""
    lines: list[str] = []
    form = "{level} {message} {extra}"
    sink = logger.add(lambda message: lines.append(str(message)), level="DEBUG", format=form)
    yield lines
    logger.remove(sink)
