#!/bin/bash
# rsyslog.sh start DATADIR CONF   run rsyslogd on the rainerscript fragment CONF
# rsyslog.sh stop  DATADIR        stop it and wait until it is gone
#
# @D@ in CONF becomes DATADIR. Starting twice is harmless. Runs without root; as
# root it drops to nobody. The pid is in DATADIR/rsyslogd.pid, the log in
# DATADIR/out.log. Needs: apt-get install rsyslog rsyslog-openssl rsyslog-elasticsearch
set -euo pipefail

usage() { sed -n '2,3p' "$0" >&2; exit 2; }
cmd=${1:-}; dir=${2:-}
[ -n "$cmd" ] && [ -n "$dir" ] || usage
dir=$(realpath -m "$dir")
pidfile=$dir/rsyslogd.pid

alive() { [ -s "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; }

start() {
  local conf=${1:?}
  PATH=$PATH:/usr/sbin:/sbin
  command -v rsyslogd >/dev/null || {
    echo "rsyslogd is missing: apt-get install rsyslog rsyslog-openssl rsyslog-elasticsearch" >&2; exit 1; }
  if alive; then echo "rsyslogd $(cat "$pidfile") runs already"; return; fi
  mkdir -p "$dir/work"
  { echo "global(workDirectory=\"$dir/work\")"; sed "s#@D@#$dir#g" "$conf"; } > "$dir/rsyslog.conf"
  rsyslogd -N1 -f "$dir/rsyslog.conf" > "$dir/check.log" 2>&1 || { cat "$dir/check.log" >&2; exit 1; }
  local as=()
  if [ "$(id -u)" = 0 ]; then
    chown -R 65534:65534 "$dir"
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  fi
  setsid "${as[@]}" rsyslogd -n -i "$pidfile" -f "$dir/rsyslog.conf" > "$dir/out.log" 2>&1 < /dev/null &
  for _ in $(seq 100); do alive && { echo "rsyslogd $(cat "$pidfile")"; return; }; sleep 0.1; done
  cat "$dir/out.log" >&2; exit 1
}

stop() {
  alive || return 0
  local pid; pid=$(cat "$pidfile")
  kill "$pid"
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -9 "$pid"
}

case $cmd in
  start) start "${3:-}" ;;
  stop) stop ;;
  *) usage ;;
esac
