# Text that every Nix can write as JSON.  From Nix 2.20 on, bytes that are not UTF-8 are an error
# there, which cannot be caught; older releases write the bytes.
#
# utf8        text -> the same with U+FFFD for each byte that is not part of UTF-8; takes time and
#             stack in proportion to the text
# printable   text -> whether it has ASCII characters only, and at most 1000 of them
let
  inherit (builtins) concatStringsSep fromJSON head isString map match split stringLength
    substring;

  # The first and second byte of a character, as JSON writes it.
  first = code: substring 0 1 (fromJSON ''"${code}"'');
  second = code: substring 1 1 (fromJSON ''"${code}"'');

  low = second ''\u0080'';
  high = second ''\u00bf'';
  next = "[${low}-${high}]";
  # The characters of two, three and four bytes.
  wide = concatStringsSep "|" [
    "[${first ''\u0080''}-${first ''\u07ff''}]${next}"
    "${first ''\u0800''}[${second ''\u0800''}-${high}]${next}"
    "[${first ''\u1000''}-${first ''\ucfff''}${first ''\ue000''}${first ''\uffff''}]${next}${next}"
    "${first ''\ud000''}[${low}-${second ''\ud7ff''}]${next}"
    "${first ''\ud800\udc00''}[${second ''\ud800\udc00''}-${high}]${next}${next}"
    "[${first ''\ud8c0\udc00''}-${first ''\udbbf\udc00''}]${next}${next}${next}"
    "${first ''\udbc0\udc00''}[${low}-${second ''\udbff\udc00''}]${next}${next}"
  ];
  other = "[^${fromJSON ''"\u0001"''}-${fromJSON ''"\u007f"''}]";

  # The parts that a regular expression does not match, with a value for each part that it does.
  replaced = expression: matched: unmatched: text:
    concatStringsSep "" (map (part: if isString part then unmatched part else matched part)
      (split "(${expression})" text));
in
{
  utf8 = text:
    if match "[ -~]*" text != null then text
    else replaced wide head (replaced other (_: fromJSON ''"\ufffd"'') (part: part)) text;

  printable = text: stringLength text <= 1000 && match "[ -~]*" text != null;
}
