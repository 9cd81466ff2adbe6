"""Programs find the data of the image's packages where they look: /usr/share, /etc, /usr/lib."""

from pathlib import Path

import pytest

from tests.e2e.clients import Docker, Podman, pull
from tests.e2e.server import ServerFactory

pytestmark = pytest.mark.e2e

# One script for many assertions, since each start of a container costs a second.
TIME = """
TZ=Europe/Berlin date -d @1700000000 +%Z%z
test -f $TZDIR/Europe/Berlin && test -f $LOCALE_ARCHIVE && echo named
TZ=America/St_Johns python3 -c 'import time; print(time.strftime("%Z", time.localtime(0)))'
python3 -c 'import datetime, zoneinfo; print(datetime.datetime.fromtimestamp(0, zoneinfo.ZoneInfo("Asia/Tokyo")).tzname())'
TZ=Australia/Sydney perl -MPOSIX -e 'print strftime("%Z", localtime 0), "\\n"'
"""
LANGUAGE = """
LC_ALL=de_DE.UTF-8 date -d @1700000000 +%A
LC_ALL=fr_FR.UTF-8 python3 -c 'import locale; locale.setlocale(locale.LC_ALL, ""); print(locale.localeconv()["decimal_point"])'
LC_ALL=es_ES.UTF-8 perl -MPOSIX -e 'setlocale(LC_ALL, ""); print strftime("%B", gmtime 0), "\\n"'
"""
TERMINALS = """
TERM=xterm-256color tput colors; TERM=vt100 tput cols
python3 - <<'END'
import curses, os, pty, sys
curses.setupterm("screen-256color", sys.stdout.fileno())
print(curses.tigetnum("colors"))
def typed(command, keys):
    child, terminal = pty.fork()
    if not child:
        os.environ["TERM"] = "xterm-256color"
        os.execvp(command[0], command)
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            if not shown: os.write(terminal, keys)
            shown += part
    except OSError:
        pass
    _, status = os.waitpid(child, 0)
    return status, b"\\x1b[" in shown, b"root" in shown
print(typed(["less", "/etc/passwd"], b"q"))
print(typed(["nano", "/etc/passwd"], b"\\x18"))
print(typed(["htop"], b"q")[:2])
END
"""
NAMES = """
getent services https | tr -s ' '; getent protocols tcp | tr -s ' '
python3 -c 'import socket; print(socket.getservbyname("ldap"), socket.getprotobyname("udp"))'
perl -e 'print scalar getservbyname("imaps", "tcp"), "\\n"'
python3 -c 'import ssl; print(ssl.create_default_context().cert_store_stats()["x509_ca"] > 50)'
"""
# What a package of the test's own brings.
PLACES = """
python3 -c 'import mimetypes; print(mimetypes.guess_type("file.odd"))'
cat /usr/share/dict/words /usr/share/man/man1/odd.1 /usr/libexec/odd/helper
bash -lc 'echo $FROM_PROFILE'
bash -c '. /usr/share/bash-completion/completions/odd; complete -p odd'
"""
SCRIPT = TIME + LANGUAGE + TERMINALS + NAMES + PLACES
OUTPUT = """
CET+0100
named
NST
JST
AEST
Dienstag
,
enero
256
80
256
(0, True, True)
(0, True, True)
(0, True)
https 443/tcp
tcp 6 TCP
389 17
993
True
('application/x-odd', None)
word
.TH ODD 1
helper
profile
complete -W 'even odd' odd
"""
IMAGE = "shell/tzdata/glibclocales/ncurses/less/htop/python3/perl/getent/data-places"


def test_data_of_packages_is_found_where_programs_look(
    new_server: ServerFactory, salted_packages: Path, docker: Docker, podman: Podman
) -> None:
    image = f"{new_server(salted_packages).address}/{IMAGE}:latest"
    pull(docker, image)
    pull(podman, image)
    run = (image, "bash", "-c", SCRIPT)

    expected = OUTPUT.split("\n")[1:]
    assert docker.run_as(["--user=4711", "--read-only"], *run).split("\n") == expected
    assert podman.run_as([], *run).split("\n") == expected
