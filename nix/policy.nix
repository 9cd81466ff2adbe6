# A policy as nixpkgs' config.  It applies to dependencies too, which the server does not check.
#
#   config   { unfree, insecure, broken }: each true, false, or the list of the names allowed
config:

let
  inherit (builtins) elem isList parseDrvName;

  allowed = rule: package:
    if isList rule then elem (package.pname or (parseDrvName (package.name or "")).name) rule else rule;
in
{
  allowUnfree = config.unfree == true;
  allowUnfreePredicate = allowed config.unfree;
  allowInsecurePredicate = allowed config.insecure;
  allowBroken = config.broken == true;
  allowBrokenPredicate = allowed config.broken;
  allowAliases = true;
}
