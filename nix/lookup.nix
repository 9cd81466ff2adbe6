# Find the attribute that a name means in a package set.
#
#   set -> name -> { value; path; } or { status = "unknown"; } or { status = "ambiguous"; candidates; }
#
# This evaluates only the sets on the path; the value itself stays lazy.
set:

let
  inherit (builtins)
    attrNames concatStringsSep filter foldl' genList head isAttrs isString length map match
    replaceStrings split stringLength substring;

  letters = text: genList (n: substring n 1 text) (stringLength text);
  lower =
    replaceStrings (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (letters "abcdefghijklmnopqrstuvwxyz");

  # The attributes of a set that a component may mean.  Repository names have no capitals and
  # no leading underscore, which Nix needs before a digit.
  candidates = set: component:
    let
      digit = match "[0-9].*" component != null;
      folded = lower component;
      same = name: let l = lower name; in l == folded || digit && l == "_" + folded;
    in
    if set ? ${component} then [ component ]
    else if digit && set ? ${"_" + component} then [ ("_" + component) ]
    else filter same (attrNames set);

  step = place: component:
    if place ? status then place
    else if ! isAttrs place.value then { status = "unknown"; }
    else
      let found = candidates place.value component; in
      if found == [ ] then { status = "unknown"; }
      else if length found > 1 then {
        status = "ambiguous";
        candidates = map (name: concatStringsSep "." (place.path ++ [ name ])) found;
      }
      else {
        value = place.value.${head found};
        path = place.path ++ found;
      };
in
name:
if set ? ${name} then { value = set.${name}; path = [ name ]; }
else foldl' step { value = set; path = [ ]; } (filter isString (split "\\." name))
