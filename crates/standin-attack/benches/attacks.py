"""Seconds of attacks' scores in NumPy, by the formulas of the public reference code (the LiRA authors', ML Privacy Meter's).

attacks.py CASE CANDIDATES SHADOWS CLASSES prints the least of two runs, without making the logits.
"""

import sys
import time

import numpy as np

case, candidates, shadows, classes = sys.argv[1], *map(int, sys.argv[2:])
rng = np.random.default_rng(1)

if case == "gan-leaks":
    # `shadows` is the number of released images and `classes` that of features.
    queries = rng.random((candidates, classes), dtype=np.float32)
    released = rng.random((shadows, classes), dtype=np.float32)

    def score():
        norms = (released**2).sum(1)
        best = np.empty(candidates, dtype=np.float32)
        for at in range(0, candidates, 1000):
            block = queries[at : at + 1000]
            best[at : at + 1000] = (norms - 2 * block @ released.T).min(1) + (block**2).sum(1)
        return -best

else:
    logits = rng.standard_normal((shadows + 1, candidates, classes), dtype=np.float32)
    labels = rng.integers(0, classes, candidates)
    inside = rng.random((shadows, candidates)) < 0.5

    def confidences(z):
        z = z - z.max(1, keepdims=True)
        p = np.exp(z.astype(np.float64))
        p /= p.sum(1, keepdims=True)
        return p[np.arange(candidates), labels], p

    def scaled(z):
        true, p = confidences(z)
        p[np.arange(candidates), labels] = 0
        return np.log(true + 1e-45) - np.log(p.sum(1) + 1e-45)

    def lira(online):
        signals = np.stack([scaled(z) for z in logits])
        target, of_shadows = signals[-1], signals[:-1]
        outside = np.where(inside, np.nan, of_shadows)
        mean_out, deviation_out = np.nanmedian(outside, 0), np.nanstd(outside)
        if not online:
            return (target - mean_out) / (deviation_out + 1e-30)
        within = np.where(inside, of_shadows, np.nan)
        mean_in, deviation_in = np.nanmedian(within, 0), np.nanstd(within)

        def density(mean, deviation):
            return -0.5 * ((target - mean) / (deviation + 1e-30)) ** 2 - np.log(deviation + 1e-30)

        return density(mean_in, deviation_in) - density(mean_out, deviation_out)

    def rmia(online):
        signals = np.stack([confidences(z)[0] for z in logits])
        target, of_shadows = signals[-1], signals[:-1]
        out = (of_shadows * ~inside).sum(0) / (~inside).sum(0)
        if online:
            mean = 0.5 * (out + (of_shadows * inside).sum(0) / inside.sum(0))
        else:
            mean = 0.5 * ((1 + 0.3) * out + 1 - 0.3)
        ratio = target / mean
        # The share of a population of 10 000 that the candidate dominates.
        population = np.sort(ratio[:10_000])
        return np.searchsorted(population, ratio, side="right") / len(population)

    def score():
        family, form = case.split("-", 1)
        return (lira if family == "lira" else rmia)(form.startswith("online"))


seconds = []
for _ in range(2):
    start = time.perf_counter()
    score()
    seconds.append(time.perf_counter() - start)
print(min(seconds))
