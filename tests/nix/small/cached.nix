# Packages for a binary cache: one that refers to another, one that forbids
# substitution, one that can be built only while the file ``permit`` exists.  ``salt`` makes their store
# paths new.
{ system, salt ? "", permit ? "/nonexistent", ... }:

let
  package = name: attributes: text: derivation ({
    inherit name system salt;
    builder = "/bin/sh";
    args = [ "-c" "/bin/mkdir -p $out/share; echo ${text} > $out/share/${name}" ];
  } // attributes);
in
rec {
  cacert = package "cacert" { } "cacert";
  iana-etc = package "iana-etc" { } "iana-etc";
  leaf = package "leaf-1.0" { } "leaf";
  tree = package "tree-1.0" { } "${leaf}";
  # In no cache, and its input neither.
  elsewhere = package "elsewhere-1.0" { } "${package "input-1.0" { } "input"}";
  local = package "local-1.0" { preferLocalBuild = true; allowSubstitutes = false; } "local";
  # Another package where derivation files are written, which it looks for behind Nix's back.
  wavering =
    let file = builtins.unsafeDiscardStringContext elsewhere.drvPath;
    in package (if builtins.pathExists file then "written-1.0" else "computed-1.0") { } "wavering";
  fragile = package "fragile-1.0" { args = [ "-c" "test -e ${permit} && /bin/mkdir $out" ]; } "";
}
