"""Hypothesis has the settings of ``tests/examples.py`` in every file of tests."""

from hypothesis import settings

AT_IMPORT = settings(max_examples=3)


def test_examples_have_no_time_limit() -> None:
    assert settings.get_current_profile_name() == "any machine"
    assert AT_IMPORT.deadline is None
