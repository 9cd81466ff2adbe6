# Describe the requested packages, all names in one evaluation.
#
#   nix-instantiate --eval --strict --json --read-write-mode evaluate.nix --argstr request JSON
#
# The request is data: names never become Nix text.
#
# request   { set, system, config, restricted, names, explain }   (see package-set.nix)
# result    see answers.nix
{ request }:

let input = builtins.fromJSON request; in
import ./answers.nix (import ./package-set.nix input) input
