from pathlib import Path

import pytest

from app.builder.nix.door import DerivationsGone
from app.builder.nix.programs.derivation import outputs, read_outputs

OUT = "/nix/store/cw1cj5n21xrqcyn5grrp104psm0f3yw1-many-1.0"
BIN = "/nix/store/dc2nrrdbjkpb16vwzx0kbzygsxqymz0w-many-1.0-bin"


def test_each_output_has_its_path() -> None:
    text = (
        f'Derive([("bin","{BIN}","",""),("out","{OUT}","r:sha256","00")],'
        '[("/nix/store/x.drv",["out"])],[],"x86_64-linux","/bin/sh",[],[("out","/elsewhere")])'
    )

    assert outputs(text) == {"bin": BIN, "out": OUT}


@pytest.mark.parametrize("text", ["", "Derive([", 'DrvWithVersion("x",[("out","/x","","")])', "x"])
def test_what_is_not_a_derivation_has_no_outputs(text: str) -> None:
    assert outputs(text) == {}


def test_a_derivation_that_is_not_there_is_gone(tmp_path: Path) -> None:
    with pytest.raises(DerivationsGone):
        read_outputs(str(tmp_path / "x.drv"))
