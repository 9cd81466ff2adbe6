# The Debian package set with packages on top that no archive has: ones that fail, last until a
# test lets them finish, have odd names, or hold odd files.
#
#   import tests/nix/packages { system = "x86_64-linux"; }
#
# `salt` makes new derivations of the failing and the held ones, so that a test sees them built
# although another has built them before. `gates` is the directory of the files that let held
# builds finish. `debian` is the set below, where the tree's own lock is of no use on the machine.
{ debian ? ../../../nix/debian
, salt ? ""
, gates ? ""
  # Named, though they only pass through: the server hands over what a set asks for by name.
, system ? "x86_64-linux"
, config ? { }
, overlays ? [ ]
, ...
}@arguments:

import debian (removeAttrs arguments [ "debian" "salt" "gates" ] // {
  inherit system config;
  overlays = [
    (import ./names.nix)
    (import ./refusals.nix)
    (import ./trees.nix)
    (import ./bombs.nix)
    (import ./disguises.nix)
    (import ./languages.nix)
    (import ./meta.nix)
    (import ./builds.nix { inherit salt gates; })
  ] ++ overlays;
})
