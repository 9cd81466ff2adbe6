# Packages that are called, configured and checked as those of nixpkgs, without a compiler.
{ system ? builtins.currentSystem
, config ?
    let file = builtins.getEnv "NIXPKGS_CONFIG"; in
    if file != "" && builtins.pathExists file then import file else { }
, overlays ? [ ]
}:

let
  lib = import ./lib;

  checked = package:
    let free = package.meta.license.free or true || config.allowUnfree or false; in
    if free || (config.allowUnfreePredicate or (_: false)) package then package
    else throw "Package ‘${package.name}’ has an unfree license, refusing to evaluate";

  mkDerivation = { pname, version ? "1.0", meta ? { }, text ? "" }:
    let
      package = derivation {
        name = "${pname}-${version}";
        inherit pname version text system;
        builder = "/bin/sh";
        args = [ "-c" "/bin/mkdir -p $out/share; echo $text > $out/share/$pname" ];
      } // { inherit meta; };
    in
    package // { inherit (checked package) drvPath outPath; };

  base = {
    inherit lib;
    stdenv = { inherit mkDerivation; };
    callPackage = file: arguments:
      let function = import file; in
      function (builtins.intersectAttrs (builtins.functionArgs function) pkgs // arguments);
    cacert = mkDerivation { pname = "cacert"; };
    iana-etc = mkDerivation { pname = "iana-etc"; };
    bashInteractive = mkDerivation { pname = "bash-interactive"; };
    coreutils = mkDerivation { pname = "coreutils"; };
    moreutils = mkDerivation { pname = "moreutils"; };
    nano = mkDerivation { pname = "nano"; };
    hello = mkDerivation { pname = "hello"; version = "2.12"; };
    unfree = mkDerivation { pname = "unfree"; meta.license = { shortName = "unfree"; free = false; }; };
  };
  pkgs = lib.foldl (pkgs: overlay: pkgs // overlay pkgs pkgs) base overlays;
in
pkgs
