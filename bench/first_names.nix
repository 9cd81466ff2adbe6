# Packages that are all built from the same large set of derivations, and from some of their own.
{ system ? "x86_64-linux", count ? 2000, salt ? "", ... }:

let
  shared = import ./derivations.nix { inherit count salt; };
  package = name: derivation {
    inherit name system salt;
    builder = "/bin/sh";
    inputs = shared ++ import ./derivations.nix { count = 50; salt = salt + name; };
  };
in
builtins.listToAttrs (map (name: { inherit name; value = package name; })
  (builtins.genList (n: "p${toString n}") 6))
