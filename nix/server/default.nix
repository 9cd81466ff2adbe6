# The embedded package set, and the server itself as the package `nixery` (docs/own-image.md).
#
#   packages   the embedded set
#   wheels     for each system, the locked Python packages: a list of { name; sha256; }
#   own        the server's wheel
#
# scripts/server_set.py makes a directory that calls this, and puts the wheels into the store.
{ packages, wheels, own, system ? "x86_64-linux", ... }@arguments:

let
  set = import packages (removeAttrs arguments [ "packages" "wheels" "own" ] // { inherit system; });
  inherit (set) lib;
  inherit (set.debian) data sources;

  version = lib.elemAt (lib.splitString "-" (baseNameOf own)) 1;

  # In the store already: its builder runs only if it is not.
  fetched = { name, sha256 }: derivation {
    inherit name;
    system = data.build.system;
    builder = "/bin/sh";
    args = [ "-c" "echo \"$name is not in the store: run scripts/server_set.py again\" >&2; exit 1" ];
    outputHashAlgo = "sha256";
    outputHashMode = "flat";
    outputHash = sha256;
  };

  # Directories of modules. Two of them, so that a new version of the server shares the other.
  installed = name: files: derivation {
    inherit name files;
    system = data.build.system;
    builder = "${sources.runtime}/bin/busybox";
    args = [ "sh" "-e" ./install.sh ];
    inherit (sources) runtime;
    modules = sources.builder;
    inherit (data.build) loader;
    inherit (data) machine;
    install = ./install.py;
    libraries = map (unit: set.debianPackages.${unit}) [ "glibc" "libstdc++6" "zlib1g" ];
    PYTHONHASHSEED = "0";
  };
  dependencies = installed "nixery-dependencies" (map fetched (wheels.${system} or (throw "no wheels for ${system}")));
  application = installed "nixery-modules-${version}" [ (builtins.path { path = own; name = baseNameOf own; }) ];

  nixery = set.runCommand "nixery-${version}"
    {
      inherit application dependencies;
      inherit (set) nix;
      python = set.python3;
      passthru = {
        pname = "nixery";
        inherit version;
        nixery = import ./service.nix;
      };
      meta = {
        description = "A container registry in which the image name is the recipe";
        mainProgram = "nixery";
        license = { spdxId = "Apache-2.0"; free = true; };
      };
    } ''
    mkdir -p $out/bin $out/share/nixery/nix
    ln -s $application/app/nix/debian $out/share/nixery/packages
    sed "s|@nix@|$nix|" ${./nix.conf} >$out/share/nixery/nix/nix.conf
    start() {
      printf '#!%s/bin/python3 -IB\nimport sys\n' "$python" >"$out/bin/$1"
      printf 'sys.path[:0] = ["%s", "%s"]\n' "$application" "$dependencies" >>"$out/bin/$1"
      printf '%s\n' "$2" >>"$out/bin/$1"
      chmod 755 "$out/bin/$1"
    }
    start nixery 'from app.__main__ import main
    if __name__ == "__main__":
        sys.exit(main())'
    start nixery-health 'import os, urllib.request
    port = os.environ.get("NIXERY_PORT", "8080")
    urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5)'
  '';

  # What the server needs to serve the embedded set from its own image, without a network.
  nixery-packages = set.writeText "nixery-packages" ''
    ${(import (packages + "/all.nix") { inherit system; }).units}
    ${sources.runtime}
  '';
in
set // { inherit nixery nixery-packages; }
