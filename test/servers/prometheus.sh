#!/bin/bash
# prometheus.sh start DATADIR PORT CONFIG   run Prometheus on 127.0.0.1:PORT and wait until it is ready
# prometheus.sh stop  DATADIR               stop it and wait until it is gone
#
# @D@ in CONFIG becomes DATADIR, @PORT@ becomes PORT. Starting twice is harmless.
# The pid is in DATADIR/prometheus.pid, the log in DATADIR/out.log.
# Needs: apt-get install prometheus
set -euo pipefail

usage() { sed -n '2,3p' "$0" >&2; exit 2; }
cmd=${1:-}; dir=${2:-}
[ -n "$cmd" ] && [ -n "$dir" ] || usage
dir=$(realpath -m "$dir")
pidfile=$dir/prometheus.pid

alive() { [ -s "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; }
ready() { (exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET /-/ready HTTP/1.0\r\n\r\n' >&3 && head -1 <&3 | grep -q ' 200 ') 2>/dev/null; }

start() {
  local port=${1:?} conf=${2:?}
  command -v prometheus >/dev/null || { echo "prometheus is missing: apt-get install prometheus" >&2; exit 1; }
  if ! alive; then
    mkdir -p "$dir/data"
    sed "s#@D@#$dir#g; s#@PORT@#$port#g" "$conf" > "$dir/prometheus.yml"
    setsid prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" \
      --web.listen-address="127.0.0.1:$port" --rules.alert.resend-delay=1s > "$dir/out.log" 2>&1 < /dev/null &
    echo $! > "$pidfile"
  fi
  for _ in $(seq 300); do
    alive || { tail -5 "$dir/out.log" >&2; exit 1; }
    ready "$port" && { echo "prometheus $(cat "$pidfile")"; return; }
    sleep 0.1
  done
  tail -5 "$dir/out.log" >&2; exit 1
}

stop() {
  alive || return 0
  local pid; pid=$(cat "$pidfile")
  kill "$pid"
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -9 "$pid"
}

case $cmd in
  start) start "${3:-}" "${4:-}" ;;
  stop) stop ;;
  *) usage ;;
esac
