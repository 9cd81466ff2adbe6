"""What programs of the package set are to do, by attribute: a line of bash that must succeed,
and a text its output must hold. COMPANIONS are there beside the package."""

from collections.abc import Mapping

COMPANIONS = ("bash", "coreutils", "getent", "gnugrep")

GIT = "git -c user.name=a -c user.email=a@b"
# Modules by themselves are found by PYTHONPATH, as they are without withPackages in nixpkgs.
PYTHON = (
    "export PYTHONPATH=$(printf '%s:' /nix/store/*/lib/python3/dist-packages); "
    "$(echo /nix/store/*-python3-3*/bin/python3) -c "
)
USER = "echo user:x:99:99::/tmp:/bin/sh > /etc/passwd; echo user:x:99: > /etc/group; "

SMALL: Mapping[str, tuple[str, str]] = {
    "hello": ("hello", "Hello, world!"),
    "bashInteractive": ("bash --version", "GNU bash"),
    "busybox": ("busybox echo from busybox", "from busybox"),
    "busybox-sandbox-shell": (
        "/nix/store/*-busybox-1*/bin/sh -c 'echo from a static shell'",
        "from a static shell",
    ),
    "bzip2": ("echo packed | bzip2 | bunzip2", "packed"),
    "cacert": (
        "grep -c 'BEGIN CERTIFICATE' /etc/ssl/certs/ca-bundle.crt && test -s /etc/ssl/certs/ca-certificates.crt && echo both",
        "both",
    ),
    "coreutils": ("printf 'b\\na\\n' | sort | sha256sum && stat -c %F /bin", "directory"),
    "curl": ("curl --version && curl -s file:///bin/curl -o /tmp/x && echo fetched", "fetched"),
    "diffutils": ("diff <(echo a) <(echo b) || true", "> b"),
    "findutils": ("find /bin -name find && echo one two | xargs -n1 echo", "two"),
    "gawk": ("echo 1 2 | gawk '{print $1 + $2}' && echo x | awk '{print \"awk\"}'", "awk"),
    "getent": (
        "getent --version && printf '\\303\\274' | iconv -f UTF-8 -t UTF-16LE | od -tx1",
        "fc 00",
    ),
    "git": (
        (
            f"git init -q r && cd r && echo text > f && git add f && {GIT} commit -qm first"
            f" && git clone -q /tmp/r /tmp/r2 && cd /tmp/r2 && git log --format=%s && git submodule status"
            f" && {GIT} format-patch --root -o /tmp/p && echo q | git add -p && git grep text"
        ),
        "f:text",
    ),
    "glibcLocales": (
        "mkdir -p /usr/lib && ln -s /lib/locale /usr/lib/locale && LC_ALL=de_DE.UTF-8 printf '%.1f' 1,5",
        "1,5",
    ),
    "glibc": ("ls /lib/libc.so.6", "libc.so.6"),
    "gnugrep": ("echo abc | grep -oP 'b(?=c)'", "b"),
    "gnused": ("echo a | sed s/a/replaced/", "replaced"),
    "gnutar": ("echo x > x && tar cf a.tar x && tar tf a.tar", "x"),
    "gzip": ("echo packed | gzip | gunzip && echo packed | gzip > x.gz && zcat x.gz", "packed"),
    "htop": ("htop --version", "htop 3"),
    "iana-etc": ("grep -w https /etc/services && test -s /etc/protocols", "443/tcp"),
    "iproute2": ("ip -V && ip addr show lo", "loopback"),
    "iputils": ("ping -V", "iputils"),
    "jq": ("echo '{\"a\": [1, 2]}' | jq -c .a", "[1,2]"),
    "less": ("less --version", "less"),
    "moreutils": (
        "echo sponged | sponge x && cat x && echo a | ts && errno ENOENT && vidir --help; ifne cat < x",
        "sponged",
    ),
    "nano": ("nano --version", "GNU nano"),
    "ncurses": ("tput -T xterm colors && infocmp linux | head -1", "linux"),
    "netcat": ("nc -h 2>&1 || true", "OpenBSD netcat"),
    "nginx": (
        (
            "nginx -v && echo nobody:x:9:9::/: > /etc/passwd && echo nogroup:x:9: > /etc/group && printf 'pid /tmp/pid; error_log stderr; events {} http { access_log off; }' > c"
            " && nginx -e stderr -p /tmp -c c -t"
        ),
        "test is successful",
    ),
    "nix": ("nix --version", "nix (Nix)"),
    "openssh": (
        USER
        + "echo root:x:0:0::/tmp:/bin/sh >> /etc/passwd; ssh -V && ssh-keygen -q -t ed25519 -N '' -f id && cat id.pub",
        "ssh-ed25519",
    ),
    "openssl": (
        (
            "openssl version && openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -subj /CN=x -days 1 2>/dev/null"
            " && openssl x509 -in c -noout -subject && openssl list -providers -provider legacy"
        ),
        "legacy",
    ),
    "perl": (
        "perl -MPOSIX -MList::Util=sum -MEncode -MSocket -MStorable -MFile::Spec -e 'print \"sum \", sum(1, 2)'",
        "sum 3",
    ),
    "perlPackages.JSON": ("ls -L /share/perl5/JSON.pm", "JSON.pm"),
    "procps": ("ps ax && free", "Mem:"),
    "python3": (
        (
            "python3 -c 'import ssl, json, sqlite3, ctypes, hashlib, lzma, bz2, curses, readline, zlib, decimal, asyncio,"
            ' multiprocessing, uuid; curses.setupterm("xterm", 1); print(sqlite3.connect(":memory:")'
            '.execute("select 6 * 7").fetchone(), ssl.OPENSSL_VERSION)\''
            " && python --version"
        ),
        "(42,)",
    ),
    "python3Packages.requests": ("ls -L /lib/python3/dist-packages/requests/api.py", "api.py"),
    "python3Packages.pip": (PYTHON + "'import pip; print(pip.__name__)'", "pip"),
    "redis": (
        (
            "redis-server --port 0 --unixsocket /tmp/r.sock --daemonize yes; until redis-cli -s /tmp/r.sock ping; do :; done;"
            " redis-cli -s /tmp/r.sock set a b && redis-cli -s /tmp/r.sock get a"
        ),
        "OK\nb\n",
    ),
    "sqlite": ("sqlite3 :memory: 'select 6 * 7'", "42"),
    "strace": ("strace -V", "strace -- version"),
    "tree": ("mkdir -p a/b && tree a", "b"),
    "tzdata": ("test -s /share/zoneinfo/Europe/Berlin && ls /share/zoneinfo/UTC", "UTC"),
    "which": ("which bash", "/bin/bash"),
    "xz": ("echo packed | xz | xzcat", "packed"),
    "_2ping": ("2ping --version", "4."),
    "xorg.xev": ("xev -version", "xev"),
}
