# What a package set has under a name, without making a derivation.
#
# kind      of a value: "package", "packages" (a set that says that packages are in it), "set", "other"
# kindOf    the same by name; what raises an error is "other"
# inner     the names in a value
# innerOf   the same by name; null where there is no set
set:

let
  inherit (builtins) attrNames deepSeq filter isAttrs match tryEval;

  find = import ./lookup.nix set;
  valueOf = name: (find name).value or null;
  attempt = default: value:
    let result = tryEval (deepSeq value value); in
    if result.success then result.value else default;
in
rec {
  kind = value: attempt "other" (
    if ! isAttrs value then "other"
    else if value.type or null == "derivation" then "package"
    else if value.recurseForDerivations or false == true then "packages"
    else "set"
  );
  kindOf = name: kind (valueOf name);

  # A dot in a nested name would be taken for another level.
  inner = value:
    filter (name: name != "recurseForDerivations" && match "[^.]+" name != null) (attrNames value);
  innerOf = name:
    attempt null (let value = valueOf name; in if isAttrs value then inner value else null);
}
