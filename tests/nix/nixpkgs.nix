# A stand-in for nixpkgs: enough of it to evaluate the files in nix/ that need it.  Packages are
# values; what makes packages returns its arguments.
let
  plain = import ../../nix/debian/lib.nix;
  lib = plain // {
    licenses.asl20 = { spdxId = "Apache-2.0"; };
    platforms.linux = [ "x86_64-linux" "aarch64-linux" ];
    getExe = package: "${package}/bin/${package.meta.mainProgram}";
    literalExpression = text: text;
    mkEnableOption = description: lib.mkOption { type = "bool"; default = false; inherit description; };
    mkOption = option: { _type = "option"; } // option;
    mkIf = condition: content: if condition then content else { };
    types = { package = "package"; path = "path"; bool = "bool"; nullOr = type: "null or ${type}"; };
  };
  package = name: { inherit name; version = "1"; outPath = "/nix/store/${name}"; meta.mainProgram = name; };
  made = arguments: package (arguments.pname or arguments.name) // arguments;
  python = plain.genAttrs [
    "anyio" "brotli" "cryptography" "fastapi" "hatchling" "httptools" "httpx" "isal" "jinja2" "loguru"
    "prometheus-client" "pycurl" "pydantic" "pydantic-settings" "rapidfuzz" "rich" "starlette" "typer"
    "uvicorn" "uvloop" "zstandard"
  ] package;
  pkgs = plain.genAttrs [
    "bashInteractive" "cacert" "coreutils" "gitMinimal" "gnutar" "gzip" "makeWrapper" "nix" "openssh" "python3"
    "zensical"
  ] package // {
    inherit lib pkgs;
    python3Packages = python // { buildPythonPackage = made; buildPythonApplication = made; };
    fetchurl = { url, hash }: { inherit url hash; };
    runCommand = name: _: script: package name // { inherit script; };
    writeShellScriptBin = name: script: package name // { inherit script; };
    dockerTools = { fakeNss = package "fakeNss"; buildLayeredImage = arguments: arguments; };
    formats.toml = _: { type = "toml"; generate = name: value: { outPath = "/nix/store/${name}"; inherit value; }; };
    callPackage = file: arguments:
      let function = import file; in
      function (builtins.intersectAttrs (builtins.functionArgs function) pkgs // arguments);
  };
in
pkgs
