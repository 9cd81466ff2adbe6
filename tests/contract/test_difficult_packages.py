"""The packages made to be difficult are as difficult as their comments claim."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from nix.debian.generator.nixstore import nix_environment
from tests.contract.stores import (
    TEST_PACKAGES,
    build,
    closure,
    difficult_packages,
    evaluate,
    failure,
)
from tests.ownership import start_process
from tests.waiting import wait_until

pytestmark = pytest.mark.nix


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return difficult_packages(tmp_path_factory.mktemp("packages"))


def with_config(packages: Path, attribute: str, config: str) -> str:
    return f"(import {packages} {{ config = {config}; }}).{attribute}.outPath"


def refused(packages: Path, attribute: str, config: str = "{ }") -> str:
    return failure("nix-instantiate", "--eval", "-E", with_config(packages, attribute, config))


def allowed(packages: Path, attribute: str, config: str) -> bool:
    return isinstance(evaluate(with_config(packages, attribute, config)), str)


@pytest.mark.parametrize(
    ("attribute", "reason", "config"),
    [
        ("unfree-package", "has an unfree license (\u2018unfree\u2019)", "{ allowUnfree = true; }"),
        ("unfree-other", "unfree license (\u2018mit, bsl11\u2019)", '{ allowUnfreePredicate = p: p.pname == "unfree-other"; }'),
        ("broken-package", "is marked as broken", "{ allowBroken = true; }"),
        ("insecure-package", "is marked as insecure", '{ permittedInsecurePackages = [ "insecure-package-1.0" ]; }'),
        ("insecure-package", "CVE-2000-0001; CVE-2000-0002", "{ allowInsecurePredicate = p: true; }"),
        ("unsupported-package", "is not available on the requested hostPlatform", "{ allowUnsupportedSystem = true; }"),
    ],
)  # fmt: skip
def test_a_package_that_config_does_not_allow_gets_the_message_of_nixpkgs(
    packages: Path, attribute: str, reason: str, config: str
) -> None:
    output = refused(packages, attribute)
    assert f"Package \u2018{attribute}-1.0\u2019 in {TEST_PACKAGES}" in output
    assert reason in output
    assert "refusing to evaluate" in output
    assert allowed(packages, attribute, config)


def test_allowing_one_unfree_package_allows_no_other(packages: Path) -> None:
    config = '{ allowUnfreePredicate = p: p.pname == "unfree-other"; }'
    assert "unfree license" in refused(packages, "unfree-package", config)


@pytest.mark.parametrize(
    ("attribute", "complaint"),
    [
        ("throws", "the moon is in the wrong phase"),
        ("throws-late", "this package throws late"),
        ("asserts", "assertion"),
        ("recurses", "infinite recursion"),
        ("misses-an-attribute", "attributeNobodyHas"),
    ],
)
def test_a_package_that_cannot_be_evaluated_has_a_reason(
    packages: Path, attribute: str, complaint: str
) -> None:
    assert complaint in refused(packages, attribute)


@pytest.mark.parametrize(
    ("attribute", "last_words"),
    [
        ("broken-build", "error: frobnicator 4711 not found"),
        ("broken-dependency", "error: frobnicator 4711 not found"),
        ("noisy-build", "last words of the noisy build"),
        ("no-output", "failed to produce output path"),
    ],
)
def test_a_failed_build_leaves_its_message(packages: Path, attribute: str, last_words: str) -> None:
    salt = f"{attribute}-{time.time_ns()}"
    command = ("nix-build", "--no-out-link", packages, "-A", attribute, "--argstr", "salt")
    assert last_words in failure(*command, salt)


def built_after_release(packages: Path, gates: Path) -> Path:
    log, gate = gates / "log", gates / "held-1"
    salted = f'(import {packages} {{ salt = "{time.time_ns()}"; gates = "{gates}"; }})'
    command = ("nix-build", "--no-out-link", "-E", f"{salted}.held-1")
    # In a sandbox, builders would not see the gate.
    environment = {**nix_environment(), "NIX_CONF_DIR": str(TEST_PACKAGES.parent)}
    with log.open("w") as errors:
        process = start_process(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
    wait_until(lambda: "held-1 waits" in log.read_text() or process.poll() is not None)
    assert process.poll() is None
    gate.touch()
    out, _ = process.communicate()
    gate.unlink()
    return Path(out.strip())


def test_a_held_build_lasts_until_its_gate_is_there_whenever_it_is_salted(
    packages: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        assert (built_after_release(packages, tmp_path) / "held").read_text() == "1\n"


def test_names_that_differ_in_case_alone_are_different_packages(packages: Path) -> None:
    names = ["foo", "Foo", "nested.Deep.foo", "nested.Deep.Foo", "twoFaced", "TwoFaced"]
    built = [evaluate(f"(import {packages} {{ }}).{name}.outPath") for name in names]
    assert len(set(map(str, built))) == len(names)


def test_what_is_not_a_package_does_not_look_like_one(packages: Path) -> None:
    expression = f"""let set = import {packages} {{ }}; in map set.lib.isDerivation
        ([ set.a-function set.a-string set.a-set ] ++ builtins.attrValues set.not-packages)"""
    values = evaluate(expression)
    assert isinstance(values, list)
    assert sum(values) == 1  # the pretender
    assert len(values) == 12


def test_outputs_come_in_the_order_given(packages: Path) -> None:
    (out,) = build(packages, ["multi-output"])
    assert (out / "bin/multi-output").is_file()
    expression = (
        f"let p = (import {packages} {{ }}).multi-output; in [ p.outputs p.meta.outputsToInstall ]"
    )
    assert evaluate(expression) == [["bin", "out", "doc"]] * 2


def test_the_odd_tree_is_odd_in_every_way(packages: Path) -> None:
    (out,) = build(packages, ["tree-oddities"])
    share = out / "share"
    names = {os.fsencode(path.name) for path in share.iterdir()}
    assert {
        b"bytes-\xff\xfe",
        b"directory-\xe9",
        b"two\nlines",
        b"-dash",
        b" spaces ",
        b"0" * 255,
    } < names
    assert os.fsencode((share / "link-to-bytes").readlink()) == b"to-bytes-\xff"
    assert len(str((share / "link-with-long-target").readlink())) > 255
    assert (share / "empty-directory").is_dir()
    assert not list((share / "empty-directory").iterdir())
    assert not (share / "dangling-link").exists()
    assert max(len(str(path)) for path in out.rglob("*")) > 500


def test_a_store_path_may_be_a_file_a_link_or_nothing_but_a_directory(packages: Path) -> None:
    file, link, tree = build(packages, ["single-file", "single-link", "empty-tree"])
    assert file.is_file()
    assert link.is_symlink()
    assert list(tree.iterdir()) == []


def test_a_package_may_refer_to_more_paths_than_an_image_has_layers(packages: Path) -> None:
    assert len(closure(build(packages, ["many-paths"]))) > 150


def test_the_difficult_packages_are_there_for_arm_too(packages: Path) -> None:
    expression = f"""with import {packages} {{ system = "aarch64-linux"; }};
        [ hello.outPath foo.pname or foo.name system ]"""
    x86 = evaluate(f"(import {packages} {{ }}).hello.outPath")
    values = evaluate(expression)
    assert isinstance(values, list)
    assert values[0] != x86
    assert values[2] == "aarch64-linux"
