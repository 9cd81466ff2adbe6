# Texts that would be commands to a terminal, or turn what is around them.
self: super:

let
  inherit (self) runCommand;
  hostile = builtins.fromJSON ''"\u001b[31m\u202e\u2066\u200b\u061c\u009b8m\u2028evil\"'\\"'';
  # The same as printf wants it, in the bytes of UTF-8.
  printed = ''\033]0;owned\007\033[31m\342\200\256\342\201\246\342\200\213\302\2338mevil\n'';
  shared = name: runCommand name { } ''
    mkdir -p $out/share
    printf ${name} > "$out/share/$(printf 'file\033[31m\342\200\256"evil')"
  '';
in
{
  disguised = runCommand "disguised-1.0" { } ''
    mkdir -p $out/bin
    printf '#!%s\necho disguised\n' ${self.runtimeShell} > $out/bin/disguised
    chmod 755 $out/bin/disguised
  '' // {
    version = "1.0${hostile}";
    pname = "disguised${hostile}";
    meta = { mainProgram = "disguised${hostile}"; };
  };
  disguised-licence = self.hello // {
    meta.license = { shortName = "licence${hostile}"; free = false; };
  };
  disguised-vulnerability = self.hello // { meta.knownVulnerabilities = [ "known${hostile}" ]; };
  disguised-throw = throw "thrown ${hostile}";
  disguised-build = runCommand "disguised-build" { } "printf '${printed}' >&2; printf '${printed}'; exit 1";
  disguised-one = shared "disguised-one";
  disguised-two = shared "disguised-two";
}
