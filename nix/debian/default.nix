# A package set shaped like nixpkgs, made of Debian's binary packages.
#
#   import ./nix/debian { system = "x86_64-linux"; }
#
# Nothing is fetched while building: `generate.py prepare` puts the packages into the store
# first, at the paths the fixed-output derivations of sources.nix name.
{ system ? "x86_64-linux"
, config ? { }
, overlays ? [ ]
  # What the set is made of; see docs/package-set.md.
, lock ? ./locks + "/${system}.json"
, ...
}:

let
  lib = import ./lib.nix;
  data = lib.importJSON lock;

  sources = import ./sources.nix { inherit lib data; };
  units = import ./units.nix { inherit lib data sources; redirect = import ./redirect.nix { inherit data units; }; };

  # runCommand and the like run on the machine that builds.
  buildSystem = data.build.system;
  native =
    if buildSystem == system then base
    else import ./. { system = buildSystem; };

  base = {
    inherit lib system config;
    # Every unit by the name Debian has for it.
    debianPackages = units // { recurseForDerivations = true; };
    debian = { inherit lock data sources; };
  }
  // import ./attributes.nix { inherit lib units; attributes = data.attributes; }
  // lib.optionalAttrs (units ? locales) {
    glibcLocales = import ./locales.nix { system = buildSystem; packages = native.debianPackages; };
  }
  // import ./build-support.nix {
    inherit lib config system buildSystem;
    packages = native.debianPackages;
    libstdcxx = units."libstdc++6";
  };

  extend = self: previous: overlay: previous // overlay self previous;
  set = lib.foldl' (extend set) (base // { pkgs = set; inherit callPackage; }) overlays;
  callPackage = expression: arguments:
    let function = if lib.isFunction expression then expression else import expression; in
    function (lib.intersectAttrs (lib.functionArgs function) set // arguments);
in
if system == data.system then set
else throw "the lock is for ${data.system}, not ${system}"
