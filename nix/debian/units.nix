# One derivation per unit of the lock: one store path per Debian package, or per group of
# packages that only work together.
{ lib, data, sources, redirect }:

let
  # SPDX identifiers by unit, from Debian's copyright files (generate.py licenses).
  licenses = builtins.fromJSON (builtins.readFile ./licenses.json);

  # Characters Nix does not take in names.
  storeName = lib.replaceStrings [ "++" "~" ] [ "xx" "-" ];

  unit = name: entry:
    let
      pname = entry.pname or name;
      outputs = entry.outputs or [ "out" ];
      derivationAttrs = {
        name = storeName (if entry.version == "" then pname else "${pname}-${entry.version}");
        inherit outputs;
        system = data.build.system;
        __structuredAttrs = true;
        builder = "${sources.runtime}/bin/busybox";
        args = [ "sh" "${sources.builder}/bin/build" ];
        unit = name;
        mainOutput = lib.head outputs;
        debs = map (deb: sources.packages.${deb}) entry.debs;
        dependencies = lib.genAttrs entry.dependencies (dependency: "${units.${dependency}}");
        redirectLibrary = lib.optionalString (entry.recipe ? redirect) "${redirect}";
        inherit (entry) recipe;
        inherit (data) triplet machine loader;
      };
      built = derivation derivationAttrs;
      attributes = {
        inherit pname outputs;
        inherit (entry) version;
        meta = {
          inherit (entry) description;
          name = derivationAttrs.name;
          outputsToInstall = outputs;
          platforms = [ data.system ];
          available = true;
          broken = false;
          insecure = false;
          unfree = false;
        } // lib.optionalAttrs (entry ? mainProgram) { inherit (entry) mainProgram; }
          // lib.optionalAttrs (licenses ? ${name}) {
            license = map (spdxId: { inherit spdxId; free = true; }) licenses.${name};
          };
        passthru.debs = map (deb: data.debs.${deb}) entry.debs;
      };
      perOutput = lib.genAttrs outputs (output: built.${output} // attributes // perOutput);
    in
    built // attributes // perOutput;

  units = lib.mapAttrs unit data.units;
in
units
