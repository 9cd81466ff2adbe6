"""The status and the headers of a response, which libcurl passes on line by line."""

from http import HTTPStatus

SUCCESSES = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT})

_DIGITS = 18  # of a number in a header
_UNENCODED = frozenset({"identity", "none"})


def _is_number(text: bytes) -> bool:
    """Return whether the text is a number; Python refuses to convert thousands of digits."""
    return text.isdigit() and len(text) <= _DIGITS


class ResponseHead:
    """The status line and the headers of the last response."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.status = 0
        self.start = 0
        self.total: int | None = None
        self.has_range = False
        self.date = ""
        self.encoding = ""
        self.retry_after: float | None = None

    def line(self, line: bytes) -> None:
        if line.startswith(b"HTTP/"):
            self.reset()
            words = line.split()
            self.status = int(words[1]) if len(words) > 1 and _is_number(words[1]) else 0
            return
        name, _, value = line.partition(b":")
        match name.lower():
            case b"retry-after":
                # The form with a date would need a trusted clock.
                seconds = value.strip()
                self.retry_after = float(seconds) if _is_number(seconds) else None
            case b"content-encoding":
                encoding = value.strip().lower().decode(errors="replace")
                self.encoding = "" if encoding in _UNENCODED else encoding
            case b"date":
                self.date = value.strip().decode(errors="replace")
            case b"content-range":
                self._range(value.strip().removeprefix(b"bytes "))
            case _:
                pass

    def _range(self, value: bytes) -> None:
        part, _, total = value.partition(b"/")
        first = part.partition(b"-")[0]
        if self.status == HTTPStatus.PARTIAL_CONTENT and _is_number(first):
            self.start, self.has_range = int(first), True
        if _is_number(total):
            self.total = int(total)

    @property
    def is_encoded(self) -> bool:
        return bool(self.encoding)

    @property
    def has_unknown_place(self) -> bool:
        """Whether the body is a part of the file at an unknown position."""
        is_part = self.status == HTTPStatus.PARTIAL_CONTENT
        return is_part and (self.is_encoded or not self.has_range)

    def lacks(self, end: int) -> bool:
        """Return whether the body was a part that ends before the end of the file."""
        is_part = self.status == HTTPStatus.PARTIAL_CONTENT and not self.is_encoded
        return is_part and self.total is not None and end < self.total
