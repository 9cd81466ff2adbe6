"""Languages import the libraries that an image's name lists, and what these need."""

from pathlib import Path

import pytest

from tests.e2e.clients import Docker, Podman, Skopeo, pull
from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e

# One script for many assertions, since each start of a container costs a second.
PYTHON = """
set -e
cd "$1"
export HOME="$1"
printf 'import requests\\nprint("a child by PATH", requests.__name__)' > child.py
python3 - <<'END'
import json, subprocess, sys
import requests, urllib3, idna, pip

run = lambda *command: subprocess.run(command, check=True, capture_output=True, text=True).stdout
ask = ("-c", "import requests; print(requests.__name__)")
print(json.dumps([sys.prefix, sys.base_prefix]))
print(run("python3", "child.py"), end="")
print(run(sys.executable, *ask), end="")
print(run("/bin/python3", *ask), end="")
print(run(sys.executable, "-I", *ask), end="")
print(run("/usr/bin/env", "-i", sys.executable, *ask), end="")
END
python3 -m venv --system-site-packages --without-pip with
with/bin/python -c 'import requests; print("in a venv that has the system:", requests.__name__)'
python3 -m venv new
new/bin/python -c 'import importlib.util as u; print("in a new venv:", u.find_spec("requests"))'
mkdir project
printf '[build-system]\\nrequires = []\\nbuild-backend = "backend"\\nbackend-path = ["."]\\n' > project/pyproject.toml
cat > project/backend.py <<'END'
import zipfile

FILES = {
    "METADATA": "Metadata-Version: 2.1\\nName: mine\\nVersion: 1\\n",
    "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "RECORD": "",
}

def build_wheel(directory, *_):
    name = "mine-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as wheel:
        wheel.write("mine.py")
        for file, content in FILES.items():
            wheel.writestr(f"mine-1.dist-info/{file}", content)
    return name
END
echo 'print("installed by pip")' > project/mine.py
new/bin/pip install -q --disable-pip-version-check --no-index --no-build-isolation ./project
new/bin/python -m mine
python3 -m pip install -q --no-warn-script-location --disable-pip-version-check --user --break-system-packages --no-index --no-build-isolation ./project
python3 -m mine
"""
SCRIPTS = """
for place in /usr/bin/python3 /bin/python3 "/usr/bin/env python3"; do
  printf '#!%s\nimport requests; print("a script of", "%s")' "$place" "$place" > script.py
  chmod +x script.py && ./script.py
done
printf '#!/usr/bin/perl\nuse JSON; print JSON->new->encode([2]), "\n"' > script.pl
chmod +x script.pl && ./script.pl
# Debian's Perl looks into /usr/share/perl5, also without the variable.
/usr/bin/env -i ./script.pl
"""
# A link elsewhere has what is beside it, or one directory up.
LINKED = """
echo
ln -s /usr/bin/python3 /usr/local/bin/linked
linked -c 'import json, requests' 2>&1 | tail -n 1
cp /usr/pyvenv.cfg /usr/local/
printf '#!/usr/local/bin/linked\nimport requests; print("a script of a link")' > script.py
./script.py
"""
PERL = """
perl -MJSON -e 'print JSON->new->encode([1]), "\\n"; print qx(perl -MJSON -e "print JSON->VERSION");'
"""
NIXPKGS = """
cd /tmp
python3 --version
python3 -c 'import os, sys, alpha, gamma; print(sys.prefix, sys.base_prefix, os.path.realpath(gamma.__file__).startswith("/nix") and gamma.__file__.removeprefix("/usr"))'
python3 -c 'import subprocess; print(subprocess.check_output(["python3", "-c", "import alpha; print(\\"in a child\\")"], text=True), end="")'
python3 -m venv --system-site-packages --without-pip v && v/bin/python -c 'import alpha; print("in a venv")'
perl -MAlpha -e 'print "perl ", exists $INC{"Gamma.pm"} ? 1 : 0, "\\n"'
echo only libraries: $(ls /bin | grep -E '(alpha|beta|gamma)$')
"""
OTHERS = """
set -e
cd "$1"
printf '#!/usr/bin/env node\nimport alpha from "alpha"; console.log(alpha.title)' > child.mjs
printf '#!/usr/bin/lua\nprint(require("alpha").name, require("string").len("own"))' > child.lua
printf '#!/usr/bin/ruby\nrequire "alpha"; puts $loaded' > child.rb
chmod +x child.*
./child.mjs; ./child.lua; ./child.rb
node -e 'const run = require("child_process").execFileSync; console.log(require("alpha").title, require("os").EOL.length, String(run("node", ["./child.mjs"])).trim())'
lua -e 'print(require("alpha").name, io.popen("./child.lua"):read())'
lua -e 'print(require("lpeg").match(require("lpeg").P("a"), "a"))'
ruby -e 'require "alpha"; require "vendored"; require "json"; require "set"; puts [$loaded, $vendored, [1].to_json, `./child.rb`.strip].join(" ")'
ruby -e 'puts Gem::Specification.map(&:name).grep(/alpha|beta/).sort.uniq.join(" ")'
"""
R = """
set -e
cd "$1"
cat > child.R <<'END'
#!/usr/bin/env Rscript
cat("a child:", jsonlite::toJSON(1:2), "\\n")
END
chmod +x child.R && ./child.R
Rscript --vanilla -e 'library(lifecycle); cat(is_present(deprecated()), dirname(find.package("rlang")), sd(c(1, 3)) > 1, "\\n")'
R --no-save --quiet --no-echo -e 'cat(system("./child.R", intern = TRUE), "\\n")'
mkdir -p mine/R added
printf 'Package: mine\nVersion: 1.0\nTitle: T\nDescription: D.\nAuthor: A\nMaintainer: A <a@b.c>\nLicense: MIT\n' > mine/DESCRIPTION
echo 'exportPattern("^m")' > mine/NAMESPACE
echo 'mine <- function() jsonlite::unbox("installed")' > mine/R/mine.R
R CMD INSTALL --library=added mine > log 2>&1 || cat log
R_LIBS=added Rscript -e 'cat(mine::mine(), "\\n")'
"""
IMAGE = "bashinteractive/coreutils/python3/python3packages.requests/python3packages.pip/perl/perlpackages.json"


