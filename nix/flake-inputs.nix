# List the inputs of a flake.
#
#   nix-instantiate --eval --strict --json flake-inputs.nix --argstr request JSON
#
# request   { flake, ... }: the directory of its flake.nix
# result    { complete; unpinned; places; branches; dated; }
#   complete   whether the lock file has all inputs
#   unpinned   the names of inputs that neither the lock file nor the flake's own commit pins: they
#              can change at any time
#   places     a list of { name; place; }: place is part of the input's reference in messages of Nix
#   branches   the same for branches and tags
#   dated      whether a reference may have the flake's date, which older versions of Nix refuse
#
# This fetches nothing: flake.nix is imported as a plain expression.
{ request }:

let
  inherit (builtins)
    attrNames concatLists elemAt filter fromJSON functionArgs isAttrs isString map match pathExists
    readFile removeAttrs;

  directory = (fromJSON request).flake;
  flakeOf = at: import "${at}/flake.nix";
  lockOf = at:
    let file = "${at}/flake.lock"; in if pathExists file then fromJSON (readFile file) else { };
  # The inputs that the lock file lacks.
  missingOf = at:
    let
      found = flakeOf at;
      lock = lockOf at;
      named = functionArgs found.outputs // found.inputs or { };
    in
    attrNames (removeAttrs named ([ "self" ] ++ attrNames (lock.nodes.${lock.root}.inputs or { })));
  # A flake in a directory of the repository has the same commit; its own inputs may be unpinned.
  # Directories that contain each other have no end.
  unpinnedOf = depth: at: filter (name: !(isPinned depth at ((flakeOf at).inputs.${name} or { }))) (missingOf at);
  isPinned = depth: at: input:
    let below = if isString (input.url or null) then match "(path:(\\./)?|\\./)([^/?#][^?#]*)" input.url else null; in
    depth > 0 && below != null && match "(.*/)?\\.\\.(/.*)?" (elemAt below 2) == null
    && (!(input.flake or true) || (
      pathExists "${at}/${elemAt below 2}/flake.nix"
      && unpinnedOf (depth - 1) "${at}/${elemAt below 2}" == [ ]
    ));

  flake = flakeOf directory;
  lock = lockOf directory;
  missing = missingOf directory;

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
    if plain != null then elemAt plain 1
    else if local != null then elemAt local 1
    else if short != null then builtins.head short
    else url;
  place = name: set:
    let found = if isString (set.url or null) then fromText set.url else fromSet set; in
    if isString found && found != "" then [ { inherit name; place = found; } ] else [ ];

  branch = name: set:
    let
      inText = if isString (set.url or null) then match ".*[?&]ref=([^&#]+).*" set.url else null;
      found = set.ref or (if inText != null then elemAt inText 0 else null);
    in
    if isString found then [ { inherit name; place = found; } ] else [ ];

  # Of all inputs, by a function of one.
  listed = find:
    let
      ofLock = name: find name (lock.nodes.${name}.locked or { });
      ofFlake = name:
        let input = flake.inputs.${name} or { }; in if isAttrs input then find name input else [ ];
    in
    concatLists (map ofFlake missing ++ map ofLock (attrNames (lock.nodes or { })));
in
import ./entry.nix { reference = directory; file = "flake.nix"; other = "default.nix"; kind = "git"; }
{
  complete = missing == [ ];
  unpinned = unpinnedOf 8 directory;
  dated = builtins.compareVersions builtins.nixVersion "2.20" >= 0;
  places = listed place;
  branches = listed branch;
}
