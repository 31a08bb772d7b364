#!/bin/sh
# Starts and stops a throw-away PostgreSQL server for tests.
#
#   postgres.sh start DIR PORT   make the cluster in DIR when it is new, start it on
#                                127.0.0.1:PORT, wait until it answers, print its URL.
#                                When it runs already, only print the URL.
#   postgres.sh stop DIR         stop it; no error when it does not run.
#
# PostgreSQL refuses to run as root: then the user "postgres" runs it (PGRUNAS
# names another), and DIR's parent must be open to that user. The process id is
# in DIR/postmaster.pid, the log in DIR/server.log. Everyone on this machine may
# log in as "norn". Data is not synced to the disk: it is thrown away anyway.
set -eu

fail() { echo "postgres.sh: $1" >&2; exit "${2:-1}"; }

[ $# -ge 2 ] || fail "usage: postgres.sh start DIR PORT | stop DIR" 2
action=$1 dir=$2

bin=
for d in $(ls -d /usr/lib/postgresql/*/bin /usr/local/pgsql/bin 2>/dev/null | sort -V); do
    [ -x "$d/initdb" ] && bin=$d
done
if [ -z "$bin" ]; then
    initdb=$(command -v initdb) || fail "PostgreSQL's server is not installed. On Debian: apt-get install -y postgresql" 3
    bin=$(dirname "$(readlink -f "$initdb")")
fi

as() { "$@"; }
owner=$(id -un)
if [ "$(id -u)" = 0 ]; then
    owner=${PGRUNAS:-postgres}
    id "$owner" >/dev/null 2>&1 || fail "running as root, and there is no user \"$owner\" to run PostgreSQL. On Debian: apt-get install -y postgresql" 3
    as() { runuser -u "$owner" -- "$@"; }
fi

running() { as "$bin/pg_ctl" -D "$dir" status >/dev/null 2>&1; }

case $action in
start)
    [ $# = 3 ] || fail "usage: postgres.sh start DIR PORT" 2
    port=$3
    cd /
    mkdir -p "$dir"
    [ "$(id -u)" != 0 ] || chown "$owner" "$dir"
    chmod 700 "$dir"
    if [ ! -s "$dir/PG_VERSION" ]; then
        as "$bin/initdb" -D "$dir" -U norn --auth=trust --encoding=UTF8 --locale=C --no-sync >/dev/null ||
            fail "cannot make a cluster in $dir (can user $owner reach it?)"
    fi
    if ! running; then
        as "$bin/pg_ctl" -D "$dir" -l "$dir/server.log" -w -t 60 \
            -o "-p $port -h 127.0.0.1 -k '' -c fsync=off -c max_connections=60" start >/dev/null || {
            tail -n 5 "$dir/server.log" >&2 2>/dev/null || true
            fail "cannot start the server on port $port"
        }
    fi
    # The port of the running server, which may be older than this call.
    port=$(sed -n 4p "$dir/postmaster.pid")
    "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" -t 30 || fail "the server on port $port does not answer"
    echo "postgres://norn@127.0.0.1:$port/postgres?sslmode=disable"
    ;;
stop)
    cd /
    [ -d "$dir" ] || exit 0
    if running; then
        as "$bin/pg_ctl" -D "$dir" -m immediate -w -t 30 stop >/dev/null
    fi
    ;;
*) fail "unknown action \"$action\"" 2 ;;
esac
