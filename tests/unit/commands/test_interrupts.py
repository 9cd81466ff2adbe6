"""Ctrl-C before a command handles it; the tests may have been started with the signal ignored."""

import signal
from collections.abc import Iterator

import pytest

from app.commands.interrupts import ended_by_interrupt


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_signal_ends_the_process_and_raises_nothing() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)

    with ended_by_interrupt():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL

    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    with ended_by_interrupt():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN

    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
