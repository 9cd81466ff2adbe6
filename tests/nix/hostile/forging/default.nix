# An untrusted package set that wants a file of another source's package in an image of its own.
# Each attribute of `attacks` is a package that tries.
#
# tests/e2e/forging.py puts beside it `place.json`: store paths of the other source, and the text
# of a derivation that copies one of them.
{ system, ... }:

let
  inherit (builtins) fromJSON readFile substring toFile unsafeDiscardStringContext;

  place = fromJSON (readFile ./place.json);
  # `secret` is the file wanted, `secret-directory` has another; `forged` is the text.
  inherit (place) secret forged;

  package = name: attributes: derivation ({
    inherit name system;
    inherit (place) salt;
    builder = "/bin/sh";
    args = [ "-c" "echo ${name} > $out" ];
  } // attributes);
  fine = package "fine" { };
  copies = from: package "copies" { inherit from; args = [ "-c" "read line < $from && echo $line > $out" ]; };
  # A package whose context is right for it, and its path another's.
  borrowed = text: substring 0 0 "${fine}" + text;

  by-file = toFile "forged.drv" forged;
  by-path = builtins.path { path = ./forged.txt; name = "forged.drv"; };
  by-path-of-text = builtins.path { path = "${toString ./forged.txt}/../forged.drv"; };
  by-filter = builtins.filterSource (_: _: true) ./forged.drv;
  by-interpolation = "${./forged.drv}";
  made-of = drvPath: fine // { inherit drvPath; outPath = place.output; };
in
{
  cacert = package "cacert" { };
  iana-etc = package "iana-etc" { };
  inherit fine;

  # ---- another's path under the name of an own output
  claims = fine // { outPath = secret; };
  claims-with-context = fine // { outPath = borrowed secret; };
  claims-output = fine // { outPath = secret; outputName = "treasure"; outputs = [ "treasure" ]; };
  claims-by-output = fine // { out = fine // { outPath = secret; }; outPath = secret; };
  claims-bare = { type = "derivation"; name = "bare"; inherit (fine) drvPath; outPath = secret; };
  claims-attributes = fine // { drvAttrs = fine.drvAttrs // { outPath = secret; }; outPath = secret; };
  claims-second = fine // { outputs = [ "out" "dev" ]; dev = fine // { outPath = secret; outputName = "dev"; }; };
  claims-by-function = fine // { outPath = { __toString = _: secret; }; };
  # ---- another's derivation
  claims-derivation = fine // { drvPath = place.derivation; outPath = secret; };
  claims-derivation-with-context = fine // { drvPath = borrowed place.derivation; outPath = secret; };
  claims-derivation-bare = { type = "derivation"; name = "bare"; drvPath = place.derivation; outPath = secret; };
  # ---- a derivation that is only a file
  forges = made-of by-file;
  forges-bare = { type = "derivation"; name = "bare"; drvPath = by-file; outPath = place.output; };
  forges-by-path = made-of by-path;
  forges-by-path-of-text = made-of by-path-of-text;
  forges-by-filter = made-of by-filter;
  forges-by-interpolation = made-of by-interpolation;
  forges-without-context = made-of (unsafeDiscardStringContext by-file);
  forges-attributes = fine // { drvPath = by-file; outPath = place.output; drvAttrs = { drvPath = by-file; }; };
  # ---- such a derivation as an input of an honest one
  imports = import by-file;
  imports-as-input = copies "${import by-file}";
  imports-in-scope = copies "${scopedImport { } by-file}";
  imports-by-path = copies "${import by-path}";
  imports-by-interpolation = copies "${import by-interpolation}";
  imports-by-link = builtins.seq (builtins.tryEval by-file) (copies "${import ./link.nix}");
  imports-by-link-in-scope = builtins.seq (builtins.tryEval by-file) (copies "${scopedImport { } ./link.nix}");
  imports-by-detour = copies "${import (unsafeDiscardStringContext "${by-file}/.")}";
  imports-by-underscores = copies "${import (__toFile "forged.drv" forged)}";
  depends = package "depends" { from = builtins.addDrvOutputDependencies by-file; inherit (place) output; args = [ "-c" "read line < $output && echo $line > $out" ]; };
  depends-on-output = copies (builtins.outputOf by-file "out");
  appends = copies (builtins.appendContext secret { ${secret} = { path = true; }; });
  appends-output = copies (builtins.appendContext secret { ${place.derivation} = { outputs = [ "out" ]; }; });
  names-path = copies (builtins.storePath secret);
  names-path-as-path = copies (/. + secret);
  # ---- text that names another's path is not an input: Nix's sandbox shows nothing of it
  names-text = copies secret;
  names-text-with-context = copies (borrowed secret);
  names-text-in-attributes = fine // { drvAttrs = (copies secret).drvAttrs; inherit (copies secret) drvPath outPath; };
  exports-references = package "exports" { exportReferencesGraph = [ "graph" secret ]; };
  exports-references-structured = package "exports" { __structuredAttrs = true; exportReferencesGraph.graph = [ secret ]; };
  # ---- another's file by its hash, for a file of one's own
  reads-by-hash = throw "got ${readFile (builtins.path { path = ./place.json; name = "noted"; sha256 = place.hash; recursive = true; })}";
  copies-by-hash = copies (builtins.path { path = ./place.json; name = "noted"; sha256 = place.hash; });
  copies-flat-by-hash = copies (builtins.path { path = ./place.json; name = "noted-flat"; sha256 = place.flatHash; recursive = false; });
  # ---- builds that see more than their inputs
  no-chroot = package "no-chroot" { __noChroot = true; from = secret; args = [ "-c" "read line < $from && echo $line > $out" ]; };
  no-chroot-structured = package "no-chroot" { __structuredAttrs = true; __noChroot = true; };
  no-chroot-by-attributes = let p = package "p" { }; in p // { drvAttrs = p.drvAttrs // { __noChroot = true; }; };
  no-chroot-hidden = package "hidden" { __json = ''{"__noChroot": true, "outputs": ["out"]}''; };
  no-chroot-strict = copies "${(builtins.derivationStrict ((copies secret).drvAttrs // { __noChroot = true; })).out}";
  impure = package "impure" { __impure = true; };
  recursive = package "recursive" { requiredSystemFeatures = [ "recursive-nix" ]; };
  recursive-text = package "recursive" { requiredSystemFeatures = "kvm recursive-nix"; };
  recursive-as-input = copies "${package "recursive" { requiredSystemFeatures = [ "recursive-nix" ]; }}";
  recursive-structured = package "recursive" { __structuredAttrs = true; requiredSystemFeatures = [ "recursive-nix" ]; };
  host-paths = package "host-paths" { __impureHostDeps = [ secret ]; from = secret; args = [ "-c" "read line < $from && echo $line > $out" ]; };
  host-paths-structured = package "host-paths" { __structuredAttrs = true; __impureHostDeps = [ secret ]; };
  content-addressed = package "content-addressed" { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
  # ---- Nix's own builders
  fetches-file = package "fetches" { system = "builtin"; builder = "builtin:fetchurl"; url = "file://${secret}"; outputHash = place.hash; outputHashMode = "flat"; outputHashAlgo = "sha256"; executable = false; unpack = false; };
  merges = package "merges" { system = "builtin"; builder = "builtin:buildenv"; derivations = "true 5 1 ${place.secret-directory}"; manifest = "/dev/null"; };
  # ---- an output that no archive can have
  makes-pipe = package "pipe" { args = [ "-c" "/bin/mkdir $out; /bin/mkfifo $out/pipe; /bin/true; exit 0" ]; };
  # ---- messages in Nix's form: a store to query, and a full disk
  forges-messages = package "messages" {
    messages = map (message: "@nix " + builtins.toJSON ({ action = "msg"; } // message)) [
      { level = 1; msg = "ignoring substitute for '${builtins.placeholder "out"}' from 'local?root=${place.queried}', as it's not signed by any of the keys"; }
      { level = 0; msg = "error: No space left on device"; }
    ];
    args = [ "-c" "printf '%s\\n' \"$messages\" | /bin/sed 's/ @nix/\\n@nix/g'; exit 1" ];
  };
  # ---- drvAttrs that are not those of the derivation
  attributes-functor = fine // { drvAttrs = fine.drvAttrs // { __functor = _: _: fine.drvAttrs; }; };
  attributes-of-another = fine // { inherit (copies secret) drvAttrs; };
  # ---- an output that looks like a derivation
  output-as-derivation = made-of (package "named" { outputs = [ "out" "a.drv" ]; })."a.drv";

  # ---- what a set may do
  hashed = copies (builtins.path { path = ./own.txt; name = "own"; sha256 = place.ownHash; });
  hashed-flat = copies (builtins.path { path = ./own.txt; sha256 = place.ownFlatHash; recursive = false; });
  filtered = copies (builtins.filterSource (_: _: true) ./own.txt);
  noted = copies (toFile "noted" "text\n");
  shadowing = with { fetchurl = copies; toFile = name: _: name; path = ./own.txt; storePath = "x"; };
    fetchurl "${path}";
  several = (package "several" { outputs = [ "bin" "out" ]; args = [ "-c" "echo out > $out; echo bin > $bin" ]; }).bin;
  structured = package "structured" { __structuredAttrs = true; __noChroot = false; args = [ "-c" ". ./.attrs.sh; echo 1 > \${outputs[out]}" ]; builder = "/bin/bash"; };
  links-outside = package "links" { args = [ "-c" "/bin/mkdir $out; /bin/ln -s ${place.secret-directory} $out/share" ]; };
  links-beside = package "links" { args = [ "-c" "/bin/mkdir -p $out/share; echo > $out/share/own" ]; };
}
