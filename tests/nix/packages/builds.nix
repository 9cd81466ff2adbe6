# Builds that fail, and builds that last until a test lets them finish.
{ salt, gates }:

self: super:

let
  inherit (super) lib;
  inherit (self) runCommand;
  salted = name: script: runCommand name { inherit salt; } script;
  # Lasts until the file of its name is in `gates`; fails after half an hour without it.
  held = number: runCommand "held-${number}" { inherit salt gates; } ''
    echo "held-${number} waits"
    for turn in $(seq 9000); do
      [ ! -e "$gates/held-${number}" ] || break
      sleep 0.2
    done
    [ -e "$gates/held-${number}" ]
    mkdir -p $out/bin
    echo ${number} > $out/held
  '';
in
{
  broken-build = salted "broken-build" ''
    echo "configuring the frobnicator"
    echo "error: frobnicator 4711 not found" >&2
    exit 3
  '';

  # Depends on one that fails: the failure is another derivation's.
  broken-dependency = salted "broken-dependency" "ln -s ${self.broken-build} $out";

  # More than the server keeps, with bytes that are not text and lines longer than a screen.
  noisy-build = salted "noisy-build" ''
    for number in $(seq 1 20000); do echo "line $number of a long log"; done
    printf 'bytes \377\376 that are not UTF-8\r\n'
    head -c 100000 /dev/zero | tr '\0' x
    echo
    echo "last words of the noisy build" >&2
    exit 1
  '';

  # Succeeds without having made its output.
  no-output = salted "no-output" "true";

  # Starts a process that holds the log open after the build has failed.
  lingering-build = salted "lingering-build" "sleep 30 & echo 'left one behind' >&2; exit 1";
}
// lib.listToAttrs (map (number: lib.nameValuePair "held-${number}" (held number)) (lib.genList toString 20))
