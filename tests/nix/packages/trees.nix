# Trees that are hard to pack.
self: super:

let
  inherit (super) lib;
  inherit (self) runCommand;
  shared = name: content: runCommand name { } "mkdir -p $out/bin $out/share; ${content}";
in
{
  tree-oddities = runCommand "tree-oddities-1.0" { } ''
    mkdir -p $out/bin $out/share
    cd $out/share
    mkdir empty-directory nested-empty nested-empty/within
    touch empty-file
    printf 'named by bytes' > "$(printf 'bytes-\377\376')"
    mkdir "$(printf 'directory-\351')"
    touch "$(printf 'directory-\351')/inside"
    printf x > "$(printf 'two\nlines')"
    touch -- ' spaces ' '-dash' 'colon:back\slash' "quote'\"" 'ünïcödé-☃'
    # A name as long as file systems take, and a path longer than tar's oldest header holds.
    touch "$(printf '%0255d' 0)"
    deep=$(for level in 1 2 3 4 5 6 7 8; do printf 'level-%s-%050d/' $level 0; done)
    mkdir -p "$deep"
    touch "$deep/file"
    ln -s empty-file link-to-file
    ln -s empty-directory link-to-directory
    ln -s link-to-file link-to-link
    ln -s nowhere dangling-link
    ln -s "$(printf 'to-bytes-\377')" link-to-bytes
    ln -s "''${deep}file" link-with-long-target
    ln -s ${self.hello}/bin/hello link-to-store
    ln -s / link-to-root
    ln empty-file hard-link
    printf '#!%s\necho odd\n' ${self.runtimeShell} > $out/bin/tree-oddities
    chmod 4755 $out/bin/tree-oddities || chmod 755 $out/bin/tree-oddities
    chmod 000 empty-file
  '';

  # An output that is one file, and one that is a link.
  single-file = self.writeText "single-file" "a store path need not be a directory\n";
  single-link = runCommand "single-link" { } "ln -s ${self.hello} $out";
  empty-tree = runCommand "empty-tree" { } "mkdir $out";

  # Two packages with the same places: a program each, and a file where the other has a directory.
  conflict-one = shared "conflict-one" "echo one > $out/bin/conflict; mkdir $out/share/either; touch $out/share/either/one";
  conflict-two = shared "conflict-two" "echo two > $out/bin/conflict; echo two > $out/share/either";

  # A name that would delete another in a layer, so that no layer can hold it.
  whiteout = runCommand "whiteout-1.0" { } "mkdir -p $out/share; touch $out/share/.wh.bin";

  # Data of all kinds, where packages have it.
  data-places = runCommand "data-places" { } ''
    mkdir -p $out/etc/profile.d $out/libexec/odd $out/share/dict $out/share/man/man1 \
      $out/share/bash-completion/completions
    echo application/x-odd odd > $out/etc/mime.types
    echo export FROM_PROFILE=profile > $out/etc/profile.d/odd.sh
    echo helper > $out/libexec/odd/helper
    echo word > $out/share/dict/words
    echo .TH ODD 1 > $out/share/man/man1/odd.1
    echo 'complete -W "even odd" odd' > $out/share/bash-completion/completions/odd
  '';

  # 64 MiB that do not compress.
  large = runCommand "large" { } ''
    mkdir -p $out/share
    head -c 67108864 /dev/zero | ${self.openssl}/bin/openssl enc -aes-128-ctr -nosalt -pass pass:large -pbkdf2 -iter 1 > $out/share/large
  '';

  # Refers to more store paths than an image may have layers.
  many-paths = runCommand "many-paths" { } ("mkdir -p $out/share\n" + lib.concatMapStringsSep "\n"
    (number: "ln -s ${self.writeText "path-${number}" number} $out/share/${number}")
    (lib.genList toString 150));
}
