"""Fixtures every suite may ask for."""

import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings
from loguru import logger

from app.system.blocking import report_to
from tests import blockedloop
from tests.workers import pytest_collection_modifyitems, pytest_runtest_protocol

__all__ = ["pytest_collection_modifyitems", "pytest_runtest_protocol"]

# How long an example takes depends on what else the machine does.  New examples are
# for developers, who can act on them; CI judges a commit by the same ones each time.
settings.register_profile(
    "any machine",
    deadline=None,
    derandomize="CI" in os.environ,
    max_examples=100 if "CI" in os.environ else 25,
)
settings.load_profile("any machine")

report_to(blockedloop.fail)

# pytest rewrites assertions in modules of tests only, and in these.
pytest.register_assert_rewrite(
    "tests.conformance",
    "tests.contract.nix_contract",
    "tests.contract.storage_contract",
    "tests.malformed",
)


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
