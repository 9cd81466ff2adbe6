# Packages whose evaluation fails: by themselves, or because config does not allow them.
self: super:

let
  package = name: meta: self.stdenv.mkDerivation {
    pname = name;
    version = "1.0";
    buildCommand = "mkdir -p $out/share; echo ${name} > $out/share/${name}";
    inherit meta;
  };
in
{
  throws = throw "this package throws: the moon is in the wrong phase";
  asserts = assert 1 == 2; package "asserts" { };
  recurses = let recurses = recurses; in recurses;
  # A derivation by all appearance, until it is to be instantiated.
  throws-late = self.stdenv.mkDerivation { name = throw "this package throws late"; };
  misses-an-attribute = self.attributeNobodyHas;

  unfree-package = package "unfree-package" { license = { free = false; shortName = "unfree"; }; };
  unfree-other = package "unfree-other" { license = [ { free = true; shortName = "mit"; } { free = false; shortName = "bsl11"; } ]; };
  free-package = package "free-package" { license = { free = true; shortName = "asl20"; }; };
  broken-package = package "broken-package" { broken = true; };
  insecure-package = package "insecure-package" { knownVulnerabilities = [ "CVE-2000-0001" "CVE-2000-0002" ]; };
  unsupported-package = package "unsupported-package" { platforms = [ "m68k-linux" ]; };
}
