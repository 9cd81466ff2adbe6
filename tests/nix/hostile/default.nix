# What a stranger's package set may hold: each attribute ends an evaluation in its own way, or
# tries to get out.  `fine` and `alsoFine` are what everybody else still wants.
{ system, ... }:

let
  package = name: derivation {
    inherit name system;
    builder = "/bin/sh";
    args = [ "-c" "echo ${name} > $out" ];
  };
  fine = package "fine-1.0";
in
{
  inherit fine;
  alsoFine = package "also-fine-1.0";

  # ---- ends that Nix cannot catch
  aborts = abort "by all means";
  recurses = let endless = endless; in endless;
  deep = let count = n: 1 + count n; in package (toString (count 1));
  missing = fine.noSuchAttribute;
  mistyped = 1 + "one";
  throws = throw "sorry";
  throwsMuch = throw (builtins.concatStringsSep "\n" (builtins.genList (n: "line ${toString n} of an essay") 5000));
  # ---- without end
  spins = let each = f: builtins.foldl' (last: n: f n) fine (builtins.genList (n: n) 3000); in each (a: each (b: each (c: fine)));
  eats = package (let double = text: if builtins.stringLength text > 4000000000 then text else double (text + text); in double "xxxxxxxxxxxxxxxx");
  hugeName = fine // { name = builtins.concatStringsSep "" (builtins.genList (n: "0123456789") 1000000); };
  hugeMetadata = let long = builtins.concatStringsSep "" (builtins.genList (n: "0123456789") 90); in fine // { meta.knownVulnerabilities = builtins.genList (n: "${long}${toString n}") 40000; };
  chatters = builtins.foldl' (a: n: builtins.trace "line ${toString n} of more than anybody reads ${builtins.concatStringsSep " " (builtins.genList toString 500)}" fine) fine (builtins.genList (n: n) 1000000);

  # ---- reaching out
  readsPasswords = package (builtins.readFile "/etc/passwd");
  readsBySource = derivation { name = "passwords"; inherit system; builder = "/bin/sh"; source = /etc/passwd; };
  listsDirectories = package (toString (builtins.attrNames (builtins.readDir "/etc")));
  importsOutside = import /etc/passwd;
  looksAround = if builtins.pathExists /etc/passwd then package "there" else package "not-there";
  readsEnvironment = package "path-${toString (builtins.stringLength (builtins.getEnv "PATH"))}";
  fetches = package (builtins.readFile (builtins.fetchurl "http://127.0.0.1:9/"));
  fetchesGit = package (builtins.fetchGit "file:///").rev;
  buildsWhileEvaluating = import (derivation { name = "generated"; inherit system; builder = "/bin/sh"; args = [ "-c" "echo 1 > $out" ]; });
  followsALink = package (builtins.readFile ./outside);

  # ---- false papers
  claims = { type = "derivation"; drvPath = "/etc/passwd"; outPath = "/etc/shadow"; name = "claims"; outputName = "out"; outputs = [ "out" ]; };
  escapes = fine // { outPath = "/nix/store/../../etc/passwd"; };
  injects = fine // { outputName = "out --option sandbox false"; };
  lies = fine // { drvPath = "/nix/store/00000000000000000000000000000000-no-such.drv"; };
  borrows = fine // { drvPath = builtins.unsafeDiscardStringContext fine.drvPath; };
  forges = fine // { meta = { license = { free = 7; }; knownVulnerabilities = { }; broken = "no"; mainProgram = [ ]; priority = { }; }; version = 3; pname = { }; };

  # ---- names that would be code if they were ever spliced into any
  "\${builtins.abort \"spliced\"}" = package "dollar";
  "quote\"quote" = package "quote";
  "it's" = package "apostrophe";
  "new\nline" = package "newline";
}
