# List the inputs of a flake.
#
#   nix-instantiate --eval --strict --json flake-inputs.nix --argstr request JSON
#
# request   { flake, ... }: the directory of its flake.nix
# result    { unpinned; places; dated; }
#   unpinned   the names of inputs that the lock file does not pin: they can change at any time
#   places     a list of { name; place; }: place is part of the input's reference in messages of Nix
#   dated      whether a reference may have the flake's date, which older versions of Nix refuse
#
# This fetches nothing: flake.nix is imported as a plain expression.
{ request }:

let
  inherit (builtins)
    attrNames concatLists fromJSON functionArgs isAttrs isString map match pathExists readFile
    removeAttrs;

  directory = (fromJSON request).flake;
  flake = import "${directory}/flake.nix";
  file = "${directory}/flake.lock";
  lock = if pathExists file then fromJSON (readFile file) else { };
  locked = lock.nodes.${lock.root}.inputs or { };
  named = functionArgs flake.outputs // flake.inputs or { };
  unpinned = attrNames (removeAttrs named ([ "self" ] ++ attrNames locked));

  # The place in a reference that is a set, as in lock files.
  fromSet = set:
    set.url or set.path or (if set ? repo then "${set.owner}/${set.repo}" else set.id or "");
  # The place in a reference that is text, without the parts that messages of Nix omit.
  fromText = url:
    let
      plain = match "(git\\+|tarball\\+|file\\+)?(https?://[^?#]*|file://[^?#]*|ssh://[^?#]*).*" url;
      local = match "(path:)?(/[^?#]*).*" url;
      short = match "[a-z]+:([^/?#]+/[^/?#]+).*" url;
    in
    if plain != null then builtins.elemAt plain 1
    else if local != null then builtins.elemAt local 1
    else if short != null then builtins.head short
    else url;
  place = name: set:
    let found = if isString (set.url or null) then fromText set.url else fromSet set; in
    if isString found && found != "" then [ { inherit name; place = found; } ] else [ ];

  ofLock = name: place name (lock.nodes.${name}.locked or { });
  ofFlake = name:
    let input = flake.inputs.${name} or { }; in if isAttrs input then place name input else [ ];
in
import ./entry.nix { reference = directory; file = "flake.nix"; other = "default.nix"; kind = "git"; }
{
  inherit unpinned;
  dated = builtins.compareVersions builtins.nixVersion "2.20" >= 0;
  places = concatLists (map ofFlake unpinned ++ map ofLock (attrNames (lock.nodes or { })));
}
