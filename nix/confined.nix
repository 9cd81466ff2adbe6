# Import a file of an untrusted package set, and all files that it imports, without the builtins
# that reach beyond the set.
#
# Nix's own restriction (restrict-eval) is not enough.  It lets a set fetch whatever it may read:
# file:// URLs with links or %2e%2e in them, and repositories with alternate object directories or
# with a configuration that runs programs.  It fetches URLs in a search path that an expression
# contains.  A store path in an expression makes Nix query binary caches.
#
# Therefore only builtins that compute, or that are restricted, are available; builtins that a later
# Nix adds are refused.  scopedImport shadows the names, in all of their forms.  `import` is one of
# them, so imported files get no other builtins.
#
# A derivation can read the paths in the contexts of its strings.  No available builtin adds a path
# to a context that the evaluation did not make, or makes a derivation from a file.  guarded.nix has
# the builtins that make store paths.
#
#   roots         the directories, or the file, whose files are imported
#   search_path   a list of { prefix; path; }, the only one that is searched
#   policy        the value of NIXERY_POLICY for the server's own files (nix/nixpkgs-config.nix)
#
# The result is a function that imports a path.
{ roots, search_path, policy }:

let
  inherit (builtins)
    any attrNames filter foldl' hasContext head isPath isString listToAttrs mapAttrs pathExists readDir
    removeAttrs split stringLength substring;

  guarded = import ./guarded.nix;

  allowed = {
    inherit (builtins)
      abort add addErrorContext all any attrNames attrValues baseNameOf bitAnd bitOr bitXor
      catAttrs ceil compareVersions concatLists concatMap concatStringsSep currentSystem
      currentTime deepSeq dirOf div elem elemAt false filter floor foldl' fromJSON fromTOML
      functionArgs genList genericClosure getAttr getContext getEnv groupBy hasAttr hasContext
      hashFile hashString head intersectAttrs isAttrs isBool isFloat isFunction isInt isList isNull
      isPath isString langVersion length lessThan listToAttrs map mapAttrs match mul nixVersion null
      parseDrvName partition pathExists placeholder readDir readFile removeAttrs replaceStrings seq
      sort split splitVersion storeDir stringLength sub substring tail throw toJSON toPath toString
      toXML trace true tryEval typeOf unsafeDiscardStringContext unsafeGetAttrPos zipAttrsWith;
  };
  # Builtins that Nix 2.8 does not have.
  later = builtins.intersectAttrs
    {
      break = null;
      convertHash = null;
      readFileType = null;
      traceVerbose = null;
      warn = null;
    }
    builtins;

  own = guarded.builtins // {
    builtins = given;
    nixPath = search_path;
    # Nix's own files, such as <nix/fetchurl.nix>, are always allowed.
    findFile = _: name:
      let named = entry: substring 0 (stringLength entry.prefix + 1) "${name}/" == "${entry.prefix}/"; in
      if substring 0 4 name == "nix/" then builtins.findFile [ ] name
      else if any named search_path then builtins.findFile (filter named search_path) name
      else throw "file '${name}' was not found: a source that is not trusted has no search path but its own (search_path)";
    getEnv = name: environment.${name} or "";
    import = once;
    scopedImport = names: path: scopedImport (scope // names) (importable path);
  };

  refused = mapAttrs
    (name: _: throw "${name} is ${guarded.untrusted}")
    (removeAttrs builtins (attrNames (allowed // later // own)));

  given = allowed // later // refused // own;

  # Most builtins have a second name with underscores, and only some of them the first.
  shadowed = refused // own;
  underscored = listToAttrs
    (map (name: { name = "__${name}"; value = given.${name}; }) (attrNames shadowed));
  # Names without such a form; a set may have its own of that name (`with pkgs; fetchurl`).
  plain = removeAttrs shadowed [
    "addDrvOutputDependencies" "appendContext" "exec" "fetchClosure" "fetchurl" "filterSource"
    "findFile" "flakeRefToString" "getEnv" "getFlake" "importNative" "nixPath" "outputOf" "parseFlakeRef"
    "path" "storePath" "toFile" "unsafeDiscardOutputDependency"
  ];
  scope = plain // underscored;

  environment = {
    NIXPKGS_CONFIG = toString ./nixpkgs-config.nix;
    NIXERY_POLICY = policy;
  };

  # ---- import each file once, as `import` does and scopedImport does not

  # Importing a derivation file gives a package, whose strings have the derivation as context.
  importable = path:
    if guarded.isDerivation (guarded.canonical path) then throw "to import a derivation is ${guarded.untrusted}"
    else path;

  # The files of the set, lazily; links are not followed here.
  node = type: path:
    if type == "directory" then { entries = mapAttrs (name: type: node type "${path}/${name}") (readDir path); }
    else if type == "regular" then { value = scopedImport scope path; }
    else { };
  places = map
    (root: { inherit root; below = "${root}/"; files = node "directory" root; })
    (filter (root: pathExists "${root}/default.nix") roots);
  holds = path: place: path == place.root || substring 0 (stringLength place.below) path == place.below;
  find = path:
    let
      place = head (filter (holds path) places);
      rest = substring (stringLength place.below) (stringLength path) path;
      names = filter (name: isString name && name != "") (split "/" rest);
    in
    if any (holds path) places
    then foldl' (at: name: at.entries.${name} or { }) place.files names
    else { };

  once = path:
    let
      text = toString path;
      plain = (isPath path || isString path) && ! hasContext text && substring 0 1 text == "/";
      found = if plain then find (toString (/. + text)) else { };
      imported = if found ? entries then found.entries."default.nix" or { } else found;
    in
    imported.value or (scopedImport scope (importable path));
in
once
