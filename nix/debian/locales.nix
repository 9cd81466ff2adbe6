# glibcLocales as nixpkgs has it: lib/locale/locale-archive, compiled from the definitions of
# Debian's `locales` by the building machine's localedef.  One archive serves every little-endian
# machine, so that all systems share it.
{ system, packages }:

let
  locales = [ "C" "de_DE" "en_GB" "en_US" "es_ES" "fr_FR" ];
  pname = "glibc-locales";
  inherit (packages.locales) version;
  built = derivation {
    name = "${pname}-${version}";
    inherit system;
    builder = "${packages.bash}/bin/bash";
    args = [
      "-euc"
      ''
        export PATH=$coreutils/bin:$gzip/bin I18NPATH=$definitions/share/i18n
        mkdir -p $out/lib root/usr/lib/locale
        for locale in $locales; do
          $compiler/bin/localedef --no-warnings=ascii \
            --little-endian --prefix=$PWD/root -i $locale -f UTF-8 $locale.UTF-8
        done
        mv root/usr/lib/locale $out/lib/
        # Bash replaces itself by the last program, and mv closes its output before it exits: Nix
        # takes that for the end of the builder, and kills it.
        true
      ''
    ];
    inherit locales;
    inherit (packages) coreutils gzip;
    compiler = packages.libc-bin;
    definitions = packages.locales;
  };
in
built // {
  inherit pname version;
  meta = packages.locales.meta // { inherit (built) name; };
}
