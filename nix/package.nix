# The server for nixpkgs, with its Nix files, and the documentation as its pages.
#
# Python packages are those of nixpkgs, whose versions may differ from the tested ones of uv.lock.
# One that nixpkgs lacks comes from its wheel, fixed by the lock's hash.
{ lib
, fetchurl
, gitMinimal
, makeWrapper
, nix
, openssh
, python3
, python3Packages
, runCommand
, zensical
, source ? builtins.path {
    name = "nixery-source";
    path = ../.;
    filter = path: _: ! (builtins.elem (baseNameOf path) [ ".git" ".state" ".venv" "dist" ]);
  }
  # Whether the book replaces the front page (NIXERY_WEB_DIR).
, withBook ? true
}:

let
  inherit (builtins) filter fromTOML head match readFile;
  inherit (fromTOML (readFile (source + "/pyproject.toml"))) project;
  lock = fromTOML (readFile (source + "/uv.lock"));

  locked = name: head (filter (package: package.name == name) lock.package);
  nameOf = requirement: head (match "([A-Za-z0-9._-]+).*" requirement);

  fromWheel = name:
    let
      inherit (locked name) version wheels;
      wheel = head wheels;
    in
    python3Packages.buildPythonPackage {
      pname = name;
      inherit version;
      format = "wheel";
      src = fetchurl { inherit (wheel) url hash; };
      dependencies = [ python3Packages.fastapi ];
    };
  dependency = name: python3Packages.${name} or (fromWheel name);

  book = runCommand "nixery-book-${project.version}" { nativeBuildInputs = [ python3 zensical ]; } ''
    cp -r ${source} source
    chmod -R u+w source
    cd source
    python3 -m scripts.book "$PWD/book"
    cp -r book/site $out
  '';
in
python3Packages.buildPythonApplication {
  pname = project.name;
  inherit (project) version;
  pyproject = true;
  src = source;
  build-system = [ python3Packages.hatchling ];
  dependencies = map (requirement: dependency (nameOf requirement)) project.dependencies;
  pythonRelaxDeps = true;
  nativeBuildInputs = [ makeWrapper ];
  # After the caller's PATH, so that another Nix can be chosen.
  makeWrapperArgs = [ "--suffix" "PATH" ":" (lib.makeBinPath [ nix gitMinimal openssh ]) ]
    ++ lib.optionals withBook [ "--set-default" "NIXERY_WEB_DIR" "${book}" ];
  # The tests need root, real clients and Debian.
  doCheck = false;
  passthru = { inherit book; };
  meta = {
    inherit (project) description;
    mainProgram = "nixery";
    license = lib.licenses.asl20;
    platforms = lib.platforms.linux;
  };
}
