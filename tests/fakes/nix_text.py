"""Package sets of ``package_set.py`` as the text of a Nix file."""

import json
from collections.abc import Iterator, Mapping

from tests.fakes.package_set import (
    REFERENCE,
    Aborts,
    Attribute,
    Endless,
    Link,
    Package,
    Packages,
    PerSystem,
    Throws,
    Unreachable,
    Value,
)

KINDS = {"a function": "x: x", "a string": '"text"', "null": "null", "a number": "1"}


def nix_text(attributes: Mapping[str, Attribute], *, salt: str, set_error: str = "") -> str:
    """Return a package set; ``salt`` makes its store paths new.

    ``set_error`` is an error with which the whole set fails.
    """
    value = f"throw {_string(set_error)}" if set_error else _set(attributes, salt)
    return f"{{ system, ... }}:\nlet own = {value};\nin own\n"


def _nix(attribute: Attribute, salt: str) -> str:
    match attribute:
        case Package():
            return _derivation(attribute, salt)
        case Packages(inner):
            return f"({_set(inner, salt)} // {{ recurseForDerivations = true; }})"
        case Mapping():
            return _set(attribute, salt)
        case PerSystem():
            raise AssertionError("only at the top of a set")
        case _:
            return _leaf(attribute)


def _leaf(attribute: Throws | Aborts | Endless | Unreachable | Value) -> str:
    match attribute:
        case Throws(message):
            return f"throw {_string(message)}"
        case Aborts(message):
            return f"abort {_string(message)}"
        case Unreachable(url):
            return f"builtins.readFile (builtins.fetchurl {_string(url)})"
        case Value(kind):
            return KINDS[kind]
        case Endless():
            each = "each = f: builtins.foldl' (_: f) null (builtins.genList (n: n) 3000)"
            return f"let {each}; in each (_: each (_: each (_: null)))"


def _set(attributes: Mapping[str, Attribute], salt: str) -> str:
    rows = " ".join(
        f"{_string(name)} = {_nix(one, salt)};"
        for name, one in attributes.items()
        if not isinstance(one, PerSystem)
    )
    parts = (
        f"(if system == {_string(system)} then {_set({name: inner}, salt)} else {{ }})"
        for name, one in attributes.items()
        if isinstance(one, PerSystem)
        for system, inner in one.attributes.items()
    )
    return " // ".join((f"{{ {rows} }}", *parts))


def _derivation(package: Package, salt: str) -> str:
    system = _string(package.system) if package.system else "system"
    outputs = " ".join(map(_string, package.outputs))
    derivation = (
        f'derivation {{ name = {_string(package.name)}; system = {system}; builder = "/bin/sh";'
        f" salt = {_string(salt)}; outputs = [ {outputs} ];"
        f' args = [ "-c" {_string("; ".join(_script(package)))} ]; }}'
    )
    meta: dict[str, object] = {
        "license": [
            {"shortName": one.name, "free": one.free} | ({"spdxId": one.spdx} if one.spdx else {})
            for one in package.licenses
        ],
        "knownVulnerabilities": list(package.vulnerabilities),
        "insecure": package.insecure,
        "broken": package.broken,
        "priority": package.priority,
        "mainProgram": package.main_program,
        "description": package.description,
        "homepage": package.homepage,
        "documentation": package.documentation,
        "position": package.position,
        "identifiers": {"cpe": package.cpe, "purl": package.purl},
    }
    text = f"({derivation} // {{ meta = builtins.fromJSON {_string(json.dumps(meta))}; }}"
    if package.refusal:
        refusal = f"throw {_string(package.refusal)}"
        text += f" // {{ drvPath = {refusal}; outPath = {refusal}; }}"
    return f"{text})"


def _script(package: Package) -> Iterator[str]:
    yield from (f"echo {_quoted(line)}" for line in package.log)
    if package.build_seconds:
        yield f"/bin/sleep {min(package.build_seconds, 600):g}"
    if package.fails:
        yield "exit 3"
    for output, files in package.outputs.items():
        for path, entry in files.items():
            place = f"${output}/{path}" if path else f"${output}"
            if "/" in place:
                yield f"/bin/mkdir -p {place.rpartition('/')[0]}"
            if isinstance(entry, Link):
                yield f"/bin/ln -s {_quoted(entry.target)} {place}"
            else:
                yield f"printf %s {_quoted(entry)} > {place}"
            if path.startswith("bin/") and not isinstance(entry, Link):
                yield f"/bin/chmod 755 {place}"
    yield ":"


def _quoted(text: str) -> str:
    return f"'{text}'"


def _string(text: str) -> str:
    """Quote for Nix; ``@name@`` becomes the store path of an attribute."""
    quoted = json.dumps(text).replace("${", "\\${")
    return REFERENCE.sub(lambda found: "${own." + json.dumps(found[1]) + "}", quoted)
