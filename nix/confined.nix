# A file of a package set that is not trusted, and all that it imports, without the builtins that
# reach beyond the set.
#
# Nix's own restriction (restrict-eval) lets a set fetch from what it may read: file:// addresses
# whose links or %2e%2e lead elsewhere, repositories whose objects are another's or whose
# configuration runs programs.  A search path may be written down with addresses in it, and is
# fetched.  To name a store path is to ask binary caches for it.
#
# So of the builtins only those are there that are known to compute, or to be restricted; what a
# later Nix adds is refused.  The names are shadowed by scopedImport, in every form they have, and
# `import` is among them: what a file imports finds no more than the file did.
#
# What a derivation may read is what the contexts of its strings name.  No builtin is there that
# adds to a context what the evaluation did not make, or makes a derivation of a file; those that
# make store paths are guarded.nix's.
#
#   roots         directories (or one file) whose files are imported
#   search_path   a list of { prefix; path; }, the only one that is searched
#   policy        what the server's own files find in NIXERY_POLICY (nix/nixpkgs-config.nix)
#
# The result imports a path.
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
  # Nix 2.8 does not have them.
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
    # Nix's own files, such as <nix/fetchurl.nix>, which every restriction lets through.
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
  # These have not: where a set has one of its own (`with pkgs; fetchurl`), that is meant.
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

  # ---- importing each file once, as `import` does and scopedImport does not

  # Nix makes a package of a derivation that is imported, with contexts that name it.
  importable = path:
    if guarded.isDerivation (guarded.canonical path) then throw "to import a derivation is ${guarded.untrusted}"
    else path;

  # The files of the set, looked at as far as they are imported; links are not followed here.
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
