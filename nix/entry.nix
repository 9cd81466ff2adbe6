# Return a value if a directory has the file that Nix starts with; else raise an error with the
# setting to change.
#
#   reference     the directory
#   file          the file that it must have
#   other, kind   the file that another kind of source has
{ reference, file, other, kind }: value:

let
  inherit (builtins) baseNameOf pathExists;
  name = "'${baseNameOf reference}'";
in
if pathExists "${reference}/${file}" then value
else if ! pathExists reference then throw "directory ${name} does not exist (see the setting directory)"
else if pathExists "${reference}/${other}" then
  throw "there is no ${file}; there is a ${other}, which kind = \"${kind}\" serves"
else throw "there is no ${file}; the setting directory may name the one that has it"
