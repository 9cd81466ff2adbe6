# The least that an image can be made of, and a tool; a test replaces VERSION.
{ system, ... }:

let
  package = name: derivation {
    inherit name system;
    builder = "/bin/sh";
    args = [ "-c" "/bin/mkdir -p $out/share; echo ${name} > $out/share/${name}" ];
  };
in
{
  cacert = package "cacert";
  iana-etc = package "iana-etc";
  tool = package "tool-VERSION" // {
    meta = {
      description = "A tool";
      homepage = [ "https://example.org/tool" ];
      documentation = "https://example.org/tool/manual";
      license = [ { spdxId = "MIT"; } { spdxId = "Apache-2.0"; } ];
    };
  };
  other = package "other-VERSION";
}
