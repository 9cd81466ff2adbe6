# Derivations as large as those of nixpkgs; each has five earlier ones as inputs.
{ count, salt }:

let
  inherit (builtins) elemAt filter genList listToAttrs map toString;

  attributes = listToAttrs (genList
    (number: {
      name = "flag${toString number}";
      value = "as long as many of the attributes that stdenv passes to a builder, ${toString number}";
    })
    30);

  all = genList
    (number:
      let earlier = filter (other: other < number) [ (number / 2) (number / 3) (2 * number / 3) ]; in
      derivation (attributes // {
        inherit salt;
        name = "package-${toString number}-1.0";
        system = "x86_64-linux";
        builder = "/bin/sh";
        outputs = [ "out" "dev" ];
        inputs = map (other: (elemAt all other).dev) earlier;
      }))
    count;
in
map (package: package.outPath) all
