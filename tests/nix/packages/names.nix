# Names that are hard to find, and names of what is not a package.
self: super:

let
  inherit (super) lib;
  inherit (self) writeTextDir;
  package = name: writeTextDir "share/${name}" "${name}\n";
  program = name: self.writeShellScriptBin name "echo ${name}";
in
{
  camelCase = program "camelCase";
  # Each differs from another in case alone: asked for in small letters, only one is meant.
  foo = package "foo-small";
  Foo = package "foo-capital";
  # Neither of these is in small letters, so small letters could mean either.
  twoFaced = package "two-faced-1";
  TwoFaced = package "two-faced-2";
  _9lives = package "9lives";
  "dotted.name" = package "dotted-name";
  with-dash_and_underscore = package "with-dash-and-underscore";
  "plus++" = package "plus-plus";

  nested = lib.recurseIntoAttrs {
    inner = package "nested-inner";
    Deep = {
      camelCase = package "nested-deep-camel-case";
      foo = package "nested-deep-foo-small";
      Foo = package "nested-deep-foo-capital";
    };
  };
  # A package that is also a set of packages, as an interpreter is of its modules.
  parent = package "parent" // { child = package "child"; };

  multi-output = self.runCommand "multi-output-1.0" { outputs = [ "bin" "out" "doc" ]; } ''
    mkdir -p $bin/bin $out/lib $doc/share/doc
    printf '#!%s\necho bin\n' ${self.runtimeShell} > $bin/bin/multi-output
    chmod +x $bin/bin/multi-output
    echo lib > $out/lib/multi-output
    echo doc > $doc/share/doc/multi-output
  '';

  not-packages = {
    function = argument: argument;
    callable = { __functor = self: argument: argument; };
    text = "text";
    number = 1;
    list = [ (package "in-a-list") ];
    nothing = null;
    empty = { };
    path = ./default.nix;
    # Has the type of a derivation, and nothing else of one.
    pretender = { type = "derivation"; };
  };
  a-function = argument: argument;
  a-string = "text";
  a-set = { };
}
