#!/usr/bin/env bash
# Sees to a PostgreSQL at 127.0.0.1:5432 with the role and the database "safeconduct" for the tests:
# installs and starts Debian's if none answers, and makes what is missing. Needs root unless all is there.
set -euo pipefail
cd "$(dirname "$0")"

name=safeconduct
url="postgresql://$name:$name@127.0.0.1:5432/$name"

answers() {
    command -v pg_isready >/dev/null && pg_isready --quiet --host 127.0.0.1 --port 5432
}

wait_until_it_answers() {
    for _ in $(seq 60); do
        answers && return
        sleep 0.5
    done
    echo "postgres: started, but does not answer on 127.0.0.1:5432" >&2
    return 1
}

start() {
    local version cluster
    read -r version cluster _ < <(pg_lsclusters --no-header)
    echo "postgres: starting $version/$cluster"
    pg_ctlcluster "$version" "$cluster" start
    wait_until_it_answers
}

ask() {
    (cd / && runuser -u postgres -- psql --quiet --no-align --tuples-only --command "$1")
}

make_role_and_database() {
    echo "postgres: making the role and the database $name"
    [ -n "$(ask "SELECT 1 FROM pg_roles WHERE rolname = '$name'")" ] ||
        ask "CREATE ROLE $name LOGIN CREATEDB PASSWORD '$name'"
    [ -n "$(ask "SELECT 1 FROM pg_database WHERE datname = '$name'")" ] ||
        ask "CREATE DATABASE $name OWNER $name"
}

if ! answers; then
    ./debian.sh postgresql
fi
if ! answers; then
    start
fi
psql --quiet --command 'SELECT 1' "$url" >/dev/null 2>&1 || make_role_and_database
psql --quiet --command 'SELECT 1' "$url" >/dev/null
echo "postgres: ready at $url"
