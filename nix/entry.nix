# A value, if the file that Nix begins with is there; else an error with the setting to look at.
#
#   reference     a directory
#   file          the file that has to be in a directory
#   other, kind   the file of the other kind of source
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
