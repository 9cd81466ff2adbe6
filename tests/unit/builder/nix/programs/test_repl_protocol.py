import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.nix.programs.repl_protocol import Protocol, request, unescape

MARKER = "5ca1ab1e" * 4
PROTOCOL = Protocol(MARKER)


def quoted(text: bytes, *, antiquotations: bool) -> bytes:
    """As Nix prints a string between its quotes; later than 2.8 with ${ escaped as well."""
    for meant, written in ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\r", b"\\r")):
        text = text.replace(meant, written)
    text = text.replace(b"\t", b"\\t")
    return text.replace(b"${", b"\\${") if antiquotations else text


# A string of Nix ends at a zero byte.
TEXTS = st.text().filter(lambda text: "\0" not in text)


@pytest.mark.slow
@given(TEXTS, st.booleans())
def test_what_nix_quotes_is_read_as_it_was(text: str, antiquotations: bool) -> None:  # noqa: FBT001
    raw = text.encode(errors="surrogatepass")

    assert unescape(quoted(raw, antiquotations=antiquotations)) == raw


NOISE = st.binary().filter(lambda noise: MARKER.encode() not in noise)


@pytest.mark.slow
@given(st.lists(st.text()), NOISE, NOISE, NOISE)
def test_the_response_is_found_among_prompts_and_echoes(
    names: list[str], before: bytes, between: bytes, after: bytes
) -> None:
    answer = json.dumps(names).encode()
    printed = quoted(answer, antiquotations=True)
    marker = MARKER.encode()

    heard = before + b'"%s %s %s"' % (marker, printed, marker) + between + PROTOCOL.end + after

    assert PROTOCOL.response(heard) == answer


@pytest.mark.slow
@given(NOISE)
def test_an_end_without_a_response_is_none(noise: bytes) -> None:
    assert PROTOCOL.response(noise + PROTOCOL.end) is None


def test_half_of_a_response_is_none() -> None:
    assert PROTOCOL.response(b'"%s [{\\"status\\":' % MARKER.encode() + PROTOCOL.end) is None


@pytest.mark.slow
@given(st.lists(st.text()))
def test_whatever_a_name_is_nothing_but_digits_is_typed(names: list[str]) -> None:
    found = re.fullmatch(rb'nixery\.answer "([0-9a-f]*)"\nnixery\.end\n', request(names))

    assert found is not None
    typed = bytes.fromhex(found[1].decode())
    assert json.loads(typed) == names
    assert all(0x20 <= byte < 0x7F for byte in typed)


@pytest.mark.slow
@given(st.text())
def test_what_is_typed_does_not_hold_the_marker(reference: str) -> None:
    assert MARKER.encode() not in PROTOCOL.start({"set": {"reference": reference}})
