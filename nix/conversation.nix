# The same as evaluate.nix, for a process that is asked again and again: the package set is imported
# once, and each question evaluates what it names.
#
#   nix repl -I nixery=DIRECTORY-OF-THIS-FILE
#   nix-repl> nixery = import <nixery/conversation.nix> "SUBJECT"
#   nix-repl> nixery.answer "QUESTION"
#   nix-repl> nixery.kinds "QUESTION"
#   nix-repl> nixery.inner "QUESTION"
#   nix-repl> nixery.end
#
# Subject and question are JSON of printable ASCII, each character written as two hexadecimal
# digits: whatever is in them, what is typed holds neither quotes nor antiquotations.
#
# subject   { marker, set, system, config, restricted }   (as package-set.nix has them)
# question  a list of names
# answer    "MARKER JSON MARKER", and what JSON is see answers.nix, for kinds and inner names.nix;
#           after the end "MARKER"
subject:

let
  inherit (builtins) fromJSON genList replaceStrings stringLength substring toJSON;

  printable =
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
  digit = n: substring n 1 "0123456789abcdef";
  code = n: digit ((n + 32) / 16) + digit (n + 32 - (n + 32) / 16 * 16);
  size = stringLength printable;
  # Every two digits are one of the codes, so that none is found between two others.
  decode = replaceStrings (genList code size) (genList (n: substring n 1 printable) size);

  ask = fromJSON (decode subject);
  set = import ./package-set.nix ask;
  answers = import ./answers.nix set;
  names = import ./names.nix set;
  reply = rows: "${ask.marker} ${toJSON rows} ${ask.marker}";
in
{
  answer = question: reply (answers {
    names = fromJSON (decode question);
    inherit (ask) restricted;
    explain = false;
  });
  kinds = question: reply (map names.kindOf (fromJSON (decode question)));
  inner = question: reply (map names.innerOf (fromJSON (decode question)));
  end = ask.marker;
}
