#!/usr/bin/env python3
"""drain3 beside Norn's template mining on a folder of labelled logs (Loghub-2k).

drain3 reads the same lines in one pass with one setting for all systems: its
defaults, with the masks of its own example configuration (numbers, addresses,
hexadecimal) or, as a second row, without any. What it found is scored by
'norn bench loghub --parsed', by the same rules as Norn.
"""

import common  # first: holds libraries to one thread

import csv
import pathlib
import tempfile

import pandas as pd
from drain3 import TemplateMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig

MASKS = [
    (r"((?<=[^A-Za-z0-9])|^)(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))((?=[^A-Za-z0-9])|$)", "ID"),
    (r"((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)", "IP"),
    (r"((?<=[^A-Za-z0-9])|^)([0-9a-f]{6,} ?){3,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    (r"((?<=[^A-Za-z0-9])|^)([0-9A-F]{4} ?){4,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    (r"((?<=[^A-Za-z0-9])|^)(0x[a-f0-9A-F]+)((?=[^A-Za-z0-9])|$)", "HEX"),
    (r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)", "NUM"),
]


def mine(lines, masked):
    config = TemplateMinerConfig()
    if masked:
        config.masking_instructions = [MaskingInstruction(p, w) for p, w in MASKS]
    miner = TemplateMiner(config=config)
    ids = [miner.add_log_message(line)["cluster_id"] for line in lines]
    texts = {c.cluster_id: c.get_template() for c in miner.drain.clusters}
    return ids, texts


def plain(template):
    """Named masks become the wildcard that the truth uses."""
    for name in ("ID", "IP", "SEQ", "HEX", "NUM"):
        template = template.replace(f"<{name}>", "<*>")
    return template


def main():
    p = common.parser(__doc__, "folder with a folder a system, as for 'norn bench loghub'")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        flags, speed = [], {}
        for label, masked in (("drain3", True), ("drain3, no masks", False)):
            out = pathlib.Path(tmp) / label
            out.mkdir()
            clock, count = common.Clock(), 0
            for path in sorted(args.data.rglob("*_structured.csv")):
                lines = pd.read_csv(path, dtype=str, keep_default_na=False)["Content"].tolist()
                with clock:
                    ids, texts = mine(lines, masked)
                count += len(lines)
                with open(out / path.name, "w", newline="") as f:
                    w = csv.writer(f)
                    w.writerow(["group", "template"])
                    w.writerows([i, plain(texts[i])] for i in ids)
            speed[label] = count / max(clock.seconds, 1e-9)
            flags += ["--parsed", f"{label}={out}"]
        rep = common.norn(args, "loghub", "--data", args.data, *flags)
    if rep is None:
        raise SystemExit("logs.py needs Norn: it scores the peers")
    rows = [{"miner": "Norn", **rep["mean"], "lines_per_cpu_second": rep["lines_per_cpu_second"]}]
    rows += [{"miner": o["name"], **o["mean"], "lines_per_cpu_second": speed[o["name"]]} for o in rep["others"]]
    common.show(args, {"rows": rows, "systems": [{"miner": "Norn", "systems": rep["systems"]}, *rep["others"]],
                       "notes": ["means over systems; lines per CPU-second: one pass from nothing over each system"]},
                ["miner", "ga", "fga", "pa", "fta", "lines_per_cpu_second"])


if __name__ == "__main__":
    main()
