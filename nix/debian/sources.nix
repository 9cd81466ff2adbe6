# What lies in the store before anything is built: the packages as Debian has them, and the
# programs that unpack them. `generate.py seed` puts both where these derivations' outputs are,
# so their builders run only when it has not.
{ lib, data }:

let
  missing = {
    system = data.build.system;
    builder = "/bin/sh";
    args = [ "-c" "echo \"$name is not in the store: run nixery prepare\" >&2; exit 1" ];
    outputHashAlgo = "sha256";
  };
in
rec {
  packages = lib.mapAttrs
    (_: deb: derivation (missing // {
      name = deb.file;
      outputHashMode = "flat";
      outputHash = deb.sha256;
    }))
    data.debs;

  # Busybox, a Python interpreter and what it loads, taken out of pinned packages.
  runtime = derivation (missing // {
    inherit (data.build.runtime) name;
    outputHashMode = "recursive";
    outputHash = data.build.runtime.narHash;
  });

  # The builder's modules beside their compiled forms, so that a build starts in 30 ms.
  builder = derivation {
    name = "unit-builder";
    inherit (data.build) system;
    builder = "${runtime}/bin/busybox";
    args = [ "sh" "-e" ./unit-builder.sh ];
    inherit runtime;
    inherit (data.build) loader;
    modules = builtins.path {
      name = "unit-builder-modules";
      path = ./builder;
      filter = path: _: lib.hasSuffix ".py" path;
    };
  };
}
