"""What programs of the full set are to do; see `programs` for how it reads."""

from collections.abc import Mapping

from tests.contract.programs import PYTHON, USER

# The C library's compiled-in place for locales is not there; this names the real one.
UTF8 = "export LOCPATH=$(echo /nix/store/*-libc-bin-*/lib/locale) LC_ALL=C.UTF-8; "

FULL: Mapping[str, tuple[str, str]] = {
    # Shells and tools
    "age": ("age-keygen", "AGE-SECRET-KEY"),
    "ansible": (UTF8 + "ansible --version", "ansible [core"),
    "awscli2": ("aws --version", "aws-cli/2"),
    "bat": ("batcat --version", "bat"),
    "bc": ("echo 2^64 | bc", "18446744073709551616"),
    "borgbackup": ("borg --version", " 1."),
    "cowsay": ("cowsay moo", "< moo >"),
    "dash": ("dash -c 'echo from dash'", "from dash"),
    "ed": ("printf 'a\\nline\\n.\\n,p\\nQ\\n' | ed -s", "line"),
    "fd": ("touch found && fdfind found", "found"),
    "figlet": ("figlet x", "\\"),
    "file": ("file -L /bin/bash", "ELF 64-bit"),
    "fish": ("fish -c 'string upper fish'", "FISH"),
    "fzf": ("printf 'a\\nb\\n' | fzf -f b", "b"),
    "gdb": ("gdb -batch -ex 'python print(6 * 7)'", "42"),
    "gh": ("gh --version", "gh version"),
    "git-lfs": ("git-lfs version", "git-lfs/"),
    "gnumake": ("printf 'a:\\n\\t@echo made\\n' > Makefile && make SHELL=/bin/bash", "made"),
    "gnupatch": ("echo a > f && printf -- '--- f\\n+++ f\\n@@ -1 +1 @@\\n-a\\n+b\\n' | patch && cat f", "b"),
    "gnupg": (
        "mkdir -m 700 g && gpg --homedir /tmp/g --batch --passphrase '' --quick-gen-key a@b && gpg --homedir /tmp/g -k",
        "a@b",
    ),
    "hyperfine": ("hyperfine --version", "hyperfine"),
    "lsof": ("lsof -v 2>&1", "lsof"),
    "mercurial": ("hg init h && cd h && touch f && hg add f && hg commit -u me -m first && hg log", "first"),
    "neovim": ("nvim --headless -c 'echo $VIMRUNTIME' -c 'syntax on' -c q", "runtime"),
    "parallel": ("parallel echo ::: one two", "two"),
    "pass": ("pass version", "password manager"),
    "patchelf": ("patchelf --print-interpreter /bin/bash", "/nix/store/"),
    "psmisc": ("pstree", "pstree"),
    "pv": ("echo through | pv -q", "through"),
    "pwgen": ("pwgen -1 12 | wc -c", "13"),
    "rclone": ("rclone version", "rclone v"),
    "restic": ("restic version", "restic"),
    "ripgrep": ("echo needle > hay && rg needle hay", "needle"),
    "rsync": ("mkdir a && touch a/f && rsync -a a/ b && ls b", "f"),
    "screen": ("screen --version || true", "Screen version"),
    "shellcheck": ("echo 'echo $1' > a.sh; shellcheck -s sh a.sh || true", "SC2086"),
    "sl": ("ls -L /bin/sl", "sl"),
    "subversion": ("svnadmin create s && svn mkdir -q -m x file:///tmp/s/d && svn ls file:///tmp/s", "d/"),
    "tmux": (UTF8 + "tmux -L x new -d 'sleep 5' && tmux -L x ls", "1 windows"),
    "unzip": ("unzip -v", "UnZip"),
    "util-linux": ("lsblk --version && getopt -o a -- -a", "-a --"),
    "vim": ("vim -es -c 'call writefile([$VIMRUNTIME], \"v\")' -c 'syntax on' -c q; cat v", "share/vim/vim"),
    "wget": ("wget --version", "GNU Wget"),
    "zip": ("touch f && zip a.zip f", "adding: f"),
    "zsh": ("zsh -c 'zmodload zsh/mathfunc && echo $((sqrt(4)))'", "2."),
    "zstd": ("echo packed | zstd | zstd -d", "packed"),
    # Networks
    "dnsmasq": ("dnsmasq --version", "Dnsmasq version"),
    "dnsutils": ("dig -v", "DiG"),
    "iperf3": ("iperf3 --version", "iperf 3"),
    "mtr": ("mtr --version", "mtr"),
    "nettools": ("netstat --version || true", "net-tools"),
    "nmap": ("nmap --version && nmap --script-help default", "default"),
    "socat": ("socat -V", "socat version"),
    "tcpdump": ("tcpdump --version", "libpcap version"),
    "traceroute": ("traceroute --version", "traceroute"),
    "whois": ("whois --version", "Version"),
    "wireguard-tools": ("wg --version && wg genkey | wc -c", "45"),
    # Servers
    "apacheHttpd": ("apache2 -v", "Apache/2"),
    "caddy": ("caddy version", "2."),
    "etcd": ("etcd --version", "etcd Version"),
    "haproxy": ("haproxy -v", "HAProxy version"),
    "lighttpd": ("lighttpd -v", "lighttpd/1"),
    "mariadb": ("mariadbd --version && mariadb --version", "MariaDB"),
    "memcached": ("memcached -V", "memcached 1"),
    "mosquitto": ("mosquitto -h || true", "mosquitto version"),
    "postgresql": (
        USER + "mkdir pg && chown 99:99 pg /tmp && chroot --userspec=99:99 / /bin/bash -c 'set -e; initdb -D /tmp/pg/d"
        ' && pg_ctl -D /tmp/pg/d -o "-k /tmp -h \\"\\"" -w start && psql -h /tmp -d postgres -Atc "select 6 * 7"'
        " && pg_ctl -D /tmp/pg/d stop'",
        "\n42\n",
    ),
    "prometheus": ("prometheus --version", "prometheus, version"),
    # Languages
    "binutils": ("ld --version && objdump --version", "GNU objdump"),
    "bison": ("printf '%%%%\\na: ;\\n' > a.y && bison a.y && ls", "a.tab.c"),
    "cargo": ("cargo --version", "cargo 1"),
    "clang": ("clang-14 --version", "clang version 14"),
    "cmake": (
        ("printf 'cmake_minimum_required(VERSION 3.0)\\nproject(x NONE)\\n' > CMakeLists.txt"
        " && cmake -S . -B b -G 'Unix Makefiles' -DCMAKE_MAKE_PROGRAM=/bin/true"),
        "Generating done",
    ),
    "erlang": ("erl -noshell -eval 'io:format(\"~p~n\", [6 * 7]), halt().'", "42"),
    "flex": ("printf '%%%%\\n' > a.l && flex a.l && ls", "lex.yy.c"),
    "gcc": (
        ("printf '#include <stdio.h>\\n#include <math.h>\\nint main(int c, char **v) { printf(\"%%.0f\\\\n\", sqrt(c) * 41); }' > a.c"
        " && gcc -o a a.c -lm && ./a && printf '#include <iostream>\\nint main() { try { throw 42; } catch (int e) { std::cout << e << std::endl; } }' > b.cc"
        " && g++ -o b b.cc -static-libstdc++ -static-libgcc && ./b"),
        "41\n42\n",
    ),
    "gettext": ("msgfmt --version", "GNU gettext"),
    "go": (
        ("mkdir m && cd m && printf 'package main\\nimport \"fmt\"\\nfunc main() { fmt.Println(6 * 7) }' > m.go"
        " && CGO_ENABLED=0 go run m.go"),
        "42",
    ),
    "guile": ("guile -c '(display (* 6 7))'", "42"),
    "jdk_headless": (
        ("printf 'class A { public static void main(String[] a) { System.out.println(6 * 7); } }' > A.java"
        " && javac A.java && $(echo /nix/store/*-jre-headless-*/bin/java) A"),
        "42",
    ),
    "jre_headless": ("java -version", "OpenJDK"),
    "lua5_4": ("lua5.4 -e 'print(6 * 7)'", "42"),
    "m4": ("echo 'define(a, b)a' | m4", "b"),
    "meson": ("meson --version", "1."),
    "ninja": ("ninja --version", "1."),
    "nodejs": (
        ("node -e 'console.log(6 * 7, typeof fetch, require(\"crypto\").createHash(\"sha1\").update(\"x\").digest(\"hex\"))'"
        " && node --input-type=module -e 'import fs from \"fs\"; console.log(!!fs)'"),
        "42 function 11f6ad8ec52a2984abaafd7c3b516503785c2072\ntrue",
    ),
    "ocaml": ("echo 'print_int (6 * 7);;' > a.ml && ocaml a.ml", "42"),
    "php": ("php8.2 -r 'echo 6 * 7, json_encode([1]);'", "42[1]"),
    "pkg-config": ("pkgconf --version", "."),
    "python311": ("python3.11 -c 'print(6 * 7)'", "42"),
    "R": ("R --version", "R version"),
    "ruby": ("ruby -e 'require \"json\"; require \"openssl\"; require \"set\"; puts({a: 6 * 7}.to_json)' && gem --version", "42"),
    "rustc": ("echo 'fn main() {}' > a.rs && rustc --emit=obj -o a.o a.rs && ls", "a.o"),
    "tcl": ("echo 'puts [expr 6 * 7]; puts [clock format 0]' | tclsh8.6", "42"),
    # Media and documents
    "ffmpeg": (
        ("ffmpeg -hide_banner -loglevel error -f lavfi -i testsrc=duration=1:size=320x240:rate=10 -f lavfi -i sine -t 1"
        " -c:v libx264 -c:a aac x.mp4 && ffprobe -v error -show_streams x.mp4"),
        "codec_name=h264",
    ),
    "ghostscript": ("gs -q -dNODISPLAY -c '6 7 mul == quit'", "42"),
    "gnuplot": ("gnuplot -e 'set term dumb; plot x'", "*"),
    "graphviz": ("echo 'digraph { a -> b }' | dot -Tsvg", "<svg"),
    "hugo": ("hugo version", "hugo v"),
    "imagemagick": ("convert -size 10x10 xc:red a.png && identify a.png", "PNG 10x10"),
    "pandoc": ("echo '# title' | pandoc -t html", "title</h1>"),
    "poppler_utils": ("pdftotext -v", "pdftotext version"),
    "qrencode": ("qrencode -t ASCII hi", "##"),
    "sox": ("sox -n a.wav synth 1 sine 440 && ls", "a.wav"),
    "tesseract": ("tesseract --version", "tesseract"),
    # Containers
    "buildah": ("buildah --version", "buildah version"),
    "docker-client": ("docker --version", "Docker version"),
    "podman": ("podman --version", "podman version"),
    "skopeo": ("skopeo --version", "skopeo version"),
    "umoci": ("umoci --version", "umoci"),
    # Nested
    "haskellPackages.ShellCheck": ("shellcheck --version", "ShellCheck"),
    "haskellPackages.pandoc-cli": ("pandoc --version", "pandoc"),
    "perlPackages.libwwwperl": ("ls -L /share/perl5/LWP.pm", "LWP.pm"),
    "python3Packages.django": ("django-admin --version", "3."),
    "python3Packages.flask": ("flask --version", "Flask"),
    "python3Packages.matplotlib": (
        PYTHON + "'import matplotlib; matplotlib.use(\"Agg\"); import matplotlib.pyplot as p; p.plot([1, 2]);"
        " p.savefig(\"/tmp/a.png\")' && ls",
        "a.png",
    ),
    "python3Packages.numpy": (PYTHON + "'import numpy; print(numpy.arange(3).dot(numpy.arange(3)))'", "5"),
    "python3Packages.pandas": (PYTHON + "'import pandas; print(pandas.DataFrame([42]))'", "42"),
    "python3Packages.pillow": (PYTHON + "'from PIL import Image; Image.new(\"RGB\", (9, 9)).save(\"a.jpg\")' && ls", "a.jpg"),
    "python3Packages.pyyaml": (PYTHON + "'import yaml; print(yaml.safe_load(\"a: 42\"))'", "42"),
    "python3Packages.scipy": (PYTHON + "'import scipy.linalg; print(scipy.linalg.det([[6, 0], [0, 7]]))'", "42"),
    "xorg.xeyes": ("ls -L /bin/xeyes", "xeyes"),
}  # fmt: skip
