# A package set without packages worth having: what names may look like and run into.
{ system, ... }:

let
  package = name: attributes: derivation
    {
      inherit name system;
      builder = "/bin/sh";
      args = [ "-c" "echo ${name} > $out" ];
    } // attributes;
in
rec {
  hello = package "hello-2.12" {
    meta = {
      license = { spdxId = "GPL-3.0-or-later"; free = true; };
      mainProgram = "hello";
      priority = 4;
    };
  };
  bashInteractive = package "bash-interactive-5.2" { pname = "bash-interactive"; version = "5.2"; };
  _2ping = package "2ping-4.5" { };
  GitHub = package "upper" { };
  github = package "lower" { };
  "dotted.name" = package "dotted" { };
  Twin = package "twin-1" { };
  tWin = package "twin-2" { };
  python3Packages = {
    recurseForDerivations = true;
    numPy = package "numpy-1" { };
    _3to2 = package "3to2-1" { };
    inner.Deep = package "deep" { };
  };
  many =
    let
      drv = derivation {
        name = "many-1";
        inherit system;
        builder = "/bin/sh";
        outputs = [ "bin" "out" "man" ];
        args = [ "-c" "echo bin > $bin; echo out > $out; echo man > $man" ];
      };
    in
    drv;
  functor = { __functor = self: x: x; };
  override = x: x;
  version = "1.0";
  lib = { };
  nothing = null;
  unfree = package "unfree-1.0" { meta.license = { shortName = "unfree"; free = false; }; };
  insecure = package "insecure-1.0" { meta.knownVulnerabilities = [ "CVE-2000-0001" ]; };
  broken = package "broken-1.0" { meta.broken = true; };
  throws = throw "this package was removed in 2020";
  refusing = hello // { drvPath = throw "hello refuses"; outPath = throw "hello refuses"; };
  oddMeta = package "odd" { meta = { license = throw "no"; mainProgram = 7; priority = "high"; }; };
}
