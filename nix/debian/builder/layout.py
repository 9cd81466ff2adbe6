"""Where a file of a Debian package lies inside a unit. Pure."""

import posixpath
import re
from dataclasses import dataclass

# Maintainer-script state, the init system's business and documentation: nothing a program opens.
LEFT_OUT = re.compile(
    r"(var|run|dev|proc|boot|srv|home|root|tmp)(/|$)"
    r"|share/(lintian|bug|doc-base|menu|info|linda|reportbug|apport)(/|$)"
    r"|share/doc/(?!.*/copyright$)"
    r"|etc/(init\.d|cron\.[a-z]+|logrotate\.d|default|rc\S\.d)(/|$)"
    r"|lib/(systemd|tmpfiles\.d|sysusers\.d|udev)(/|$)"
)
MERGED_HEADS = {"sbin": "bin", "games": "bin", "lib64": "lib"}
MULTIARCH_HEADS = ("lib", "include")


@dataclass(frozen=True, slots=True)
class Layout:
    """Debian's directories merged into one prefix.

    `usr/X` is `X`; `sbin` and `games` are `bin`; `lib64` is `lib`; what lies in a multiarch
    directory (`lib/x86_64-linux-gnu`) lies in its parent.
    """

    triplet: str

    def place(self, path: str) -> str | None:
        """The place of a Debian path (absolute, or as tar has it), or None where it is left out."""
        inside = posixpath.normpath("/" + path.removeprefix(".")).lstrip("/")
        inside = inside.removeprefix("usr/")
        if inside in ("", "usr"):
            return None
        head, _, tail = inside.partition("/")
        head = MERGED_HEADS.get(head, head)
        if head in MULTIARCH_HEADS and (tail + "/").startswith(self.triplet + "/"):
            tail = tail[len(self.triplet) + 1 :]
        placed = f"{head}/{tail}" if tail else head
        return None if LEFT_OUT.match(placed) else placed
