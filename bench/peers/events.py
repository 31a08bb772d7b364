#!/usr/bin/env python3
"""river and PyOD beside Norn on the sets of 'norn bench events', or on CSV folders.

Norn writes the rows that it judges (without labels), the peers score them,
and Norn scores all alike: event F1 without point adjustment. A peer gets the
one threshold that is best for it on the mean of the sets; Norn's is the
shipped one. All columns of a file are one vector; with -w 8 the last eight
rows are.

river reads row by row and learns as it goes. PyOD is fitted on the rows that
teach (at most --train of them), and says how many standard deviations of its
scores there a row lies above their mean.
"""

import common  # first: holds libraries to one thread

import json
import pathlib
import tempfile

import numpy as np
import pandas as pd
from pyod.models.ecod import ECOD
from pyod.models.hbos import HBOS
from pyod.models.iforest import IForest
from river import anomaly, compose, preprocessing


def fitted(make):
    def run(x, teach, args):
        train = x[max(0, teach - args.train) : teach]
        if len(train) < 10:
            return np.zeros(len(x))
        model = make()
        model.fit(train)
        base = model.decision_scores_
        score = np.zeros(len(x))
        score[teach:] = (model.decision_function(x[teach:]) - base.mean()) / max(base.std(), 1e-9)
        return np.maximum(score, 0)

    return run


def half_space_trees(x, teach, args):
    model = compose.Pipeline(preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(seed=1))
    names = list(range(x.shape[1]))
    score = np.zeros(len(x))
    for i, row in enumerate(x.tolist()):
        d = dict(zip(names, row))
        if i >= teach:
            score[i] = model.score_one(d)
        model.learn_one(d)
    return score


DETECTORS = {
    "ecod": ("pyod ECOD", fitted(ECOD)),
    "hbos": ("pyod HBOS", fitted(HBOS)),
    "iforest": ("pyod IForest", fitted(lambda: IForest(random_state=1))),
    "hst": ("river HalfSpaceTrees", half_space_trees),
}


def vectors(path, window):
    """The rows of a file; a missing value is the one before. With a window, the last rows side by side."""
    x = pd.read_csv(path).iloc[:, 1:].ffill().fillna(0).to_numpy(float)
    if window == 1:
        return x
    padded = np.concatenate([np.repeat(x[:1], window - 1, axis=0), x])
    return np.concatenate([padded[k : k + len(x)] for k in range(window)], axis=1)


def main():
    p = common.parser(__doc__, "folder of the sets, or with --csv of labelled CSV files")
    p.add_argument("--csv", action="store_true", help="--data is a folder for 'norn bench csv'")
    p.add_argument("--sets", default="", help="only these sets, for example nab,skab")
    p.add_argument("--detectors", default=",".join(DETECTORS), help="of " + ", ".join(DETECTORS))
    p.add_argument("-w", "--window", type=int, nargs="+", default=[1, 8], help="rows that make a vector")
    p.add_argument("--train", type=int, default=4000, help="most rows that PyOD is fitted on")
    args = p.parse_args()
    base = ["csv", args.data] if args.csv else ["events", "--data", args.data]
    base += ["--quick"] + (["--sets", args.sets] if args.sets else [])
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        if common.norn(args, *base, "--export", tmp / "rows") is None:
            raise SystemExit("events.py needs Norn: it reads the files and scores the peers")
        files = json.loads((tmp / "rows" / "manifest.json").read_text())
        clocks, values, flags = {}, 0, []
        for w in args.window:
            for key in args.detectors.split(","):
                label, run = DETECTORS[key]
                label += f", {w} rows" if w > 1 else ""
                clock, values = clocks.setdefault(label, common.Clock()), 0
                for f in files:
                    x = vectors(tmp / "rows" / f["path"], w)
                    values += x.size // w
                    with clock:
                        score = run(x, f["teach"], args)
                    out = tmp / label / f["path"]
                    out.parent.mkdir(parents=True, exist_ok=True)
                    np.savetxt(out, score, fmt="%.6g", header="score", comments="")
                flags += ["--scores", f"{label}={tmp / label}"]
        rep = common.norn(args, *base, *flags)
    sets = [s["name"] for s in rep["sets"]]
    rows = []
    for r in rep["rows"]:
        name = r["detector"]
        speed = values / max(clocks[name].seconds, 1e-9) if name in clocks else 1e9 / max(r["ns_per_point"], 1)
        rows.append({"detector": name, "mean_f1": r["mean_f1"], **{s: r["per_set"][s]["f1"] for s in sets}, "values_per_cpu_second": speed,
                     "leave_one_set_out_mean": r["leave_one_set_out_mean"], "threshold": r["threshold"], "per_set": r["per_set"]})
    notes = ["event F1; thresholds of the peers: best of 200 for each on these very labels"]
    common.show(args, {"rows": rows, "notes": notes}, ["detector", "mean_f1", *sets, "values_per_cpu_second"])


if __name__ == "__main__":
    main()
