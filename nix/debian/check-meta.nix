# Refuses packages that config does not allow, in the words nixpkgs uses.
{ lib, config, system }:

let
  fromEnvironment = name: builtins.getEnv name == "1";
  allowUnfree = config.allowUnfree or false || fromEnvironment "NIXPKGS_ALLOW_UNFREE";
  allowBroken = config.allowBroken or false || fromEnvironment "NIXPKGS_ALLOW_BROKEN";
  allowUnsupported = config.allowUnsupportedSystem or false || fromEnvironment "NIXPKGS_ALLOW_UNSUPPORTED_SYSTEM";
  allowInsecure = fromEnvironment "NIXPKGS_ALLOW_INSECURE";
  allowUnfreePredicate = config.allowUnfreePredicate or (_: false);
  allowInsecurePredicate = config.allowInsecurePredicate or
    (package: lib.elem package.name (config.permittedInsecurePackages or [ ]));

  isUnfree = meta: lib.any (license: !(license.free or true)) (lib.toList (meta.license or [ ]));
  licenseName = meta: lib.concatMapStringsSep ", " (l: l.shortName or "unknown") (lib.toList meta.license);
  vulnerabilities = meta: meta.knownVulnerabilities or [ ];

  # The reason to refuse a package, with what the user may do about it; or null.
  refusal = package: with package;
    if isUnfree meta && !allowUnfree && !allowUnfreePredicate package then {
      reason = "has an unfree license (‘${licenseName meta}’)";
      remedy = "set config.allowUnfree or config.allowUnfreePredicate";
    }
    else if meta.broken or false && !allowBroken then {
      reason = "is marked as broken";
      remedy = "set config.allowBroken";
    }
    else if vulnerabilities meta != [ ] && !allowInsecure && !allowInsecurePredicate package then {
      reason = "is marked as insecure";
      remedy = "add it to config.permittedInsecurePackages. Known issues: ${lib.concatStringsSep "; " (vulnerabilities meta)}";
    }
    else if !(lib.elem system (meta.platforms or [ system ])) && !allowUnsupported then {
      reason = "is not available on the requested hostPlatform (‘${system}’)";
      remedy = "set config.allowUnsupportedSystem";
    }
    else null;
in
{ name, meta, position }:
let
  package = { inherit name meta; pname = lib.getName name; version = lib.getVersion name; };
  place = if position == null then "«unknown-file»" else "${position.file}:${toString position.line}";
  refused = refusal package;
in
value:
if refused == null then value
else throw "Package ‘${name}’ in ${place} ${refused.reason}, refusing to evaluate. To allow it, ${refused.remedy}."
