"""Times of phases, and estimates."""

import pytest

from app.builder.jobs.phases import Phase, Phases, remaining_seconds
from app.builder.jobs.progress import Progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_times_add_up_in_the_order_of_phases(clock: Clock) -> None:
    phases = Phases(clock)
    for phase, seconds in ((Phase.PACK, 5), (Phase.EVALUATE, 1), (Phase.PACK, 2)):
        with phases.running(phase):
            clock.now += seconds
        clock.now += 100  # waiting

    assert list(phases.seconds.items()) == [(Phase.EVALUATE, 1), (Phase.PACK, 7)]
    assert phases.current == frozenset()


def test_a_phase_of_several_parts_lasts_from_the_first_to_the_last(clock: Clock) -> None:
    phases = Phases(clock)
    with phases.running(Phase.FETCH):
        clock.now = 2
        with phases.running(Phase.FETCH):
            clock.now = 3
        assert phases.seconds == {Phase.FETCH: 3}
        assert phases.current == {Phase.FETCH}
        clock.now = 4

    assert phases.seconds == {Phase.FETCH: 4}


def test_a_phase_that_fails_has_its_time(clock: Clock) -> None:
    phases = Phases(clock)

    def fail() -> None:
        with phases.running(Phase.PACK):
            clock.now = 1
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        fail()
    assert phases.seconds == {Phase.PACK: 1}


def test_parts_of_a_job_have_its_phases() -> None:
    progress = Progress()

    assert progress.part("arm64").phases is progress.phases


def test_without_earlier_builds_nothing_is_estimated(clock: Clock) -> None:
    assert remaining_seconds(Phases(clock), ()) is None


def test_a_build_that_outlasts_all_others_has_no_estimate(clock: Clock) -> None:
    samples = [{Phase.FETCH: fetch, Phase.PACK: 4.0} for fetch in (1.0, 30.0)]
    phases = Phases(clock)

    with phases.running(Phase.FETCH):
        clock.now += 34
        assert remaining_seconds(phases, samples) == 4
        clock.now += 1
        assert remaining_seconds(phases, samples) is None
    assert remaining_seconds(phases, samples) == 4


def test_the_estimate_is_what_the_median_of_longer_builds_still_needs(clock: Clock) -> None:
    samples = [
        {Phase.EVALUATE: 2.0, Phase.FETCH: fetch, Phase.PACK: 10.0, Phase.STORE: 1.0}
        for fetch in (1.0, 20.0, 300.0)
    ]
    phases = Phases(clock)

    assert remaining_seconds(phases, samples) == 33
    with phases.running(Phase.EVALUATE):
        clock.now += 1.5
        assert remaining_seconds(phases, samples) == 31.5
        clock.now += 1.5
        assert remaining_seconds(phases, samples) == 31
    with phases.running(Phase.FETCH):
        clock.now += 15
        assert remaining_seconds(phases, samples) == (160 - 15) + 11
        clock.now += 100
        assert remaining_seconds(phases, samples) == (300 - 115) + 11
    assert remaining_seconds(phases, samples) == 11