def test_libraries_of_an_images_name_are_imported_wherever_its_interpreter_runs(
    server: Server, docker: Docker, podman: Podman
) -> None:
    image = f"{server.address}/{IMAGE}:latest"
    pull(docker, image)
    pull(podman, image)

    everything = (image, "bash", "-c", PYTHON + SCRIPTS + PERL, "bash", "/tmp")
    scripts = (image, "bash", "-c", f"cd /tmp\n{SCRIPTS}{PERL}{LINKED}")
    output = docker.run_as(["--user=4321"], *everything).splitlines()

    assert podman.run_as([], *scripts).splitlines() == [
        *output[-7:],
        "ModuleNotFoundError: No module named 'requests'",
        "a script of a link",
    ]
    assert output == [
        '["/usr", "/usr"]',
        *["a child by PATH requests", *["requests"] * 4],
        "in a venv that has the system: requests",
        "in a new venv: None",
        "installed by pip",
        "installed by pip",
        "a script of /usr/bin/python3",
        "a script of /bin/python3",
        "a script of /usr/bin/env python3",
        "[2]",
        "[2]",
        "[1]",
        "4.10",
    ]


def test_nixpkgs_layout_is_composed_with_what_libraries_propagate(
    new_server: ServerFactory, salted_packages: Path, skopeo: Skopeo
) -> None:
    server = new_server(salted_packages)
    like = "nixpkgslike."
    image = f"{server.address}/shell/gnugrep/perl/{like}python/{like}alpha/{like}perlalpha:latest"
    pull(skopeo, image)

    first, *output = skopeo.run(image, "bash", "-c", NIXPKGS).splitlines()
    release = first.removeprefix("Python ").rpartition(".")[0]

    assert output == [
        f"/usr /usr /lib/python{release}/site-packages/gamma.py",
        "in a child",
        "in a venv",
        "perl 1",
        f"only libraries: python{release}-alpha",
    ]


@pytest.mark.full
def test_lua_node_and_ruby_find_the_libraries_of_the_name(
    new_server: ServerFactory, salted_full_packages: Path, docker: Docker
) -> None:
    server = new_server(salted_full_packages)
    like = "nixpkgslike."
    libraries = (
        f"{like}luaalpha/debianpackages.lua-lpeg/{like}nodealpha/{like}rubyalpha/{like}rubyvendored"
    )
    image = f"{server.address}/shell/gnugrep/lua5_4/nodejs/ruby/{libraries}:latest"
    pull(docker, image)

    output = docker.run_as(["--user=4321"], image, "bash", "-c", OTHERS, "bash", "/tmp")

    assert output.splitlines() == [
        "alpha",
        "alpha\t3",
        "alpha",
        "alpha 1 alpha",
        "alpha\talpha\t3",
        "2",
        "alpha true [1] alpha",
        "alpha beta",
    ]


@pytest.mark.full
def test_r_finds_the_libraries_of_the_name(
    new_server: ServerFactory, salted_full_packages: Path, docker: Docker
) -> None:
    server = new_server(salted_full_packages)
    image = f"{server.address}/shell/which/r/rpackages.jsonlite/nixpkgslike.rlifecycle:latest"
    pull(docker, image)

    output = docker.run_as(["--user=4321"], image, "bash", "-c", R, "bash", "/tmp")

    assert [line.strip() for line in output.splitlines()] == [
        "a child: [1,2]",
        "FALSE /lib/R/site-library TRUE",
        "a child: [1,2]",
        "installed",
    ]
