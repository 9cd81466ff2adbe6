# The names of a package set's packages, for proposals and the search: what is at the top, and
# what is in sets that say of themselves that packages are in them.
#
#   nix-instantiate --eval --strict --json --read-write-mode list-attributes.nix --argstr request JSON
#
# request   { set, system, config, restricted, leave_out }   (see package-set.nix)
# answer    a list of attribute paths such as "hello" and "python3Packages.numpy"
#
# A value is looked at as far as it takes to tell a package from a set; no derivation is made.
# What raises an error is no package.  An abort or an infinite recursion cannot be caught: each
# attribute is traced, as JSON, before it is looked at, so that the caller knows which one ended
# the evaluation and can ask again with that one left out.  With leave_out null nothing is looked
# at, and all names at the top are the answer.
{ request }:

let
  inherit (builtins)
    attrNames concatLists deepSeq elem filter fromJSON isAttrs map match removeAttrs toJSON trace
    tryEval;

  ask = fromJSON request;
  set = import ./package-set.nix ask;

  attempt = default: value:
    let result = tryEval (deepSeq value value); in
    if result.success then result.value else default;

  # A dot in a nested name would be taken for another level.
  undotted = filter (name: match "[^.]+" name != null);

  names = name:
    let
      value = set.${name};
      found =
        if ! isAttrs value then [ ]
        else if value.type or null == "derivation" then [ name ]
        else if value.recurseForDerivations or false == true then
          map (inner: "${name}.${inner}")
            (undotted (attrNames (removeAttrs value [ "recurseForDerivations" ])))
        else [ ];
    in
    trace (toJSON name) (attempt [ ] found);

  looked = filter (name: ! elem name ask.leave_out) (attrNames set);
in
if ask.leave_out == null then attrNames set
else concatLists (map names looked)
