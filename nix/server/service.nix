# The server as a service of an image: docs/special-packages.md describes the fields.
{ nix }:

{
  # Nix, and what sources of kind git need.
  packages = [ "nix" "gitMinimal" "openssh" ];
  directories = [ { path = "/srv/nixery"; } { path = "/var/lib/nixery"; } ];
  environment = {
    NIXERY_HOST = "0.0.0.0";
    NIXERY_STORAGE_PATH = "/srv/nixery";
    NIXERY_STATE_PATH = "/var/lib/nixery";
    # A container without privileges has no sandbox, and cannot become another user.
    NIX_CONFIG = "build-users-group =\nsandbox = false\nbuild-hook = ${nix}/libexec/nix/build-remote\n";
  };
  command = [ "nixery" ];
}
