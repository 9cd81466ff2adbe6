"""Signals that stop the server."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from app.server.signals import StopSignals


@pytest.fixture
def _no_hangup_is_ignored() -> Iterator[None]:
    """With nohup, tests start with an ignored SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_no_hangup_is_ignored")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_the_server_stops_in_order(number: signal.Signals) -> None:
    stopping = asyncio.Event()

    with StopSignals(stopping.set) as signals:
        signal.raise_signal(number)
        await stopping.wait()
        assert signals.received is number

    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


async def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals(lambda: None) as signals:
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signals.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_a_second_interrupt_stops_at_once_and_a_third_is_not_handled() -> None:
    calls: list[int] = []
    called = asyncio.Event()

    def stop() -> None:
        calls.append(len(calls))
        called.set()

    with StopSignals(stop) as signals:
        for _ in range(2):
            called.clear()
            signal.raise_signal(signal.SIGINT)
            await called.wait()
        assert signals.received is signal.SIGINT
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert calls == [0, 1]
