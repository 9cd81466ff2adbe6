# What each attribute of a package set is, for proposals and the search.
#
#   nix-instantiate --eval --strict --json --read-write-mode list-attributes.nix --argstr request JSON
#
# request   { set, system, config, restricted, marker, start, only, within }  (see package-set.nix)
#   only      names to look at; null for all attributes at the top
#   start     how many of them to skip
#   within    if not null, the names in the set that is called so are the whole answer
# answer    lines on standard error, each "trace: MARKER JSON":
#   ["names", [...]]                     all attributes at the top, if start is 0 and only is null
#   [0]                                  the first attribute will be looked at
#   [0, "package"]                       what it is (see names.nix)
#   [1, "packages", ["numpy", ...]]      with what is in it
# and on standard output true, or what within asks for.
#
# A value is looked at as far as it takes to tell a package from a set; no derivation is made.
# An abort or an infinite recursion cannot be caught: the last line then has the number of the
# attribute that ended the evaluation, and the caller starts again behind it.
{ request }:

let
  inherit (builtins)
    attrNames elemAt foldl' fromJSON genList isAttrs length map seq toJSON trace;

  ask = fromJSON request;
  set = import ./package-set.nix ask;
  inherit (import ./names.nix set) inner innerOf kind;
  find = import ./lookup.nix set;

  say = event: trace "${ask.marker} ${toJSON event}";

  subjects =
    if ask.only != null then map (name: (find name).value or null) ask.only
    else map (name: set.${name}) (attrNames set);

  look = number:
    let
      value = elemAt subjects number;
      found = kind value;
      more = if found == "packages" then [ (inner value) ] else [ ];
    in
    say [ number ] (seq found (say ([ number found ] ++ more) null));

  all = foldl' (_: number: seq (look number) true) true
    (genList (n: n + ask.start) (length subjects - ask.start));

  named = if ask.only == null && ask.start == 0 then say [ "names" (attrNames set) ] all else all;
in
if ! isAttrs set then throw "the package source is not a set of packages"
else if ask.within != null then innerOf ask.within
else named
