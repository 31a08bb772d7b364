"""What the comparison scripts share: running Norn, and showing results.

Every script prints a table, or with -o json one object. Speed is work per
second of processor time, of all threads; libraries are held to one thread.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is loaded

import argparse
import json
import pathlib
import subprocess
import sys
import time
import warnings

warnings.filterwarnings("ignore", category=RuntimeWarning)  # of the peers, on columns that do not move

ROOT = pathlib.Path(__file__).resolve().parents[2]


def parser(text, data):
    """The flags that every script has; data says what --data holds."""
    p = argparse.ArgumentParser(description=text)
    p.add_argument("--data", required=True, type=pathlib.Path, help=data)
    p.add_argument("--norn", default=str(ROOT / "bin" / "norn"), help="Norn's program; 'none' leaves its rows out")
    p.add_argument("-o", "--output", default="table", choices=["table", "json"])
    return p


def norn(args, *rest, log=sys.stderr):
    """Run 'norn bench REST -o json'; None when it is left out or has no such command."""
    if args.norn == "none":
        return None
    if not pathlib.Path(args.norn).exists():
        sys.exit(f"{args.norn} does not exist: build it with 'make build' or give --norn")
    has = subprocess.run([args.norn, "bench", rest[0], "--help"], capture_output=True, text=True)
    if has.returncode != 0 or f"bench {rest[0]}" not in has.stdout:
        print(f"{args.norn} has no 'bench {rest[0]}': its rows are left out", file=log)
        return None
    done = subprocess.run([args.norn, "bench", *map(str, rest), "-o", "json"], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"norn bench {rest[0]} failed")
    return json.loads(done.stdout)


class Clock:
    """Processor time of this process, as a context."""

    seconds = 0.0

    def __enter__(self):
        self._from = time.process_time()
        return self

    def __exit__(self, *_):
        self.seconds += time.process_time() - self._from


def show(args, report, columns):
    """Print report["rows"] as a table of the given columns, or all as JSON."""
    if args.output == "json":
        json.dump(report, sys.stdout, indent=2)
        print()
        return
    cells = [list(columns)]
    for row in report["rows"]:
        cells.append([text(row.get(c)) for c in columns])
    widths = [max(len(r[i]) for r in cells) for i in range(len(columns))]
    for r in cells:
        print("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))))
    for line in report.get("notes", []):
        print(line)


def text(v):
    if v is None:
        return "-"
    if isinstance(v, float):
        return f"{v:.3f}" if abs(v) < 100 else f"{v:,.0f}"
    return str(v)
