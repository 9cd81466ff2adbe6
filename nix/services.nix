# Services of nixpkgs' packages, by pname: for packages without an attribute `nixery`.
# docs/contents.md describes the fields.
{
  nginx = {
    # www-data is Debian's user, and nginx that of nixpkgs.
    users = [ { name = "www-data"; uid = 33; home = "/var/www"; } { name = "nginx"; uid = 101; home = "/var/cache/nginx"; } ];
    directories =
      map (path: { inherit path; user = "www-data"; }) [ "/var/cache/nginx" "/var/lib/nginx" "/var/log/nginx" ]
      ++ [ { path = "/var/www"; } ];
    links = {
      # Debian's site, which its install script copies.
      "/etc/nginx/sites-enabled/default" = "/etc/nginx/sites-available/default";
      "/var/www/html" = "/share/nginx/html";
      "/var/log/nginx/access.log" = "/dev/stdout";
      "/var/log/nginx/error.log" = "/dev/stderr";
    };
    command = [ "nginx" "-e" "stderr" "-g" "daemon off;" ];
  };

  redis = {
    users = [ { name = "redis"; uid = 6379; home = "/var/lib/redis"; } ];
    directories = [ { path = "/var/lib/redis"; user = "redis"; mode = "0750"; } ];
    command = [ "redis-server" "--dir" "/var/lib/redis" "--bind" "*" "-::*" "--protected-mode" "no" ];
    user = "redis";
  };

  postgresql = {
    # initdb starts programs with the shell; Debian's server has no time zones of its own.
    packages = [ "bashInteractive" "coreutils" "tzdata" ];
    users = [ { name = "postgres"; uid = 70; home = "/var/lib/postgresql"; } ];
    directories = [
      { path = "/var/lib/postgresql"; user = "postgres"; mode = "0700"; }
      { path = "/run/postgresql"; user = "postgres"; }
    ];
    environment.PGDATA = "/var/lib/postgresql/data";
    # Connections by network need a password, POSTGRES_PASSWORD when the database is created.
    # At SIGTERM the server waits until its clients disconnect; at SIGINT it disconnects them.
    command = [
      "sh"
      "-euc"
      ''
        if [ ! -s "$PGDATA/PG_VERSION" ]; then
          umask 077
          printf '%s\n' "''${POSTGRES_PASSWORD-}" > "$HOME/password"
          initdb --username=postgres --encoding=UTF8 --locale=C --auth-local=trust \
            --auth-host=scram-sha-256 ''${POSTGRES_PASSWORD:+--pwfile="$HOME/password"}
          rm "$HOME/password"
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
