# The server as a service of an image: docs/special-packages.md describes the fields.
{
  # Nix and the shell that starts its processes, what sources of kind git need, and chown for volumes.
  packages = [ "nix" "bashInteractive" "gitMinimal" "openssh" "coreutils" ];
  directories = [ { path = "/srv/nixery"; } { path = "/var/lib/nixery"; } ];
  environment = {
    NIXERY_HOST = "0.0.0.0";
    NIXERY_STORAGE_PATH = "/srv/nixery";
    NIXERY_STATE_PATH = "/var/lib/nixery";
    # Not NIX_CONFIG, which is for the operator: a container's variable replaces the image's.
    NIX_CONF_DIR = "/share/nixery/nix";
  };
  command = [ "nixery" ];
}
