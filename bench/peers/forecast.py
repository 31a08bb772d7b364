#!/usr/bin/env python3
"""statsforecast's automatic models beside Norn's forecasts on an M4 folder.

Measures are those of the M4 competition: sMAPE and MASE are means over series,
OWA is the mean of both relative to Naive2 computed here on the same series,
MSIS is of the 95 % interval. Reads Train/SET-train.csv and Test/SET-test.csv.
"""

import common  # first: holds libraries to one thread

import numpy as np
import pandas as pd
from statsforecast import StatsForecast
from statsforecast.models import MSTL, AutoETS, AutoTheta, SeasonalNaive

SETS = {"Yearly": 1, "Quarterly": 4, "Monthly": 12, "Weekly": 1, "Daily": 1, "Hourly": 24}  # period, as M4 scales MASE
LONG = {"Weekly": 52, "Daily": 7}  # period that models are told where M4 scales by 1


def read(path):
    out = {}
    for line in pd.read_csv(path).itertuples(index=False):
        v = np.array(line[1:], dtype=float)
        out[line[0]] = v[~np.isnan(v)]
    return out


def find(data, part, name):
    for p in (data / part / f"{name}-{part.lower()}.csv", data / part / f"{name}-{part.lower()}.csv.gz"):
        if p.exists():
            return p
    raise SystemExit(f"{data} holds no {part}/{name}-{part.lower()}.csv: see github.com/Mcompetitions/M4-methods")


def naive2(x, h, m):
    """M4's Naive2: the last value, seasonally adjusted where the 90 % test of autocorrelation says so."""
    if m > 1 and len(x) >= 3 * m:
        d = x - x.mean()
        acf = [float((d[k:] * d[: len(d) - k]).sum() / max((d * d).sum(), 1e-300)) for k in range(1, m + 1)]
        if abs(acf[-1]) > 1.645 * np.sqrt((1 + 2 * sum(a * a for a in acf[:-1])) / len(x)):
            w = np.ones(m) / m if m % 2 else np.r_[0.5, np.ones(m - 1), 0.5] / m
            trend = np.convolve(x, w, "valid")
            at = (len(w) - 1) // 2
            ratio = x[at : at + len(trend)] / np.where(trend == 0, 1e-12, trend)
            phase = (np.arange(len(trend)) + at) % m
            s = np.array([ratio[phase == k].mean() for k in range(m)])
            s *= m / s.sum()
            last = x[-1] / s[(len(x) - 1) % m]
            return last * s[(len(x) + np.arange(h)) % m]
    return np.full(h, x[-1])


def measures(y, f, lo, hi, x, m):
    scale = np.mean(np.abs(x[m:] - x[:-m]))
    scale = scale if scale > 0 else np.nan
    smape = 200 * np.mean(np.abs(y - f) / np.maximum(np.abs(y) + np.abs(f), 1e-12))
    mase = np.mean(np.abs(y - f)) / scale
    if lo is None:
        return smape, mase, np.nan, np.nan
    width = hi - lo + 40 * (np.maximum(lo - y, 0) + np.maximum(y - hi, 0))
    return smape, mase, np.mean(width) / scale, np.mean((lo <= y) & (y <= hi))


def main():
    p = common.parser(__doc__, "M4 folder with Train/ and Test/")
    p.add_argument("--set", default="Weekly", choices=sorted(SETS))
    p.add_argument("--limit", type=int, default=0, help="only the first N series (Norn's row is of all)")
    args = p.parse_args()
    m, long = SETS[args.set], LONG.get(args.set, SETS[args.set])
    train, test = read(find(args.data, "Train", args.set)), read(find(args.data, "Test", args.set))
    names = sorted(train)[: args.limit or None]
    h = max(len(test[n]) for n in names)

    def frame(n):
        return pd.DataFrame({"unique_id": n, "ds": np.arange(len(train[n])), "y": train[n]})

    data = pd.concat([frame(n) for n in names])
    base = np.nanmean([measures(test[n], naive2(train[n], len(test[n]), m), None, None, train[n], m)[:2] for n in names], axis=0)
    rows = []
    own = common.norn(args, "forecast", "--data", args.data, "--set", args.set)
    if own:
        rows.append({"model": "Norn", **{k: own.get(k) for k in ("smape", "mase", "owa", "msis", "coverage95")},
                     "series_per_cpu_second": own.get("series_per_cpu_second")})
    rows.append({"model": "Naive2 (here)", "smape": base[0], "mase": base[1], "owa": 1.0})
    models = [SeasonalNaive(season_length=long), AutoETS(season_length=long if long <= 24 else 1), AutoTheta(season_length=long),
              MSTL(season_length=long)]
    for model in models:
        sf = StatsForecast(models=[model], freq=1, n_jobs=1, fallback_model=SeasonalNaive(season_length=1))
        sf.forecast(df=frame(names[0]), h=h, level=[95])  # compiles, which is not counted
        clock = common.Clock()
        with clock:
            got = sf.forecast(df=data, h=h, level=[95])
        c = model.alias
        got = {n: g for n, g in got.groupby("unique_id")}
        all_ = []
        for n in names:
            k, g = len(test[n]), got[n]
            all_.append(measures(test[n], g[c].to_numpy()[:k], g[f"{c}-lo-95"].to_numpy()[:k], g[f"{c}-hi-95"].to_numpy()[:k], train[n], m))
        smape, mase, msis, cover = np.nanmean(all_, axis=0)
        rows.append({"model": c, "smape": smape, "mase": mase, "owa": (smape / base[0] + mase / base[1]) / 2, "msis": msis,
                     "coverage95": cover, "series_per_cpu_second": len(names) / max(clock.seconds, 1e-9)})
    rows = [{k: float(v) if isinstance(v, np.floating) else v for k, v in r.items()} for r in rows]
    notes = [f"{len(names)} series, {h} steps ahead; models were told the period {long}, MASE is scaled by lag {m}; compilation is not counted"]
    if long > 24:
        notes.append("AutoETS takes no period above 24 and ran without one")
    common.show(args, {"set": args.set, "rows": rows, "notes": notes}, ["model", "smape", "mase", "owa", "msis", "coverage95", "series_per_cpu_second"])


if __name__ == "__main__":
    main()
