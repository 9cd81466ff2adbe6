# stdenv.mkDerivation, runCommand, symlinkJoin and the like, with nixpkgs' calling conventions.
# libstdcxx is that of the set's own system.
{ lib, config, system, buildSystem, packages, libstdcxx }:

let
  inherit (packages) bash;
  initialPath = [
    packages.coreutils packages.findutils packages.diffutils packages.sed packages.grep packages.gawk packages.tar
    packages.gzip packages.bzip2 packages.xz-utils bash
  ];
  checkMeta = import ./check-meta.nix { inherit lib config system; };

  setup = builtins.toFile "setup.sh" ''
    set -eu -o pipefail
    if [ -e .attrs.sh ]; then . ./.attrs.sh; fi   # structured attributes
    searchPath=
    for package in $initialPath ''${nativeBuildInputs-} ''${buildInputs-}; do
      searchPath=$searchPath''${searchPath:+:}$package/bin
    done
    if [ "''${PATH-/path-not-set}" != /path-not-set ]; then searchPath=$PATH:$searchPath; fi
    export PATH=$searchPath SHELL=$BASH HOME=''${HOME:-/homeless-shelter}
    export SOURCE_DATE_EPOCH=''${SOURCE_DATE_EPOCH:-315532800}
    set +u
  '';

  genericBuilder = builtins.toFile "builder.sh" ''
    . ${setup}
    if [ -n "''${buildCommandPath-}" ]; then . "$buildCommandPath"; else eval "$buildCommand"; fi
  '';

  mkDerivation = arguments:
    let
      name = arguments.name or "${arguments.pname}-${arguments.version}";
      built = derivation (removeAttrs arguments [ "meta" "passthru" "pos" "realBuilder" ] // {
        inherit name;
        system = arguments.system or buildSystem;
        builder = arguments.realBuilder or "${bash}/bin/bash";
        args = arguments.args or [ "-e" (arguments.builder or genericBuilder) ];
        initialPath = map toString initialPath;
        stdenv = setup;
      });
      meta = { outputsToInstall = arguments.outputs or [ "out" ]; } // arguments.meta or { } // { inherit name; };
      extra = { inherit meta; } // arguments.passthru or { };
      checked = checkMeta { inherit name meta; position = builtins.unsafeGetAttrPos (if arguments ? name then "name" else "pname") arguments; };
    in
    # As in nixpkgs: a package may be looked at, but its paths are not to be had when it is refused.
    built // extra // {
      drvPath = checked built.drvPath;
      outPath = checked built.outPath;
    } // lib.genAttrs (arguments.outputs or [ ]) (output: built.${output} // extra // {
      drvPath = checked built.${output}.drvPath;
      outPath = checked built.${output}.outPath;
    });

  runCommand = name: environment: buildCommand:
    mkDerivation ({
      inherit name buildCommand;
      passAsFile = [ "buildCommand" ] ++ environment.passAsFile or [ ];
    } // removeAttrs environment [ "passAsFile" ]);

  writeTextFile = { name, text, executable ? false, destination ? "", checkPhase ? "" }:
    runCommand name { inherit text executable; passAsFile = [ "text" ]; } ''
      target=$out${destination}
      mkdir -p "$(dirname "$target")"
      mv "$textPath" "$target"
      [ -z "$executable" ] || chmod +x "$target"
      ${checkPhase}
    '';

  symlinkJoin = arguments@{ name, paths, postBuild ? "", ... }:
    runCommand name
      (removeAttrs arguments [ "name" "postBuild" ] // {
        paths = map toString paths;
        passAsFile = [ "paths" ];
      }) ''
      mkdir -p $out
      for path in $(cat $pathsPath); do ${packages.lndir}/bin/lndir -silent $path $out; done
      ${postBuild}
    '';
in
rec {
  stdenv = {
    inherit mkDerivation initialPath;
    shell = "${bash}/bin/bash";
    hostPlatform = { system = buildSystem; isLinux = true; isDarwin = false; };
    buildPlatform = stdenv.hostPlatform;
    isLinux = true;
    cc.cc.lib = libstdcxx;
  };
  inherit runCommand symlinkJoin writeTextFile;
  runtimeShell = stdenv.shell;
  runCommandLocal = runCommand;
  runCommandNoCC = runCommand;
  writeText = name: text: writeTextFile { inherit name text; };
  writeTextDir = path: text: writeTextFile { name = baseNameOf path; inherit text; destination = "/${path}"; };
  writeScript = name: text: writeTextFile { inherit name text; executable = true; };
  writeScriptBin = name: text: writeTextFile { inherit name text; executable = true; destination = "/bin/${name}"; };
  writeShellScript = name: text: writeScript name "#!${stdenv.shell}\n${text}\n";
  writeShellScriptBin = name: text: writeScriptBin name "#!${stdenv.shell}\n${text}\n";
  buildEnv = { name, paths, postBuild ? "", ... }: symlinkJoin { inherit name paths postBuild; };
  linkFarm = name: entries: runCommand name { } ("mkdir -p $out; cd $out\n" + lib.concatMapStringsSep "\n"
    (entry: "mkdir -p \"$(dirname ${entry.name})\"; ln -s ${entry.path} ${entry.name}")
    entries);
}
