# Describe the packages of a set by name.  This evaluates the named attributes only, and of those
# only the values below; it builds nothing.
#
# result    a list in the order of names, of
#   { status = "package"; attribute; derivation; output; path; name; ... }
#   { status = "raised"; ... }                  a package that does not evaluate, with its metadata
#   { status = "unknown"; }
#   { status = "ambiguous"; candidates; }
#   { status = "meta"; attribute; packages; }   a set that stands for its nixery.packages
#   { status = "other"; attribute; kind; }      another value, such as "a function"
#
# With explain an error of the set is not caught, so that Nix prints its message.
#
# The derivation that a restricted set claims is not used: the store has derivations of other
# sources, and files that look like derivations.  It is derived again from the package's drvAttrs.
# The caller compares path with the outputs in the derivation file.
#
# With read_only there may be no such file.  A package then has `confirmed` as well: whether its
# drvAttrs make its derivation and its path.
set: { names, explain, restricted, read_only ? false, ... }:

let
  inherit (builtins)
    concatLists concatStringsSep deepSeq elemAt filter genList head isAttrs isBool isInt isList
    isString length map parseDrvName stringLength toJSON tryEval typeOf unsafeDiscardStringContext;

  find = import ./lookup.nix set;
  inherit (import ./text.nix) utf8;

  # ---- metadata; null where a value is absent, of another type, or raises an error

  attempt = default: value:
    let result = tryEval (deepSeq value value); in
    if result.success then result.value else default;

  text = value:
    if isString value && stringLength value <= 1000
    then utf8 (unsafeDiscardStringContext value) else null;

  license = value:
    if isString value then { name = text value; spdx = null; free = true; }
    else if isAttrs value then {
      name = text (value.spdxId or value.shortName or value.fullName or "unnamed");
      spdx = text (value.spdxId or null);
      free = value.free or true == true;
    }
    else { name = null; spdx = null; free = true; };

  licenses = value:
    if isList value then concatLists (map licenses value)
    else if value == null then [ ]
    else [ (license value) ];

  few = list: if length list <= 200 then list else genList (elemAt list) 200;

  # Packages with more licenses than that are made to take space; the policy needs those that are
  # not free.
  fewLicenses = all:
    if length all <= 200 then all
    else few (filter (one: !one.free) all ++ filter (one: one.free) all);

  services = import ./services.nix;

  # tryEval does not catch the error of a name of another type.
  pnameOf = value:
    if value ? pname then value.pname
    else if isString (value.name or null) then (parseDrvName value.name).name
    else null;

  # JSON; "" if it is too long or raises an error, which the server refuses as invalid.
  service = value:
    let
      pname = pnameOf value;
      of = value.nixery or (if isString pname then services.${pname} or null else null);
      json = attempt "" (unsafeDiscardStringContext (toJSON of));
    in
    if attempt false (of == null) then null
    else if stringLength json > 16384 then "" else json;

  isMeta = value: isAttrs value && value.type or null != "derivation" && isList (value.nixery.packages or null);

  kinds = {
    set = "a set";
    lambda = "a function";
    string = "a string";
    list = "a list";
    int = "a number";
    float = "a number";
    bool = "a boolean";
    null = "null";
    path = "a path";
  };

  kind = value:
    if isAttrs value && value ? __functor then "a function"
    else if isAttrs value && value.recurseForDerivations or false == true then "a set of packages"
    else kinds.${typeOf value};

  about = value:
    let
      of = attribute: default: check:
        attempt default (let v = value.meta.${attribute} or null; in if check v then v else default);
      identifiers = value.meta.identifiers or { };
      first = list: if isList list && list != [ ] then head list else list;
    in
    {
      name = attempt null (text (value.name or null));
      pname = attempt null (text (pnameOf value));
      version = attempt null (text (value.version or (
        if isString (value.name or null) then (parseDrvName value.name).version else null)));
      licenses = attempt [ ] (fewLicenses (licenses (value.meta.license or null)));
      vulnerabilities = map text (few (of "knownVulnerabilities" [ ] isList));
      broken = of "broken" false isBool;
      insecure = of "insecure" false isBool;
      priority = of "priority" null isInt;
      main_program = attempt null (text (value.meta.mainProgram or null));
      description = attempt null (text (value.meta.description or null));
      homepage = attempt null (text (first (value.meta.homepage or null)));
      documentation = attempt null (text (first (value.meta.documentation or null)));
      position = attempt null (text (value.meta.position or null));
      cpe = attempt null (text (identifiers.cpe or null));
      purl = attempt null (text (identifiers.purl or null));
      service = attempt null (service value);
    };

  none = throw "it calls itself a derivation and has no drvPath or outPath";

  guarded = import ./guarded.nix;

  made = value:
    (if restricted then guarded.builtins else builtins).derivationStrict
      (value.drvAttrs or (throw "a package without drvAttrs is ${guarded.untrusted}"));

  # The package's own drvPath is evaluated too: nixpkgs raises the errors of its policy there.
  remade = value:
    let inherit (made value) drvPath; in
    if value.drvPath or none == drvPath then drvPath
    else throw "its drvPath is not the derivation that its drvAttrs make";

  confirmed = value: { derivation, path, output }:
    let outputs = made value; in
    outputs.drvPath == derivation && removeAttrs outputs [ "drvPath" ] ? ${output} && outputs.${output} == path;

  built = value:
    let
      claimed = {
        derivation = text (if restricted then remade value else value.drvPath or none);
        path = text (value.outPath or none);
        output = text (value.outputName or "out");
      };
    in
    claimed // (if read_only then { confirmed = attempt false (confirmed value claimed); } else { });

  guard = value:
    if explain then { success = true; inherit value; } else tryEval (deepSeq value value);

  describe = place:
    let
      inherit (place) value;
      attribute = concatStringsSep "." place.path;
      outcome = guard (built value);
    in
    if place ? status then place
    else if isMeta value then {
      status = "meta";
      inherit attribute;
      packages = map text value.nixery.packages;
    }
    else if ! (isAttrs value && value.type or null == "derivation") then {
      status = "other";
      inherit attribute;
      kind = kind value;
    }
    else about value // { inherit attribute; } // (
      if outcome.success then outcome.value // { status = "package"; } else { status = "raised"; }
    );

  answer = name:
    let outcome = guard (describe (find name)); in
    if outcome.success then outcome.value else { status = "raised"; };
in
if isAttrs set then map answer names
else throw "the package source is ${kind set}, not a set of packages"
