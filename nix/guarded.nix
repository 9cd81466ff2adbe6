# The builtins that make store paths, for an untrusted package set.
#
# For Nix any file whose name ends in .drv is a derivation, and its text may name any store path as
# an input.  So only `derivation` may make files with such names.
let
  inherit (builtins)
    baseNameOf concatStringsSep elem filter length removeAttrs split stringLength substring toString
    unsafeDiscardStringContext;

  untrusted = "refused to a source that is not trusted (trusted = false)";

  isDerivation = name:
    stringLength name >= 4 && substring (stringLength name - 4) 4 name == ".drv";

  # The path as text, without ".." and trailing slashes.
  canonical = path: toString (/. + unsafeDiscardStringContext (toString path));

  # ---- derivations

  # Attributes that let a build read more than its inputs, if Nix's configuration allows it.
  # `__json` could contain the others.
  reaching = [ "__impure" "__impureHostDeps" "__json" "__noChroot" ];
  refused = attributes:
    filter (name: attributes ? ${name} && ! elem attributes.${name} [ false null "" [ ] ]) reaching
    # Such a build passes derivations of its own to Nix.
    ++ (if length (split "recursive-nix" (toString (attributes.requiredSystemFeatures or ""))) > 1
    then [ "recursive-nix" ] else [ ]);

  # Checked when the derivation is made, not when its attributes are read.
  checked = attributes:
    if ! attributes ? name then attributes
    else attributes // {
      name =
        if refused attributes == [ ] then attributes.name
        else throw "a derivation with ${concatStringsSep ", " (refused attributes)} is ${untrusted}";
    };

  # ---- files

  # With a hash, Nix returns any store path that has it, without copying the given files.  So this
  # copies the files, and compares their store path with the one that follows from the hash.
  path = arguments:
    let
      name = arguments.name or (baseNameOf (canonical arguments.path));
      copied = builtins.path (removeAttrs arguments [ "sha256" ] // { inherit name; });
      expected = (builtins.derivationStrict {
        inherit name;
        system = "none";
        builder = "none";
        outputHashAlgo = "sha256";
        outputHashMode = if arguments.recursive or true then "recursive" else "flat";
        outputHash = arguments.sha256;
      }).out;
    in
    if isDerivation name then throw "a file named '*.drv' is ${untrusted}"
    else if arguments ? sha256 && expected != copied then throw "the files of '${name}' do not have the given sha256"
    else copied;
in
{
  inherit canonical isDerivation untrusted;

  builtins = {
    derivation = attributes: derivation (checked attributes);
    derivationStrict = attributes: builtins.derivationStrict (checked attributes);
    filterSource = filter: directory: path { inherit filter; path = directory; };
    inherit path;
    toFile = name: text:
      if isDerivation name then throw "a file named '*.drv' is ${untrusted}"
      else builtins.toFile name text;
  };
}
