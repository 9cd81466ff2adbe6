# The preloaded library of redirect.c, for programs whose data has a compiled-in place.
# Compiled by the set's own compiler, hence only for the machine that builds.
{ data, units }:

if data.system != data.build.system then throw "redirect.c cannot be compiled for ${data.system} on ${data.build.system}"
else derivation {
  name = "redirect";
  inherit (data.build) system;
  builder = "${units.bash}/bin/bash";
  args = [ "-ec" "$coreutils/bin/mkdir -p $out/lib; $gcc/bin/gcc -O2 -fPIC -shared -o $out/lib/redirect.so ${./redirect.c}" ];
  inherit (units) coreutils gcc;
}
