# The server for users of nixpkgs: docs/nix-files.md.
{
  description = "A container registry in which the image name is the recipe";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      forAllSystems = nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ];
    in
    {
      packages = forAllSystems (system:
        let
          pkgs = nixpkgs.legacyPackages.${system};
          nixery = pkgs.callPackage ./nix/package.nix { source = self; };
        in
        {
          inherit nixery;
          default = nixery;
          inherit (nixery) book;
          image = pkgs.callPackage ./nix/image.nix { inherit nixery; };
        });
      nixosModules.default = import ./nix/module.nix;
    };
}
