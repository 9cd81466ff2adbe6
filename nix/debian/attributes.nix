# The set's attributes: a dot in the lock's name nests ("xorg.xev").
{ lib, units, attributes }:

let
  insert = set: path: value:
    if lib.length path == 1 then set // { ${lib.head path} = value; }
    else
      let parent = set.${lib.head path} or (lib.recurseIntoAttrs { }); in
      set // { ${lib.head path} = insert parent (lib.tail path) value; };
in
lib.foldl'
  (set: name: insert set (lib.splitString "." name) units.${attributes.${name}})
{ }
  (lib.attrNames attributes)
