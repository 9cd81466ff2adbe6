"""A pool of threads that goes on where the system allows no more threads.

A build may use up the processes of its container or service, which share a limit with threads.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from app.errors import Unavailable

_MOST = 1024


class ThreadPool(ThreadPoolExecutor):
    """Work for which no thread can be started waits for one that runs.

    Python's own executor raises an error then, and runs the work later in spite of it.
    """

    def __init__(self, name: str, *, initializer: Callable[[], None] | None = None) -> None:
        super().__init__(_MOST, thread_name_prefix=name, initializer=initializer)

    def start(self, count: int) -> None:
        """Return when as many threads run.  Raise Unavailable if the system allows fewer."""
        running, go_on = threading.Semaphore(0), threading.Event()

        def work() -> None:
            running.release()
            go_on.wait()  # so that none does the work of two

        try:
            for _ in range(count):
                self.submit(work)
            if len(self._threads) < count:
                raise no_thread()
            for _ in range(count):
                running.acquire()
        finally:
            go_on.set()

    def _adjust_thread_count(self) -> None:
        """Start a thread if none is idle; the work is in the queue."""
        try:
            super()._adjust_thread_count()
        except RuntimeError:
            if not self._threads:
                raise no_thread() from None


def no_thread() -> Unavailable:
    """Return the error of the first thread that cannot be started."""
    return Unavailable(
        "the server cannot start a thread: its operator has to raise the limit of its processes"
        " (TasksMax of systemd, pids-limit of containers)"
    )
