# One derivation that refers to every unit of a set, for building and keeping them all, and one
# that refers to what they are made from.
{ system, lock ? ./locks + "/${system}.json" }:

let
  set = import ./. { inherit system lock; };
  inherit (set) lib;
  listing = name: paths: derivation {
    inherit name;
    system = set.debian.data.build.system;
    builder = "${set.debian.sources.runtime}/bin/busybox";
    args = [ "sh" "-c" "$runtime/bin/busybox cp $textPath $out" ];
    inherit (set.debian.sources) runtime;
    passAsFile = [ "text" ];
    text = lib.concatMapStringsSep "\n" toString paths;
  };
in
{
  units = listing "debian-units" (
    map (name: set.debianPackages.${name}) (lib.unique (lib.attrValues set.debian.data.attributes))
    ++ lib.optional (set ? glibcLocales) set.glibcLocales);
  sources = listing "debian-sources" (lib.attrValues set.debian.sources.packages);
}
