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
  tool = package "tool-VERSION";
  other = package "other-VERSION";
}
