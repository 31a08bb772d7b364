#!/usr/bin/env bash
# The browser test: builds the binary, runs the demo on free ports with a data
# directory of its own, and drives the console in a real headless Chromium.
#
#   test/e2e.sh [FAULT]        the fault that the demo injects (slow-query)
#
# The test itself is web/e2e/run.mjs. It gets:
#   NORN_URL          address of the console
#   NORN_E2E_TRUTH    the entities that are at fault, as the demo lists them
#   NORN_E2E_OUT      folder for screenshots
#   CHROMIUM          path of the browser
# and knows further settings (NORN_E2E_LIMIT_S and others), which it lists.
set -euo pipefail
cd "$(dirname "$0")/.."

fault=${1:-slow-query}
out=test/out/e2e
# Not in the tree: the demo may fill it with two weeks of history.
data=$(mktemp -d "${TMPDIR:-/tmp}/norn-e2e-XXXXXX")
demo=
finish() {
  local status=$?
  if [ -n "$demo" ] && kill -0 "$demo" 2>/dev/null; then
    kill -TERM "$demo" 2>/dev/null || true
    for _ in $(seq 100); do
      kill -0 "$demo" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$demo" 2>/dev/null || true
  fi
  [ -z "$demo" ] || wait "$demo" 2>/dev/null || true
  if [ "$status" != 0 ] && [ -f "$out/demo.log" ]; then
    echo "--- the end of $out/demo.log" >&2
    tail -n 60 "$out/demo.log" >&2
  fi
  rm -rf "$data"
  exit "$status"
}
trap finish EXIT INT TERM

CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
[ -n "$CHROMIUM" ] || { echo "no browser: apt-get install chromium" >&2; exit 1; }
[ -f web/e2e/run.mjs ] || { echo "web/e2e/run.mjs is missing" >&2; exit 1; }

make --no-print-directory build
rm -rf "$out"
mkdir -p "$out"
truth=$(bin/norn demo --faults list | awk -F '  +' -v name="$fault" '$1 == name { gsub(/, /, ",", $3); print $3 }')
case $truth in
  */*) ;;
  "") echo "the demo has no fault \"$fault\"; bin/norn demo --faults list names them" >&2; exit 2 ;;
  *) echo "\"$fault\" is no fault: the browser test needs one that Norn has to find" >&2; exit 2 ;;
esac
port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
url=http://127.0.0.1:$port

bin/norn demo --listen "127.0.0.1:$port" --endpoint 127.0.0.1:0 --data "$data" \
  --fault "$fault" --quiet 20s --seed 1 >"$out/demo.log" 2>&1 </dev/null &
demo=$!

# The demo measures its shop and makes two weeks of past before the console answers.
answered=
for _ in $(seq 240); do
  if ! kill -0 "$demo" 2>/dev/null; then
    echo "the demo ended before its console answered" >&2
    exit 1
  fi
  if node -e 'fetch(process.argv[1]).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))' "$url/" 2>/dev/null; then
    answered=yes
    break
  fi
  sleep 0.5
done
if [ -z "$answered" ]; then
  echo "the demo's console at $url did not answer within 120 s" >&2
  exit 1
fi

export NORN_URL=$url NORN_E2E_TRUTH=$truth NORN_E2E_OUT=$PWD/$out CHROMIUM
npm --prefix web run --silent e2e
