# Names that stand for several packages, and services of a set's own.
self: super:

let
  inherit (super) runCommand;

  serving = name: nixery: runCommand name { passthru = { inherit nixery; }; } ''
    mkdir -p $out/bin
    printf '#!${super.bash}/bin/bash\necho "$(${super.coreutils}/bin/id -un) in $HOME: $1"\n' > $out/bin/${name}
    chmod +x $out/bin/${name}
  '';
in
{
  team-tools = { nixery.packages = [ "hello" "xorg.xev" ]; };
  nested-tools = { nixery.packages = [ "team-tools" ]; };
  missing-tools = { nixery.packages = [ "no-such-tool" ]; };

  served = serving "served" {
    users = [ { name = "server"; uid = 300; home = "/var/lib/served"; } ];
    directories = [ { path = "/var/lib/served"; user = "server"; mode = "0700"; } ];
    packages = [ "tree" ];
    command = [ "served" "its own command" ];
    user = "server";
  };
  rival = serving "rival" { users = [ { name = "server"; uid = 301; } ]; };
  escaping = serving "escaping" { directories = [ { path = "/var/lib/../../nix/store/x"; } ]; };
  endless = serving "endless" { command = super.lib.genList toString 100000; };
}
