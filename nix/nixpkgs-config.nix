# The policy of a source as nixpkgs' `config`, for package sets that import nixpkgs themselves: if
# they pass no config, nixpkgs reads the file that NIXPKGS_CONFIG names, which is this one.
let config = builtins.getEnv "NIXERY_POLICY"; in
if config == "" then { } else import ./policy.nix (builtins.fromJSON config)
