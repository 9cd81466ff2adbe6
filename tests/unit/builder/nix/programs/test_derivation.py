"""Reading the outputs of derivations."""

from pathlib import Path

import pytest

from app.builder.nix.programs.derivation import parse_outputs, read_outputs

_REST = ',[("/nix/store/x.drv",["out"])],["/nix/store/y"],"x86_64-linux","/bin/sh",["-c"],[])'


def test_each_output_has_its_path() -> None:
    text = f'Derive([("bin","/nix/store/a-bin","",""),("out","/nix/store/a","","")]{_REST}'

    assert parse_outputs(text) == {"bin": "/nix/store/a-bin", "out": "/nix/store/a"}


def test_an_output_with_a_hash_has_its_path() -> None:
    text = f'Derive([("out","/nix/store/a","r:sha256","00ff")]{_REST}'

    assert parse_outputs(text) == {"out": "/nix/store/a"}


def test_an_output_whose_path_depends_on_its_content_has_none() -> None:
    assert parse_outputs(f'Derive([("out","","r:sha256","")]{_REST}') == {"out": ""}


def test_a_derivation_of_the_newer_form_is_read() -> None:
    text = f'DrvWithVersion("xp-dyn-drv",[("out","/nix/store/a","","")]{_REST}'

    assert parse_outputs(text) == {"out": "/nix/store/a"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Derive(",
        "Derive([",
        "Derive([]",
        'Derive([("out","/nix/store/a","","")',
        'Derive([("out","/nix/store/a","",""),]',
        'Derive([("out","/nix/store/a")]',
        'Derive([("o\\"ut","/nix/store/a","","")]',
        '\nDerive([("out","/nix/store/a","","")]',
        '{"outputs": {"out": {"path": "/nix/store/a"}}}',
    ],
)
def test_another_text_is_not_a_derivation(text: str) -> None:
    with pytest.raises(ValueError, match=r"output|derivation"):
        parse_outputs(text)


def test_the_outputs_of_a_large_derivation_are_read(tmp_path: Path) -> None:
    derivation = tmp_path / "large.drv"
    text = f'Derive([("out","/nix/store/a","","")]{_REST}'
    derivation.write_text(text + "x" * (2 * 1024 * 1024))

    assert read_outputs(str(derivation)) == {"out": "/nix/store/a"}


def test_outputs_of_more_than_some_kilobytes_are_read(tmp_path: Path) -> None:
    outputs = {f"output{number}": f"/nix/store/ä{number}" for number in range(1000)}
    listed = ",".join(f'("{name}","{path}","","")' for name, path in outputs.items())
    derivation = tmp_path / "many.drv"
    derivation.write_text(f"Derive([{listed}]{_REST}")

    assert read_outputs(str(derivation)) == outputs


def test_a_derivation_that_was_deleted_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_outputs(str(tmp_path / "x.drv"))
