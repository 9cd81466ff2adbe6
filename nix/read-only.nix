# Like conversation.nix, without writing derivation files: `nix repl` has no such mode.
#
#   nix-instantiate --eval --strict --readonly-mode read-only.nix --argstr subject JSON
#
# An evaluation has no input but files.  Request n is the file request-n, which must exist when the
# evaluation gets to it.  Before, it reads the named pipe turn-n, and waits until the caller opens it.
# Newer versions of Nix do not read what is in a pipe.  Request 0 is there at the start.
#
# subject    { directory, requests, marker, set, system, config, restricted }  (see package-set.nix)
#   directory   where the files are
#   requests    how many of them the evaluation handles at most
# request    { function, names }: function is "answer", "kinds" or "inner", as in conversation.nix
# response   a line on standard error, "trace: MARKER JSON MARKER"
#
# An error that cannot be caught ends the evaluation.
{ subject }:

let
  inherit (builtins) foldl' fromJSON genList readFile seq toJSON trace;

  input = fromJSON subject;
  set = import ./package-set.nix input;
  answers = import ./answers.nix set;
  kinds = import ./names.nix set;

  functions = {
    answer = names: answers {
      inherit names;
      inherit (input) restricted;
      explain = false;
      read_only = true;
    };
    kinds = map kinds.kindOf;
    inner = map kinds.innerOf;
  };

  file = kind: n: "${input.directory}/${kind}-${toString n}";
  respond = n:
    let request = fromJSON (readFile (file "request" n)); in
    trace "${input.marker} ${toJSON (functions.${request.function} request.names)} ${input.marker}" null;
  step = _: n: seq (if n == 0 then null else readFile (file "turn" n)) (respond n);
in
foldl' step null (genList (n: n) input.requests)
