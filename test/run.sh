#!/usr/bin/env bash
# Runs every test there is, shows what failed, and ends with one line
# "N passed, N failed". Exits with 0 only if nothing failed.
#
#   test/run.sh              everything
#   test/run.sh go web       some of: go web e2e
set -uo pipefail
cd "$(dirname "$0")/.."

out=test/out
counts=$out/counts
mkdir -p "$out"
rm -f "$counts"

export CGO_ENABLED=0
packages=(. ./cmd/... ./internal/... ./web)

# stage NAME COMMAND... : a stage that is one check: it passes or fails.
stage() {
  local name=$1
  shift
  echo "--- $name"
  if "$@"; then
    echo "$name 1 0 0" >>"$counts"
  else
    echo "FAIL $name: $*" >&2
    echo "$name 0 1 0" >>"$counts"
    return 1
  fi
}

run_go() {
  echo "--- go test"
  go test -json -timeout 30m "${packages[@]}" 2>"$out/go.stderr" | go run test/tally.go -name go -o "$counts"
  local status=("${PIPESTATUS[@]}")
  if [ -s "$out/go.stderr" ]; then
    cat "$out/go.stderr"
  fi
  # go test itself failed although no test did: say so.
  if [ "${status[0]}" != 0 ] && [ "${status[1]}" = 0 ]; then
    echo "go-test 0 1 0" >>"$counts"
  fi
  [ "${status[0]}" = 0 ] && [ "${status[1]}" = 0 ]
}

run_web() {
  stage web-dependencies make --no-print-directory web/node_modules/.package-lock.json || return 1
  stage web-types npm --prefix web run --silent typecheck
  stage web-api-types npm --prefix web run --silent types:check
  echo "--- vitest"
  rm -f "$out/vitest.json"
  (cd web && npx --no-install vitest run --reporter=default --reporter=json --outputFile.json=../"$out"/vitest.json)
  node -e '
    const fs = require("fs");
    let r = { numPassedTests: 0, numFailedTests: 1, numPendingTests: 0, numFailedTestSuites: 0 };
    try { r = JSON.parse(fs.readFileSync(process.argv[1])); } catch (e) { console.error("vitest gave no result:", e.message); }
    const failed = r.numFailedTests || (r.success === false ? 1 : 0);
    fs.appendFileSync(process.argv[2], `vitest ${r.numPassedTests} ${failed} ${r.numPendingTests}\n`);
  ' "$out/vitest.json" "$counts"
  stage plugin-examples make --no-print-directory plugins-check
  stage web-build make --no-print-directory ui
}

run_e2e() {
  stage browser test/e2e.sh
}

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(web go e2e)
for s in "${stages[@]}"; do
  case $s in
    go | web | e2e) "run_$s" ;;
    *) echo "unknown stage $s" >&2; exit 2 ;;
  esac
done

echo
awk '
  { printf "%-18s passed %d, failed %d, skipped %d\n", $1, $2, $3, $4; p += $2; f += $3; s += $4 }
  END {
    if (s) printf "%d passed, %d failed, %d skipped\n", p, f, s
    else printf "%d passed, %d failed\n", p, f
    exit (f > 0 || p == 0)
  }' "$counts"
