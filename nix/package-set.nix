# The package set of a source, for one system and under its policy.
#
#   set          { kind = "path" or "flake"; reference; is_file; roots; search_path; wrapped; }
#                is_file       whether the reference is a file rather than a directory
#                search_path   a list of { prefix; path; }: the path of each <prefix>
#                roots         the directories whose files are imported, reference among them
#                wrapped       whether the flake of the source is the input `target` of this one
#   config       { unfree, insecure, broken }: each true, false, or the list of the names allowed
#   restricted   whether the source is untrusted
{ set, system, config, restricted, ... }:

let
  inherit (builtins)
    attrNames concatStringsSep filter functionArgs getFlake head intersectAttrs isAttrs isFunction
    parseDrvName toJSON tryEval;

  load =
    if restricted
    then import ./confined.nix { inherit (set) roots search_path; policy = toJSON config; }
    else import;

  # Arguments that a set's function gets if it has them.
  optional = {
    inherit system;
    config = import ./policy.nix config;
    overlays = [ ];
  };

  # Arguments that a function gets only if it requires them.
  nixpkgs = filter (entry: entry.prefix == "nixpkgs") set.search_path;
  required = {
    pkgs =
      if nixpkgs == [ ]
      then throw "it takes pkgs, and has no nixpkgs: give the source a search_path with it"
      else call (load (head nixpkgs).path);
    inherit (required.pkgs) lib;
  };

  call = value:
    let takes = functionArgs value; in
    if ! isFunction value then value
    else if takes == { } then value optional
    else value (intersectAttrs takes optional // intersectAttrs (without takes) required);
  without = takes: removeAttrs takes (filter (name: takes.${name}) (attrNames takes));

  # A file that is one package becomes a set with it, under its own name and that of flakes.
  several = value:
    let pname = tryEval (value.pname or (parseDrvName value.name).name); in
    if isFunction value then
      throw "it is a function of functions, such as an overlay, not a set of packages"
    else if ! (isAttrs value && value.type or null == "derivation") then value
    else { default = value; } // (if pname.success then { ${pname.value} = value; } else { });

  flake =
    let
      found = getFlake set.reference;
      outputs = if set.wrapped then found.inputs.target else found;
      kinds = map (kind: outputs.${kind} or { }) [ "legacyPackages" "defaultPackage" "packages" ];
      of = kind: outputs.${kind}.${system} or { };
      systems = attrNames (builtins.foldl' (all: kind: all // kind) { } kinds);
    in
    if ! (builtins ? getFlake) then throw "the Nix of this server knows no flakes"
    else if ! (builtins.any (kind: kind ? ${system}) kinds) then
      throw (
        if systems == [ ] then "the flake has neither packages nor legacyPackages"
        else "the flake has no packages for ${system}; it has some for ${concatStringsSep ", " systems}"
      )
    else of "legacyPackages"
      // (if outputs ? defaultPackage.${system} then { default = of "defaultPackage"; } else { })
      // of "packages";
in
if set.kind == "flake" then flake
else if set.is_file then several (call (load set.reference))
else import ./entry.nix { inherit (set) reference; file = "default.nix"; other = "flake.nix"; kind = "flake"; }
  (several (call (load set.reference)))
