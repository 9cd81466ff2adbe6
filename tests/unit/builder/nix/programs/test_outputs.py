"""Reading the outputs of derivations."""

import pytest

from app.builder.nix.programs.outputs import parse

_REST = ',[("/nix/store/x.drv",["out"])],["/nix/store/y"],"x86_64-linux","/bin/sh",["-c"],[])'


def test_each_output_has_its_path() -> None:
    text = f'Derive([("bin","/nix/store/a-bin","",""),("out","/nix/store/a","","")]{_REST}'

    assert parse(text) == {"bin": "/nix/store/a-bin", "out": "/nix/store/a"}


def test_an_output_with_a_hash_has_its_path() -> None:
    text = f'Derive([("out","/nix/store/a","r:sha256","00ff")]{_REST}'

    assert parse(text) == {"out": "/nix/store/a"}


def test_an_output_whose_path_only_building_tells_has_none() -> None:
    assert parse(f'Derive([("out","","r:sha256","")]{_REST}') == {"out": ""}


def test_derivations_of_the_newer_form_are_read() -> None:
    text = f'DrvWithVersion("xp-dyn-drv",[("out","/nix/store/a","","")]{_REST}'

    assert parse(text) == {"out": "/nix/store/a"}


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
def test_other_texts_are_no_derivations(text: str) -> None:
    with pytest.raises(ValueError, match=r"output|derivation"):
        parse(text)
