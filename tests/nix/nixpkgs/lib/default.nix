{
  foldl = builtins.foldl';
  words = builtins.concatStringsSep " ";
}
