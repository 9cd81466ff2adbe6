"""Numbers of bytes for people."""

MIB = 1 << 20  # the unit of limits in settings and messages

_STEP = 1000
_UNITS = ("B", "kB", "MB", "GB", "TB")


def readable_size(size: int) -> str:
    """Return ``size`` in decimal units, with three digits: ``1.23 MB``."""
    if size < _STEP:
        return f"{size} B"
    power = min((len(str(size)) - 1) // 3, len(_UNITS) - 1)
    number = size / _STEP**power
    return f"{number:.{max(3 - len(str(int(number))), 0)}f} {_UNITS[power]}"
