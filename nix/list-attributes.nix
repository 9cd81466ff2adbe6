# List the attributes of a package set and their kinds, for suggestions and the search.
#
#   nix-instantiate --eval --strict --json --read-write-mode list-attributes.nix --argstr request JSON
#
# request   { set, system, config, restricted, marker, start, only, within }  (see package-set.nix)
#   only      the names to evaluate; null for all attributes at the top
#   start     how many of them to skip
#   within    null, or the name of a set: the result is then the names in it
# output    lines on standard error, each "trace: MARKER JSON":
#   ["names", [...]]                     all attributes at the top, if start is 0 and only is null;
#                                        "" for each that no image name can have
#   [0]                                  the evaluation of the first attribute starts
#   [0, "package"]                       its kind (see names.nix)
#   [1, "packages", ["numpy", ...]]      with the names in the set
# and on standard output true, or the names in the set `within`.
#
# Values are evaluated until packages and sets can be distinguished; no derivation is made.
# An abort or an infinite recursion cannot be caught: the last line then has the number of the
# attribute that ended the evaluation, and the caller continues with the next one.
{ request }:

let
  inherit (builtins)
    attrNames elemAt foldl' fromJSON genList isAttrs length map seq toJSON trace;

  input = fromJSON request;
  set = import ./package-set.nix input;
  inherit (import ./names.nix set) inner innerOf kind;
  inherit (import ./text.nix) printable;
  find = import ./lookup.nix set;

  emit = event: trace "${input.marker} ${toJSON event}";

  subjects =
    if input.only != null then map (name: (find name).value or null) input.only
    else map (name: set.${name}) (attrNames set);

  look = number:
    let
      value = elemAt subjects number;
      found = kind value;
      more = if found == "packages" then [ (inner value) ] else [ ];
    in
    emit [ number ] (seq found (emit ([ number found ] ++ more) null));

  all = foldl' (_: number: seq (look number) true) true
    (genList (n: n + input.start) (length subjects - input.start));

  names = map (name: if printable name then name else "") (attrNames set);
  named = if input.only == null && input.start == 0 then emit [ "names" names ] all else all;
in
if ! isAttrs set then throw "the package source is not a set of packages"
else if input.within != null then innerOf input.within
else named
