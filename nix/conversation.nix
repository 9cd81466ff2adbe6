# Like evaluate.nix, for a process that handles many requests: the package set is imported once, and
# each request evaluates the attributes that it names.
#
#   nix repl -I nixery=DIRECTORY-OF-THIS-FILE
#   nix-repl> nixery = import <nixery/conversation.nix> "SUBJECT"
#   nix-repl> nixery.answer "REQUEST"
#   nix-repl> nixery.kinds "REQUEST"
#   nix-repl> nixery.inner "REQUEST"
#   nix-repl> nixery.end
#
# Subject and request are JSON of printable ASCII, each character as two hexadecimal digits.  So the
# input never contains quotes or antiquotations.
#
# subject   { marker, set, system, config, restricted }   (see package-set.nix)
# request   a list of names
# response  "MARKER JSON MARKER", for answer with the JSON of answers.nix, else of names.nix;
#           for end "MARKER"
subject:

let
  inherit (builtins) fromJSON genList replaceStrings stringLength substring toJSON;

  printable =
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
  digit = n: substring n 1 "0123456789abcdef";
  code = n: digit ((n + 32) / 16) + digit (n + 32 - (n + 32) / 16 * 16);
  size = stringLength printable;
  # Every pair of digits is one of the codes, so no code is found across two pairs.
  decode = replaceStrings (genList code size) (genList (n: substring n 1 printable) size);

  input = fromJSON (decode subject);
  set = import ./package-set.nix input;
  answers = import ./answers.nix set;
  names = import ./names.nix set;
  response = rows: "${input.marker} ${toJSON rows} ${input.marker}";
in
{
  answer = request: response (answers {
    names = fromJSON (decode request);
    inherit (input) restricted;
    explain = false;
  });
  kinds = request: response (map names.kindOf (fromJSON (decode request)));
  inner = request: response (map names.innerOf (fromJSON (decode request)));
  end = input.marker;
}
