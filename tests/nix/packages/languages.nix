# Interpreters and libraries in nixpkgs' layout: libraries of a version in its own directory, and
# the ones they need in nix-support/propagated-build-inputs.
self: super:

let
  inherit (super) lib runCommand;
  release = lib.head (builtins.match "([0-9]+\\.[0-9]+).*" super.python3.version);
  perl = lib.head (builtins.match "([0-9.]+).*" super.perl.version);

  library = name: needed: commands: runCommand name { } ''
    mkdir -p $out/nix-support $out/bin
    echo ${toString needed} > $out/nix-support/propagated-build-inputs
    echo program > $out/bin/${name}
    ${commands}
  '';
  module = name: imports: library "python${release}-${name}" (imports ++ [ python ]) ''
    mkdir -p $out/lib/python${release}/site-packages
    echo '${lib.concatMapStringsSep "; " (other: "import ${lib.removePrefix "python${release}-" other.name}") imports}' \
      > $out/lib/python${release}/site-packages/${name}.py
  '';
  perlModule = name: uses: library "perl${perl}-${name}" uses ''
    mkdir -p $out/lib/perl5/site_perl/${perl}
    echo 'package ${name}; ${lib.concatMapStringsSep " " (other: "use ${lib.removePrefix "perl${perl}-" other.name};") uses} 1;' \
      > $out/lib/perl5/site_perl/${perl}/${name}.pm
  '';

  # Without a reference to an interpreter, since only the full set has these.
  files = name: needed: places: library name needed (lib.concatMapStringsSep "\n"
    (place: ''
      mkdir -p $(dirname $out/${place})
      cp ${self.writeText "file" places.${place}} $out/${place}
    '')
    (lib.attrNames places));
  luaModule = name: uses: files "lua5.4-${name}" uses {
    "share/lua/5.4/${name}.lua" = lib.concatMapStringsSep "" (other: "require '${lib.removePrefix "lua5.4-" other.name}'; ") uses
      + "return { name = '${name}' }";
  };
  nodeModule = name: uses: files "node-${name}" uses {
    "lib/node_modules/${name}/package.json" = ''{ "name": "${name}", "version": "1.0.0" }'';
    "lib/node_modules/${name}/index.js" =
      lib.concatMapStringsSep "" (other: "require('${lib.removePrefix "node-" other.name}'); ") uses + "exports.title = '${name}';";
  };
  gem = name: uses: files "ruby3.1-${name}" uses {
    "lib/ruby/gems/3.1.0/gems/${name}-1.0/lib/${name}.rb" =
      lib.concatMapStringsSep "" (other: "require '${lib.removePrefix "ruby3.1-" other.name}'; ") uses + "$loaded = '${name}'";
    "lib/ruby/gems/3.1.0/specifications/${name}-1.0.gemspec" = ''
      Gem::Specification.new do |gem|
        gem.name = "${name}"; gem.version = "1.0"; gem.summary = "a gem"; gem.authors = ["me"]
      end
    '';
  };

  # Debian's name for the directory has as many letters, and is compiled in.
  python = runCommand "python3-${super.python3.version}" { } ''
    cp -r ${super.python3} $out
    chmod -R u+w $out
    sed -i s/dist-packages/site-packages/g $out/bin/python${release}
    mkdir $out/lib/python${release}/site-packages
  '';
  gamma = module "gamma" [ ];
  beta = module "beta" [ gamma ];
  Gamma = perlModule "Gamma" [ ];
  Beta = perlModule "Beta" [ Gamma ];
in
{
  nixpkgslike = lib.recurseIntoAttrs {
    inherit python;
    alpha = module "alpha" [ beta ];
    perlalpha = perlModule "Alpha" [ Beta ];
    luaalpha = luaModule "alpha" [ (luaModule "beta" [ ]) ];
    nodealpha = nodeModule "alpha" [ (nodeModule "beta" [ ]) ];
    rubyalpha = gem "alpha" [ (gem "beta" [ ]) ];
    # Debian's package in nixpkgs' place; the ones that it needs are in Debian's.
    rlifecycle = runCommand "r-lifecycle-1.0.3" { } ''
      mkdir -p $out/nix-support
      cp -r ${super.rPackages.lifecycle}/lib/R/site-library $out/library
      echo ${toString (map (name: super.debianPackages."r-cran-${name}") [ "cli" "glue" "rlang" ])} \
        > $out/nix-support/propagated-build-inputs
    '';
    rubyvendored = files "ruby-vendored" [ ] { "lib/ruby/vendor_ruby/vendored.rb" = "$vendored = true"; };
  };
}
