import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.images.layering.names import unversioned


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("git-2.39.2", "git"),
        ("glibc-2.35-224", "glibc"),
        ("glibc-2.35-224-bin", "glibc-bin"),
        ("openssl-3.0.8-dev", "openssl-dev"),
        ("python3.11-numpy-1.24.2", "python3.11-numpy"),
        ("gcc-12.2.0-lib", "gcc-lib"),
        ("linux-headers-static-6.1", "linux-headers-static"),
        ("iana-etc-20221107", "iana-etc"),
        ("nss-cacert-3.86", "nss-cacert"),
        ("libtorch-bin-2.0.0-dev", "libtorch-bin-dev"),
        ("_2ping-4.5", "_2ping"),
        ("7zz-22.01", "7zz"),
        ("hook", "hook"),
        ("die-hook", "die-hook"),
        ("-1", "-1"),
    ],
)
def test_a_name_loses_its_version_and_keeps_its_output(name: str, expected: str) -> None:
    assert unversioned(name) == expected


STEMS = st.builds(
    lambda first, more, output: first + more + output,
    st.sampled_from("abz"),
    st.text("abz+", max_size=8),
    st.sampled_from(["", "-z", "-data", "-abc"]),
)


@given(STEMS, st.integers(0, 99), st.integers(0))
def test_two_versions_have_one_name(stem: str, major: int, minor: int) -> None:
    assert unversioned(f"{stem}-{major}.{minor}") == unversioned(f"{stem}-0") == stem
