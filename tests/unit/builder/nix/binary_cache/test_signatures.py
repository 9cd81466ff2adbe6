"""Signatures by keys that share a name."""

from app.builder.nix.binary_cache.signatures import TrustedKeys
from scripts.channel.cache import SigningKey


def test_keys_of_one_name_are_all_trusted() -> None:
    """A key that was replaced is listed before or after the new one."""
    keys = [SigningKey.new("team-1"), SigningKey.new("team-1")]
    trusted = TrustedKeys(key.public for key in keys)

    for key in keys:
        assert trusted.are_signed(b"path", [key.sign(b"path")])
    assert not trusted.are_signed(b"path", [SigningKey.new("team-1").sign(b"path")])
