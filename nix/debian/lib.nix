# The part of nixpkgs' lib that image expressions use.
let
  inherit (builtins) attrNames concatLists concatMap concatStringsSep elemAt filter foldl' genList head isString
    length listToAttrs map replaceStrings split stringLength substring tail;
  characters = text: genList (index: substring index 1 text) (stringLength text);
  lower = characters "abcdefghijklmnopqrstuvwxyz";
  upper = characters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  special = characters "\\[{()^$?*+|.";
in
rec {
  inherit (builtins) all any attrNames attrValues concatLists concatMap concatStringsSep elem elemAt filter foldl'
    fromJSON functionArgs genList getAttr hasAttr head intersectAttrs isAttrs isBool isFunction isInt isList isString
    length listToAttrs map mapAttrs match removeAttrs replaceStrings sort stringLength substring tail toJSON tryEval;

  id = value: value;
  const = value: _: value;
  fix = function: let value = function value; in value;
  importJSON = path: fromJSON (builtins.readFile path);

  toLower = replaceStrings upper lower;
  toUpper = replaceStrings lower upper;
  stringToCharacters = characters;
  escapeRegex = replaceStrings special (map (character: "\\" + character) special);
  splitString = separator: text: filter isString (split (escapeRegex separator) (toString text));
  concatMapStringsSep = separator: function: list: concatStringsSep separator (map function list);
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  hasSuffix = suffix: text:
    stringLength text >= stringLength suffix
    && substring (stringLength text - stringLength suffix) (stringLength text) text == suffix;
  removePrefix = prefix: text:
    if hasPrefix prefix text then substring (stringLength prefix) (stringLength text) text else text;
  removeSuffix = suffix: text:
    if hasSuffix suffix text then substring 0 (stringLength text - stringLength suffix) text else text;

  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: list: if condition then list else [ ];
  optionalString = condition: text: if condition then text else "";
  optionalAttrs = condition: set: if condition then set else { };
  last = list: elemAt list (length list - 1);
  toList = value: if builtins.isList value then value else [ value ];
  flatten = value: if builtins.isList value then concatLists (map flatten value) else [ value ];
  unique = foldl' (known: value: if builtins.elem value known then known else known ++ [ value ]) [ ];

  nameValuePair = name: value: { inherit name value; };
  genAttrs = names: function: listToAttrs (map (name: nameValuePair name (function name)) names);
  filterAttrs = keep: set: removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
  mapAttrsToList = function: set: map (name: function name set.${name}) (attrNames set);
  attrByPath = path: default: set:
    if path == [ ] then set
    else if builtins.isAttrs set && set ? ${head path} then attrByPath (tail path) default set.${head path}
    else default;
  hasAttrByPath = path: set:
    path == [ ] || (builtins.isAttrs set && set ? ${head path} && hasAttrByPath (tail path) set.${head path});
  getAttrFromPath = path: attrByPath path (throw "cannot find attribute `${concatStringsSep "." path}'");
  setAttrByPath = path: value: if path == [ ] then value else { ${head path} = setAttrByPath (tail path) value; };

  isDerivation = value: value.type or null == "derivation";
  recurseIntoAttrs = set: set // { recurseForDerivations = true; };
  getName = value: if isString value then (builtins.parseDrvName value).name else value.pname or (getName value.name);
  getVersion = value:
    if isString value then (builtins.parseDrvName value).version else value.version or (getVersion value.name);
  getOutput = output: package: if package ? outputs then package.${output} or package.out or package else package;
  getBin = getOutput "bin";
  getLib = getOutput "lib";
  getExe = package: "${getBin package}/bin/${package.meta.mainProgram or (getName package)}";
  makeSearchPath = place: packages: concatMapStringsSep ":" (package: "${package}/${place}") (filter (package: package != null) packages);
  makeBinPath = packages: makeSearchPath "bin" (map getBin packages);
  makeLibraryPath = packages: makeSearchPath "lib" (map getLib packages);
}
