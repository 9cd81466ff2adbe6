# The kinds of attributes, and the names in sets; no derivation is made.
#
# kind      a value's kind: "package", "packages" (a set marked as containing them), "set", "other"
# kindOf    the kind of the value with a name; "other" if it raises an error
# inner     the names in a value that image names may have; others may not be UTF-8
# innerOf   the same for the set with a name; null for other values
set:

let
  inherit (builtins) attrNames deepSeq filter isAttrs match tryEval;

  find = import ./lookup.nix set;
  inherit (import ./text.nix) printable;
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

  # A nested name with a dot would be read as two levels.
  inner = value:
    filter (name: name != "recurseForDerivations" && printable name && match "[^.]+" name != null)
      (attrNames value);
  innerOf = name:
    attempt null (let value = valueOf name; in if isAttrs value then inner value else null);
}
