#!/usr/bin/env python3
"""PyOD beside Norn's joint detection on the Server Machine Dataset.

Each detector is fitted on a machine's training half and scores its test half
once. AUC-PR is by rows, without point adjustment. PCA-90 (10-row mean) is
computed here too: it must agree with Norn's own row of that name, which shows
that both read and score alike.
"""

import common  # first: holds libraries to one thread

import numpy as np
import pandas as pd
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from pyod.models.hbos import HBOS
from pyod.models.iforest import IForest
from pyod.models.pca import PCA
from sklearn.metrics import average_precision_score, precision_recall_curve


class PCA90:
    """Squared distance from the components that hold 90 % of the variance, mean of 10 rows."""

    def fit(self, x):
        self.mean, self.sd = x.mean(0), x.std(0)
        self.sd[self.sd <= 1e-9] = 1
        values, vectors = np.linalg.eigh(np.cov((x - self.mean) / self.sd, rowvar=False, bias=True))
        left = np.cumsum(values) <= 0.1 * values.sum()
        self.rest = vectors[:, left]
        return self

    def decision_function(self, x):
        s = ((((x - self.mean) / self.sd) @ self.rest) ** 2).sum(1)
        c = np.cumsum(np.concatenate([[0.0], s]))
        i = np.arange(1, len(s) + 1)
        return (c[i] - c[np.maximum(i - 10, 0)]) / np.minimum(i, 10)


DETECTORS = {
    "pyod ECOD": ECOD,
    "pyod COPOD": COPOD,
    "pyod HBOS": HBOS,
    "pyod IForest": lambda: IForest(random_state=1),
    "pyod PCA": lambda: PCA(n_components=0.9, svd_solver="full", random_state=1),
    "PCA-90, 10-row mean (here)": PCA90,
}


def machines(data):
    for test in sorted(data.glob("*_test.csv*")):
        name = test.name.split("_test.csv")[0]
        train = next(data.glob(f"{name}_train.csv*"))
        b = pd.read_csv(test)
        label = b["label"].to_numpy() > 0
        a = pd.read_csv(train)
        metrics = [c for c in a.columns if c in b.columns and c != "label" and not c.startswith("interpretation")]
        yield name, a[metrics].to_numpy(float), b[metrics].to_numpy(float), label


def main():
    p = common.parser(__doc__, "folder of NAME_train.csv, NAME_test.csv (or .gz), as for 'norn bench smd'")
    p.add_argument("--quick", action="store_true", help="Norn without the network")
    args = p.parse_args()
    sums = {k: {"auc_pr": [], "best_f1": [], "clock": common.Clock(), "rows": 0} for k in DETECTORS}
    for _, train, test, label in machines(args.data):
        for name, make in DETECTORS.items():
            s = sums[name]
            with s["clock"]:
                score = make().fit(train).decision_function(test)
            s["rows"] += len(train) + len(test)
            s["auc_pr"].append(float(average_precision_score(label, score)))
            pr, re, _ = precision_recall_curve(label, score)
            s["best_f1"].append(float(np.max(2 * pr * re / np.maximum(pr + re, 1e-12))))
    rows = []
    own = common.norn(args, "smd", "--data", args.data, *(["--quick"] if args.quick else []))
    if own:
        for r in own["means"]:
            if r["name"].startswith("Norn") or r["name"].startswith("PCA-90, 10") or r["name"].startswith("max"):
                rows.append({"detector": r["name"], "auc_pr": r["auc_pr"], "best_f1": r["best_f1"],
                             "rows_per_cpu_second": 1e9 / own["ns_per_row"] if r["name"] == "Norn" else None})
    for name, s in sums.items():
        rows.append({"detector": name, "auc_pr": float(np.mean(s["auc_pr"])), "best_f1": float(np.mean(s["best_f1"])),
                     "rows_per_cpu_second": s["rows"] / max(s["clock"].seconds, 1e-9)})
    common.show(args, {"rows": rows, "notes": ["rows per CPU-second: of both halves; Norn's while judging and learning at once, one row at a time, without its network"]},
                ["detector", "auc_pr", "best_f1", "rows_per_cpu_second"])


if __name__ == "__main__":
    main()
