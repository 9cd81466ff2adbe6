# The package set of a source, for one system and under its policy.
#
#   set          { kind = "path" or "flake"; reference; }
#   config       { unfree, insecure, broken }: each true, false, or the list of the names allowed
#   restricted   whether nobody trusts it
{ set, system, config, restricted, ... }:

let
  inherit (builtins) elem functionArgs isFunction isList intersectAttrs parseDrvName;

  allowed = rule: package:
    if isList rule then elem (package.pname or (parseDrvName (package.name or "")).name) rule else rule;

  # nixpkgs' own settings; they hold for dependencies too, which we do not look at.
  nixpkgs = {
    allowUnfree = config.unfree == true;
    allowUnfreePredicate = allowed config.unfree;
    allowInsecurePredicate = allowed config.insecure;
    allowBroken = config.broken == true;
    allowBrokenPredicate = allowed config.broken;
    allowAliases = true;
  };

  arguments = {
    inherit system;
    config = nixpkgs;
    overlays = [ ];
  };

  call = value:
    if ! isFunction value then value
    else if functionArgs value == { } then value arguments
    else value (intersectAttrs (functionArgs value) arguments);

  flake =
    if builtins ? getFlake then builtins.getFlake set.reference
    else throw "the Nix of this server knows no flakes";
in
if set.kind == "flake"
then (flake.legacyPackages.${system} or { }) // (flake.packages.${system} or { })
else call ((if restricted then import ./confined.nix else import) set.reference)
