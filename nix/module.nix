# The server as a service of NixOS: services.nixery.enable = true.
{ config, lib, pkgs, ... }:

let
  cfg = config.services.nixery;
  format = pkgs.formats.toml { };
in
{
  options.services.nixery = {
    enable = lib.mkEnableOption "the container registry Nixery";
    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The server.";
    };
    settings = lib.mkOption {
      inherit (format) type;
      default = { };
      example = { channel = "nixos-unstable"; host = "0.0.0.0"; };
      description = "The settings file; docs/configuration.md lists the settings. No secrets: the Nix store is public.";
    };
    environmentFile = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      description = "A file of variables, for settings that are secret.";
    };
    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Whether to open the port in the firewall. Every client that reaches it can start builds.";
    };
  };

  config = lib.mkIf cfg.enable {
    networking.firewall.allowedTCPPorts = lib.optional cfg.openFirewall (cfg.settings.port or 8080);

    systemd.services.nixery = {
      description = "Nixery, a container registry in which the image name is the recipe";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" "nix-daemon.socket" ];
      path = [ config.nix.package pkgs.gitMinimal pkgs.openssh ];
      environment = {
        NIXERY_CONFIG = "${format.generate "nixery.toml" cfg.settings}";
        NIX_REMOTE = "daemon";
      };
      # The same as deploy/systemd/nixery.service; a test compares them.
      serviceConfig = {
        ExecStart = lib.getExe cfg.package;
        Restart = "on-failure";
        TimeoutStopSec = 60;
        LimitNOFILE = 65536;
        DynamicUser = true;
        StateDirectory = "nixery";
        UMask = "0077";
        ProtectSystem = "strict";
        ProtectHome = true;
        PrivateTmp = true;
        PrivateDevices = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        CapabilityBoundingSet = "";
        NoNewPrivileges = true;
        LockPersonality = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        RestrictAddressFamilies = [ "AF_UNIX" "AF_INET" "AF_INET6" "AF_NETLINK" ];
        SystemCallArchitectures = "native";
        RestrictNamespaces = true;
      } // lib.optionalAttrs (cfg.environmentFile != null) {
        EnvironmentFile = cfg.environmentFile;
      };
    };
  };
}
