# Small packages that would be large images.
self: super:

let
  inherit (self) runCommand;
  # Each of 27 directories has two links to the next. `end` makes the links of two packages
  # differ, so that they cannot be taken over as they are.
  bomb = name: end: runCommand name { } ''
    mkdir -p $out/share
    cd $out/share
    for level in $(seq 0 26); do
      mkdir level$level
      ln -s ../level$((level + 1))${end} level$level/x
      ln -s ../level$((level + 1))${end} level$level/y
    done
    mkdir level27
    touch level27/${name}
  '';
in
{
  link-bomb-one = bomb "link-bomb-one" "";
  link-bomb-two = bomb "link-bomb-two" "/.";

  # Many files: each costs more to pack than to build.
  file-bomb = runCommand "file-bomb" { } ''
    mkdir -p $out/share
    cd $out/share
    for directory in $(seq 200); do
      mkdir $directory
      (cd $directory; seq 1000 | xargs touch)
    done
  '';
}
