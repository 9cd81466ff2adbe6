# Services of nixpkgs' packages, by pname: for packages without an attribute `nixery`.
# docs/special-packages.md describes the fields.
let
  # Any user can write it: platforms choose user ids, and a tmpfs of Docker has this mode but not
  # the owner.  The sticky bit keeps a user's files from others.
  state = user: path: { inherit path user; mode = "1777"; };
in
{
  nginx = {
    # www-data is Debian's user, and nginx that of nixpkgs.
    users = [ { name = "www-data"; uid = 33; home = "/var/www"; } { name = "nginx"; uid = 101; home = "/var/cache/nginx"; } ];
    directories =
      map (state "www-data") [ "/var/cache/nginx" "/var/lib/nginx" "/var/log/nginx" ]
      ++ [ { path = "/var/www"; } ];
    links = {
      # Debian's site, which its install script copies.
      "/etc/nginx/sites-enabled/default" = "/etc/nginx/sites-available/default";
      "/var/www/html" = "/share/nginx/html";
      "/var/log/nginx/access.log" = "/dev/stdout";
      "/var/log/nginx/error.log" = "/dev/stderr";
      # Debian's place, and that of nixpkgs: a read-only root needs one writable directory then.
      "/run/nginx.pid" = "/var/lib/nginx/nginx.pid";
      "/var/log/nginx/nginx.pid" = "/var/lib/nginx/nginx.pid";
    };
    command = [ "nginx" "-e" "stderr" "-g" "daemon off;" ];
  };

  redis = {
    users = [ { name = "redis"; uid = 6379; home = "/var/lib/redis"; } ];
    directories = [ (state "redis" "/var/lib/redis") ];
    command = [ "redis-server" "--dir" "/var/lib/redis" "--bind" "*" "-::*" "--protected-mode" "no" ];
    user = "redis";
  };

  postgresql = {
    # initdb starts programs with the shell; Debian's server has no time zones of its own.
    packages = [ "bashInteractive" "coreutils" "tzdata" ];
    users = [ { name = "postgres"; uid = 70; home = "/var/lib/postgresql"; } ];
    directories = map (state "postgres") [ "/var/lib/postgresql" "/run/postgresql" ];
    environment.PGDATA = "/var/lib/postgresql/data";
    # Connections by network need a password, POSTGRES_PASSWORD when the database is created.
    # At SIGTERM the server waits until its clients disconnect; at SIGINT it disconnects them.
    command = [
      "sh"
      "-euc"
      ''
        if [ ! -s "$PGDATA/PG_VERSION" ]; then
          umask 077
          printf '%s\n' "''${POSTGRES_PASSWORD-}" > /run/postgresql/password
          initdb --username=postgres --encoding=UTF8 --locale=C --auth-local=trust \
            --auth-host=scram-sha-256 ''${POSTGRES_PASSWORD:+--pwfile=/run/postgresql/password}
          rm /run/postgresql/password
          echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
        fi
        postgres -c listen_addresses='*' -c unix_socket_directories=/run/postgresql &
        server=$!
        trap 'kill -INT "$server"' TERM INT
        while kill -0 "$server" 2>/dev/null; do
          wait "$server" && status=0 || status=$?
        done
        exit "$status"
      ''
    ];
    user = "postgres";
  };
}
