# Derivations that build, fail, last and depend on each other.  ``salt`` makes their store
# paths new, so that a test finds nothing built already.
{ system, salt ? "", ... }:

let
  run = name: script: derivation {
    inherit name system salt;
    builder = "/bin/sh";
    args = [ "-c" script ];
  };
in
rec {
  leaf = run "leaf-1.0" "echo building the leaf; echo leaf > $out";
  tree = run "tree-1.0" "echo ${leaf} > $out";
  many = derivation {
    name = "many-1.0";
    inherit system salt;
    builder = "/bin/sh";
    outputs = [ "bin" "out" ];
    args = [ "-c" "echo bin > $bin; echo ${leaf} > $out" ];
  };
  failing = run "failing-1.0" "echo first words; echo last words >&2; exit 3";
  dependent = run "dependent-1.0" "echo ${failing} > $out";
  slow = run "slow-1.0" "echo slow begins; while :; do /bin/sleep 0.2; done";
  far = derivation {
    name = "far-1.0";
    system = "m68k-linux";
    inherit salt;
    builder = "/bin/sh";
  };
  liar = leaf // { outPath = tree.outPath; };
}
