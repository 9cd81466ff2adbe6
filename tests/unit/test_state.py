"""Values of the state that routes share."""

from app.state import LiveStreams


def test_streams_are_limited_together_and_for_each_client() -> None:
    streams = LiveStreams(limit=3, share=2)

    with streams.counted("a"), streams.counted("a"):
        assert not streams.admits("a")
        assert streams.admits("b")
        with streams.counted("b"):
            assert not streams.admits("c")
        assert streams.admits("c")


def test_a_stream_that_ended_leaves_its_place() -> None:
    streams = LiveStreams(limit=3, share=2)
    with streams.counted("a"):
        with streams.counted("a"):
            pass
        # The first of the two is still counted.
        with streams.counted("a"):
            assert not streams.admits("a")

    assert streams.admits("a")
    assert not streams._clients  # nothing is kept of clients that left
