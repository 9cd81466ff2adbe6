"""The first pages of a server load the templates once, however many are requested together."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import jinja2
import pytest

from app.routers.web import rendering

PAGES = 8


@pytest.fixture
def not_loaded() -> Iterator[None]:
    rendering._compiled.cache_clear()
    yield
    rendering._compiled.cache_clear()


@pytest.mark.usefixtures("not_loaded")
def test_pages_that_are_requested_together_compile_each_template_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[str] = []
    compile_template = jinja2.Environment.compile

    def count(self: jinja2.Environment, source: str, name: str, *others: object) -> object:
        compiled.append(name)
        return compile_template(self, source, name, *others)  # type: ignore[call-overload]  # as called

    monkeypatch.setattr(jinja2.Environment, "compile", count)
    together = Barrier(PAGES)

    def load(_: int) -> jinja2.Environment:
        together.wait(60)
        return rendering._load()

    with ThreadPoolExecutor(PAGES) as pool:
        environments = list(pool.map(load, range(PAGES)))

    assert compiled
    assert len(compiled) == len(set(compiled))
    assert all(one is environments[0] for one in environments)
