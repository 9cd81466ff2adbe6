# What a base source supplies: certificates, names of services and a shell.
{ system, ... }:

let
  package = name: derivation {
    inherit name system;
    builder = "/bin/sh";
    args = [ "-c" "/bin/mkdir -p $out/share; echo ${name} > $out/share/${name}" ];
  };
in
{
  cacert = package "cacert-1";
  iana-etc = package "iana-etc-1";
  bashInteractive = package "bash";
  coreutils = package "coreutils";
  moreutils = package "moreutils";
  nano = package "nano";
}
