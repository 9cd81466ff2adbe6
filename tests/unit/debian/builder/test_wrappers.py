import os
import subprocess
from pathlib import Path

import pytest

from nix.debian.builder.task import Recipe
from nix.debian.builder.wrappers import Environment, NoShell
from tests.unit.debian.builder.units import Store


def run(environment: Environment, shown: str, **variables: str) -> str:
    script = f'{environment.script()}printf %s "${{{shown}-unset}}"'
    done = subprocess.run(
        ["/bin/bash", "-c", script], env=variables, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("environment", "caller", "seen"),
    [
        (Environment(defaults=(("X", "ours"),)), {}, "ours"),
        (Environment(defaults=(("X", "ours"),)), {"X": "theirs"}, "theirs"),
        (Environment(defaults=(("X", "ours"),)), {"X": ""}, ""),
        (Environment(before=(("X", "/ours"),)), {}, "/ours"),
        (Environment(before=(("X", "/ours"),)), {"X": "/theirs"}, "/ours:/theirs"),
        (Environment(after=(("X", "/ours"),)), {}, "/ours"),
        (Environment(after=(("X", "/ours"),)), {"X": "/theirs"}, "/theirs:/ours"),
    ],
)
def test_a_wrapper_respects_what_the_caller_set(
    environment: Environment, caller: dict[str, str], seen: str
) -> None:
    assert run(environment, "X", **caller) == seen


def real_shell(store: Store) -> Path:
    """The machine's own, so that what is wrapped can be run."""
    out = store.shell()
    (out / "bin/bash").unlink()
    (out / "bin/bash").symlink_to("/bin/bash")
    return out


def test_a_wrapped_program_gets_its_environment_its_name_and_its_arguments(store: Store) -> None:
    real_shell(store)
    script = b'#!/bin/bash\necho "$DATA" "$@"\n'
    out = store.unit(
        "tool",
        {"usr/bin/tool": script, "usr/share/tool/data": b""},
        needs=("bash",),
        recipe=Recipe(env={"DATA": "@out@/share/tool"}),
    )
    done = subprocess.run(
        [out / "bin/tool", "a b", "c"], check=True, capture_output=True, text=True, env={}
    )
    assert done.stdout == f"{out}/share/tool a b c\n"


def test_programs_a_recipe_names_are_on_the_path_after_the_callers(store: Store) -> None:
    bash = real_shell(store)
    out = store.unit(
        "tool",
        {"usr/bin/tool": b'#!/bin/bash\necho "$PATH"\n'},
        needs=("bash",),
        recipe=Recipe(path=("bash",)),
    )
    done = subprocess.run([out / "bin/tool"], check=True, capture_output=True, text=True, env={"PATH": "/x"})  # fmt: skip
    assert done.stdout == f"/x:{bash}/bin\n"


def test_only_the_programs_a_recipe_chooses_are_wrapped(store: Store) -> None:
    real_shell(store)
    out = store.unit(
        "tool",
        {"usr/bin/tool": b"tool", "usr/lib/tool/inner": b"inner"},
        needs=("bash",),
        recipe=Recipe(env={"X": "1"}, wrap=frozenset(["lib/tool/inner"])),
    )
    assert (out / "bin/tool").read_bytes() == b"tool"
    assert (out / "lib/tool/.inner-wrapped").read_bytes() == b"inner"


def test_a_redirected_program_preloads_the_library_that_looks_elsewhere(store: Store) -> None:
    store.shell()
    out = store.unit(
        "tool",
        {"usr/bin/tool": b"tool"},
        needs=("bash",),
        recipe=Recipe(redirect={"/usr/share/tool": "@out@/share/tool"}),
    )
    wrapper = (out / "bin/tool").read_text()
    assert 'export LD_PRELOAD="/redirect/lib/redirect.so${LD_PRELOAD:+:$LD_PRELOAD}"' in wrapper
    assert f'export REDIRECT="/usr/share/tool={out}/share/tool${{REDIRECT:+:$REDIRECT}}"' in wrapper


def test_a_perl_program_finds_modules_of_its_closure_but_not_perls_own(store: Store) -> None:
    store.shell()
    store.unit("perl", {"usr/bin/perl": b"", "usr/share/perl5/Core.pm": b""}, needs=("bash",))
    module = store.unit("module", {"usr/share/perl5/M.pm": b"", "usr/lib/x86_64-linux-gnu/perl5/5.36/M.so": b""})  # fmt: skip
    out = store.unit(
        "tool", {"usr/bin/tool": b"#!/usr/bin/perl\n"}, needs=("bash", "module", "perl")
    )
    wrapper = (out / "bin/tool").read_text()
    paths = f"{module}/lib/perl5/5.36:{module}/lib/perl5:{module}/share/perl5"
    assert f'export PERL5LIB="{paths}${{PERL5LIB' in wrapper


def test_a_python_program_finds_modules_of_its_closure(store: Store) -> None:
    store.shell()
    store.unit("python3", {"usr/bin/python3": b"", "usr/lib/python3/dist-packages/x": b""}, needs=("bash",))  # fmt: skip
    module = store.unit("module", {"usr/lib/python3/dist-packages/m.py": b""})
    out = store.unit(
        "tool",
        {"usr/bin/tool": b"#!/usr/bin/python3\n", "usr/share/tool/other": b"#!/usr/bin/python3\n"},
        needs=("bash", "module", "python3"),
    )
    assert (
        f'export PYTHONPATH="{module}/lib/python3/dist-packages${{'
        in (out / "bin/tool").read_text()
    )
    assert not os.path.lexists(out / "share/tool/.other-wrapped")


def test_wrapping_without_a_shell_is_refused(store: Store) -> None:
    with pytest.raises(NoShell):
        store.unit("tool", {"usr/bin/tool": b""}, recipe=Recipe(env={"X": "1"}))
