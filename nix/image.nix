# An image of the server with nixpkgs' Nix inside, made by nixpkgs' dockerTools.
#
#   preLaunch       shell commands to run before the server, such as one that writes a key
#   extraPackages   further packages of the image, for preLaunch or for sources
#   maxLayers       the most layers
#
# `make image` needs no nixpkgs: docs/own-image.md.
{ lib
, bashInteractive
, cacert
, coreutils
, dockerTools
, gitMinimal
, gnutar
, gzip
, nix
, nixery
, openssh
, writeShellScriptBin
, preLaunch ? ""
, extraPackages ? [ ]
, maxLayers ? 20
}:

let
  launch = writeShellScriptBin "nixery-launch" ''
    set -e
    ${preLaunch}
    exec ${lib.getExe nixery} "$@"
  '';
in
dockerTools.buildLayeredImage {
  name = "nixery";
  tag = nixery.version;
  inherit maxLayers;
  contents = [ bashInteractive cacert coreutils dockerTools.fakeNss gitMinimal gnutar gzip launch nix nixery openssh ]
    ++ extraPackages;
  includeNixDB = true;
  extraCommands = ''
    mkdir -p tmp srv/nixery var/lib/nixery
    chmod 1777 tmp
  '';
  config = {
    Cmd = [ "${launch}/bin/nixery-launch" ];
    Env = [
      "NIX_CONFIG=build-users-group =\nsandbox = false\n"
      "NIXERY_HOST=0.0.0.0"
      "NIXERY_STATE_PATH=/var/lib/nixery"
      "NIXERY_STORAGE_PATH=/srv/nixery"
      "SSL_CERT_FILE=${cacert}/etc/ssl/certs/ca-bundle.crt"
    ];
    ExposedPorts."8080/tcp" = { };
    Volumes = { "/srv/nixery" = { }; "/var/lib/nixery" = { }; };
  };
}
