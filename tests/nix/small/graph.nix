# Packages that refer to each other and to themselves, for what counts references.
{ system, ... }:

let
  run = name: needs: derivation {
    inherit name system needs;
    builder = "/bin/sh";
    args = [ "-c" "echo $needs $out > $out" ];
  };
in
rec {
  libc = run "libc-2.35" [ ];
  libz = derivation {
    name = "libz-1.2";
    inherit system;
    builder = "/bin/sh";
    outputs = [ "out" "dev" ];
    args = [ "-c" "echo ${libc} > $out; echo $out > $dev" ];
  };
  git = run "git-2.39" [ libc libz ];
  plugins = {
    recurseForDerivations = true;
    lfs = run "git-lfs-3.3" [ git libc ];
    broken = throw "not for this system";
  };
  notBuilt = run "not-built-1.0" [ libc ];
  lib.hidden = notBuilt;
}
