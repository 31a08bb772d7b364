#!/bin/sh
# Makes the virtual environment of the comparison scripts: .cache/peers below
# the project's folder. Needs Python 3.11 or newer and network access.
set -eu
cd "$(dirname "$0")/../.."
"${PYTHON:-python3}" -m venv .cache/peers
.cache/peers/bin/python -m pip install --quiet -r bench/peers/requirements.txt
echo "ready: .cache/peers/bin/python bench/peers/events.py --help"
