#!/usr/bin/env bash
# Looks for the programs that the tests need beside Go and Node: real servers
# and a real browser. Installs what is missing from Debian's packages when it
# may (root, apt-get); says exactly what to install otherwise, and fails.
#
#   test/install.sh            check, install what is missing
#   test/install.sh --check    check only
#
# NORN_INSTALL=no has the effect of --check.
set -euo pipefail

only_check=${1:-}
[ "${NORN_INSTALL:-yes}" = no ] && only_check=--check

PATH=$PATH:/usr/sbin:/sbin

# has NAME... : one of the programs or files (globs) is there.
has() {
  local name
  for name in "$@"; do
    case $name in
      /*) compgen -G "$name" >/dev/null && return 0 ;;
      *) command -v "$name" >/dev/null && return 0 ;;
    esac
  done
  return 1
}

fail=0
if ! has go; then
  echo "missing: Go 1.26 or newer (https://go.dev/dl)" >&2
  fail=1
fi
if ! has node || ! has npm; then
  echo "missing: Node.js 20.19 or newer with npm (https://nodejs.org)" >&2
  fail=1
elif ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
  echo "too old: Node.js $(node -v), need 20.19 or newer" >&2
  fail=1
fi

packages=()
# need PACKAGE PROGRAM-OR-GLOB... : PACKAGE gives it.
need() {
  local package=$1
  shift
  has "$@" || packages+=("$package")
}
need git git
need postgresql postgres '/usr/lib/postgresql/*/bin/postgres' '/usr/pgsql-*/bin/postgres'
need rsyslog rsyslogd
need rsyslog-openssl '/usr/lib/*/rsyslog/lmnsd_ossl.so' '/usr/lib*/rsyslog/lmnsd_ossl.so'
need rsyslog-elasticsearch '/usr/lib/*/rsyslog/omelasticsearch.so' '/usr/lib*/rsyslog/omelasticsearch.so'
need prometheus prometheus
need chromium chromium chromium-browser google-chrome

if [ ${#packages[@]} -gt 0 ]; then
  if [ "$only_check" != --check ] && [ "$(id -u)" = 0 ] && has apt-get; then
    echo "installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  else
    echo "missing: ${packages[*]}" >&2
    echo "install with: sudo apt-get install --no-install-recommends ${packages[*]}" >&2
    fail=1
  fi
fi
exit $fail
