# A stranger's package set that wants a file of the machine, or to be heard by a host.  Each
# attribute fails; one that got what it wanted fails with the file's words in its message.
#
# tests/e2e/reaching.py puts beside it what a repository may hold: links, a bare repository,
# directories that are named as an address writes "..", and `place`, where to look.
{ system, ... }:

let
  inherit (builtins) concatStringsSep fromJSON readFile;

  place = fromJSON (readFile ./place.json);
  here = toString ./.;
  outside = here + "/../outside";
  inherit (place) address stored;

  file = directory: readFile "${directory}/secret";
  whenever = found: if found then "swordfish" else "nothing to be seen";
  none = "/nix/store/00000000000000000000000000000000-none";
  package = name: derivation { inherit name system; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; };

  attacks = {
    # ---- reading
    read-file = file outside;
    read-file-by-link = readFile ./link;
    read-file-in-link = file ./directory-link;
    read-file-type = whenever (builtins.readFileType (/. + outside + "/secret") == "regular");
    read-directory = concatStringsSep " " (builtins.attrNames (builtins.readDir (/. + outside)));
    read-directory-by-link = concatStringsSep " " (builtins.attrNames (builtins.readDir ./directory-link));
    path-exists = whenever (builtins.pathExists (/. + outside + "/secret"));
    path-exists-in-link = whenever (builtins.pathExists (./directory-link + "/secret"));
    hash-file = whenever (builtins.hashFile "sha256" (/. + outside + "/secret") == builtins.hashString "sha256" "swordfish\n");
    import-file = import (/. + outside + "/set.nix");
    import-in-link = import (./directory-link + "/set.nix");
    copy = file "${/. + outside}";
    copy-by-path = file (builtins.path { path = outside; name = "copy"; });
    copy-in-link = readFile (builtins.path { path = ./directory-link + "/secret"; name = "copy"; });
    copy-by-filter = file (builtins.filterSource (path: type: baseNameOf path == "secret") (/. + outside));
    find-file = file (builtins.findFile [ { prefix = "x"; path = outside; } ] "x");
    find-file-in-search-path = file <outside>;
    find-file-by-address = file (builtins.findFile [ { prefix = "x"; path = "file://${here}/../outside/archive.tar.gz"; } ] "x");
    read-store = readFile stored;
    read-store-path = readFile (builtins.storePath stored);
    read-store-by-context = readFile (builtins.appendContext stored { ${stored} = { path = true; }; });
    # ---- fetching what is here
    fetchurl-file = readFile (builtins.fetchurl "file://${outside}/secret");
    fetchurl-link = readFile (builtins.fetchurl "file://${here}/link");
    fetchurl-escape = readFile (builtins.fetchurl "file://${here}/%2e%2e/outside/secret");
    fetchtarball-file = file (fetchTarball "file://${outside}/archive.tar.gz");
    fetchtarball-link = file (fetchTarball "file://${here}/directory-link/archive.tar.gz");
    fetchtarball-escape = file (fetchTarball "file://${here}/%2e%2e/outside/archive.tar.gz");
    fetchgit-file = file (fetchGit "file://${place.outside}/repository");
    fetchgit-bare = file (fetchGit { url = "file://${here}/bare.git"; ref = "main"; });
    fetchtree-path = file (builtins.fetchTree { type = "path"; path = place.outside; });
    fetchtree-locked = file (builtins.fetchTree { type = "path"; path = place.outside; rev = "0000000000000000000000000000000000000000"; });
    fetchtree-git = file (builtins.fetchTree { type = "git"; url = "file://${place.outside}/repository"; });
    fetchtree-address = file (builtins.fetchTree "path:${place.outside}");
    getflake-path = file (builtins.getFlake "path:${place.outside}");
    executes = builtins.exec [ "/bin/sh" "-c" "echo \\\"$(cat ${outside}/secret)\\\"" ];
    loads = builtins.importNative (/. + outside + "/library.so") "swordfish";
    builds-while-evaluating = readFile (derivation {
      name = "built"; inherit system; builder = "/bin/sh"; args = [ "-c" "read line < ${outside}/secret; echo $line > $out" ];
    });
    # ---- reaching a host
    gets-fetchurl = readFile (builtins.fetchurl "${address}/file");
    gets-fetchtarball = file (fetchTarball "${address}/archive.tar.gz");
    gets-fetchgit = file (fetchGit "${address}/repository");
    gets-fetchmercurial = file (builtins.fetchMercurial "${address}/repository");
    gets-fetchtree = file (builtins.fetchTree "${address}/archive.tar.gz");
    gets-fetchtree-indirect = file (builtins.fetchTree { type = "indirect"; id = "nixpkgs"; });
    gets-fetchtree-github = file (builtins.fetchTree { type = "github"; host = place.host; owner = "o"; repo = "r"; });
    gets-getflake = file (builtins.getFlake "${address}/archive.tar.gz");
    gets-fetchclosure = file (builtins.fetchClosure { fromStore = address; fromPath = /. + none; });
    gets-search-path = file (builtins.findFile [ { prefix = "x"; path = "${address}/archive.tar.gz"; } ] "x");
    gets-channel = file (builtins.findFile [ { prefix = "x"; path = "channel:nixos-unstable"; } ] "x");
    gets-store-path = readFile (builtins.storePath none);
    gets-context = builtins.appendContext "heard" { ${none} = { path = true; }; };
  };
in
builtins.mapAttrs (name: got: throw "got ${got}") attacks // {
  # Every image holds them.
  cacert = package "cacert";
  iana-etc = package "iana-etc";
  harmless = package "harmless";
  # Which of all builtins are not to be had.
  refusals = throw (concatStringsSep " "
    (builtins.filter (name: ! (builtins.tryEval builtins.${name}).success) (builtins.attrNames builtins)));
}
