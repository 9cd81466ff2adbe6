"""Shell scripts in place of programs that need something in their environment."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nix.debian.builder.prefix import Prefix

Variables = tuple[tuple[str, str], ...]


class NoShell(Exception):
    """A unit whose programs are wrapped does not depend on a shell."""


@dataclass(frozen=True, slots=True)
class Environment:
    """`defaults` yield to the caller's values; `before` and `after` join a search path."""

    defaults: Variables = ()
    before: Variables = ()
    after: Variables = ()

    def __bool__(self) -> bool:
        return bool(self.defaults or self.before or self.after)

    def script(self) -> str:
        return "".join(
            [
                *(f'export {name}="${{{name}-{value}}}"\n' for name, value in self.defaults),
                *(f'export {name}="{value}${{{name}:+:${name}}}"\n' for name, value in self.before),
                *(f'export {name}="${{{name}:+${name}:}}{value}"\n' for name, value in self.after),
            ]
        )


def wrap(prefix: Prefix, place: str, environment: Environment) -> None:
    """Moves the program aside and writes a script that sets its environment and becomes it."""
    path = prefix.absolute(place)
    hidden = path.with_name(f".{path.name}-wrapped")
    path.rename(hidden)
    path.write_text(f'#!{shell(prefix)}\n{environment.script()}exec -a "$0" {hidden} "$@"\n')
    path.chmod(0o755)


def shell(prefix: Prefix) -> Path:
    """Raises NoShell."""
    if found := prefix.program("bash"):
        return found
    raise NoShell("a wrapper is a shell script, and bash is not among the dependencies")


def wrap_programs(prefix: Prefix, interpreters: Mapping[str, str]) -> None:
    """Wraps what the recipe says, and Perl's and Python's programs where modules lie elsewhere."""
    recipe, task = prefix.task.recipe, prefix.task
    general = Environment(
        defaults=tuple((name, task.expand(value)) for name, value in sorted(recipe.env.items())),
        before=redirection(prefix),
        after=(("PATH", ":".join(f"{task.dependencies[unit]}/bin" for unit in recipe.path)),)
        if recipe.path
        else (),
    )
    perl, python = module_paths(prefix)
    for place in sorted(prefix.files):
        modules: Variables = ()
        interpreter = interpreters.get(place, "") if place.startswith("bin/") else ""
        if interpreter.startswith("perl") and perl:
            modules = (("PERL5LIB", ":".join(perl)),)
        elif interpreter.startswith("python") and python:
            modules = (("PYTHONPATH", ":".join(python)),)
        chosen = (
            place in recipe.wrap
            if recipe.wrap is not None
            else place.startswith("bin/") and prefix.files[place]
        )
        environment = (
            Environment(general.defaults, general.before + modules, general.after)
            if chosen
            else Environment(before=modules)
        )
        if environment:
            wrap(prefix, place, environment)


def redirection(prefix: Prefix) -> Variables:
    """For programs whose data has a compiled-in place: a preloaded library that looks elsewhere."""
    redirect = prefix.task.recipe.redirect
    if not redirect:
        return ()
    moves = ":".join(f"{old}={prefix.task.expand(new)}" for old, new in sorted(redirect.items()))
    return (("LD_PRELOAD", f"{prefix.task.redirect_library}/lib/redirect.so"), ("REDIRECT", moves))


def module_paths(prefix: Prefix) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where Perl's and Python's modules of this unit and its closure lie; not the languages' own."""
    out = prefix.task.out
    perl = [out, *(d.path for d in prefix.closure if d.record.perl)]
    python = [out, *(d.path for d in prefix.closure if d.record.python)]
    return (
        () if has_perl(out) else tuple(str(d) for root in perl for d in perl_directories(root)),
        () if has_python(out) else tuple(str(d) for d in python_directories(python)),
    )


def has_perl(out: Path) -> bool:
    return (out / "bin/perl").exists()


def has_python(out: Path) -> bool:
    return (out / "bin/python3").exists()


def perl_directories(root: Path) -> tuple[Path, ...]:
    general = root / "lib/perl5"
    versioned = (
        sorted(d for d in general.iterdir() if re.fullmatch(r"5\.\d+", d.name))
        if general.is_dir()
        else []
    )
    return tuple(d for d in (*versioned, general, root / "share/perl5") if d.is_dir())


def python_directories(roots: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(d for root in roots if (d := root / "lib/python3/dist-packages").is_dir())
