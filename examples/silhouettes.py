#!/usr/bin/env python3
"""Draws and varies grey silhouettes: an example of a program that private evolution can ask for images.

It has never seen an image. A silhouette is a shape whose width along an axis is a line through a few random
points, mirrored or not, with or without a gap and arms, filled with a smooth shade, stripes and grain. A variation of an
image warps it smoothly, changes its shade, and now and then erases or fills a band; `degree` in [0, 1] says how much.

    standin generate --generator private-evolution --set 'api.command=["python3", "examples/silhouettes.py"]' …

Needs NumPy. One request a line on standard input, one answer a line on standard output.
"""

import json
import sys

import numpy as np


def smooth(rng, count, height, width, cells):
    """Random fields, normal at `cells` × `cells` points and linear between them."""
    coarse = rng.standard_normal((count, cells, cells))
    y, x = np.linspace(0, cells - 1, height), np.linspace(0, cells - 1, width)
    y0, x0 = np.minimum(y.astype(int), cells - 2), np.minimum(x.astype(int), cells - 2)
    fy, fx = (y - y0)[None, :, None], (x - x0)[None, None, :]
    rows = coarse[:, y0] * (1 - fy) + coarse[:, y0 + 1] * fy
    return rows[:, :, x0] * (1 - fx) + rows[:, :, x0 + 1] * fx


def profile(rng, count, length, knots, low, high):
    """Random functions of `length` values, linear between `knots` points that are uniform in [low, high]."""
    values = rng.uniform(low, high, (count, knots))
    at = np.linspace(0, knots - 1, length)
    first = np.minimum(at.astype(int), knots - 2)
    share = at - first
    return values[:, first] * (1 - share) + values[:, first + 1] * share


def edge(distance):
    """1 inside, 0 outside, and a pixel of transition."""
    return np.clip(distance + 0.5, 0, 1)


def draw(rng, count, height, width):
    """`count` silhouettes, values in [0, 1]."""
    y = np.arange(height)[None, :, None] + 0.5
    x = np.arange(width)[None, None, :] + 0.5
    column = lambda values: values[:, None, None]
    uniform = lambda low, high: column(rng.uniform(low, high, count))
    chance = lambda share: column(rng.random(count) < share)

    # A body: symmetric about a vertical axis, between a top and a bottom, as wide as its profile says.
    middle = width / 2 + uniform(-1, 1)
    top, bottom = uniform(0, 0.35) * height, uniform(0.65, 1) * height
    half = width / 2 * np.where(
        chance(0.5)[:, :, 0], profile(rng, count, height, 3, 0.2, 1), profile(rng, count, height, 6, 0.2, 1)
    )[:, :, None]
    upright = np.minimum(np.minimum(y - top, bottom - y), half - np.abs(x - middle))
    # Legs: nothing in the middle below a height. A neck: nothing in the middle above one.
    gap = np.minimum(y - uniform(0.1, 0.6) * height, uniform(0.5, 3) - np.abs(x - middle))
    neck = np.minimum(uniform(0.05, 0.3) * height - y, uniform(1, 5) - np.abs(x - middle))
    upright = np.where(chance(0.25), np.minimum(upright, -gap), upright)
    upright = np.where(chance(0.3), np.minimum(upright, -neck), upright)
    # Arms: bands on both sides, from the shoulders outwards and down.
    outwards = np.abs(x - middle) / (width / 2)
    shoulder, fall, thick = uniform(0.05, 0.25) * height, uniform(0, 0.7) * height, uniform(1.5, 5)
    arms = np.minimum(thick - np.abs(y - shoulder - thick - fall * outwards**2), uniform(0.5, 1) - outwards)
    arms = np.minimum(arms, bottom - y)
    upright = np.where(chance(0.35), np.maximum(upright, arms), upright)
    # A handle: an arch above.
    radius = uniform(3, 8)
    arch = 1 - np.abs(np.hypot(x - middle, y - top) - radius)
    upright = np.where(chance(0.15), np.maximum(upright, np.minimum(arch, top - y)), upright)

    # Or something that stands on the ground and has another height at every place.
    ground = uniform(0.6, 0.95) * height
    rise = (height * profile(rng, count, width, 5, 0.05, 0.7))[:, None, :]
    left, right = uniform(0, 0.15) * width, uniform(0.8, 1) * width
    lying = np.minimum(np.minimum(ground - y, y - ground + rise), np.minimum(x - left, right - x))
    hole = rng.random((count, 1, 1)) < 0.4
    cavity = np.minimum(np.minimum(ground - uniform(1.5, 4) - y, y - ground + 0.8 * rise), 3 * smooth(rng, count, height, width, 5))
    lying = np.where(hole, np.minimum(lying, -cavity), lying)

    shape = edge(np.where(chance(0.35), lying, upright))
    shade = uniform(0.2, 1) + uniform(0, 0.2) * smooth(rng, count, height, width, 3)
    waves = np.sin(2 * np.pi * np.where(chance(0.5), x, y) / uniform(2.5, 9) + uniform(0, 6.3))
    shade = shade + np.where(chance(0.3), uniform(0, 0.3), 0) * waves
    shade = shade + uniform(0, 0.1) * rng.standard_normal((count, height, width))
    outline = np.clip(shape - np.roll(shape, 1, 2) + shape - np.roll(shape, -1, 2), 0, 1)
    shade = shade + np.where(chance(0.5), uniform(-0.3, 0.3), 0) * outline
    return np.clip(shape * np.clip(shade, 0.05, 1), 0, 1)


def vary(rng, images, degree):
    """Each image warped, shaded anew and sometimes cut or filled."""
    count, height, width = images.shape
    y = np.arange(height)[None, :, None] + degree * 4 * smooth(rng, count, height, width, 4)
    x = np.arange(width)[None, None, :] + degree * 4 * smooth(rng, count, height, width, 4)
    mirrored = rng.random((count, 1, 1)) < 0.5
    mirror_x = np.where(mirrored, (x + (width - 1 - x[:, :, ::-1])) / 2, x)
    x = np.where(rng.random((count, 1, 1)) < 0.5, mirror_x, x)
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    y0, x0 = np.minimum(y.astype(int), height - 2), np.minimum(x.astype(int), width - 2)
    fy, fx = y - y0, x - x0
    n = np.arange(count)[:, None, None]
    above = images[n, y0, x0] * (1 - fx) + images[n, y0, x0 + 1] * fx
    below = images[n, y0 + 1, x0] * (1 - fx) + images[n, y0 + 1, x0 + 1] * fx
    varied = above * (1 - fy) + below * fy
    gain = np.exp(degree * 0.5 * rng.standard_normal((count, 1, 1)))
    field = 1 + degree * 0.3 * smooth(rng, count, height, width, 4)
    grain = degree * 0.08 * rng.standard_normal(images.shape) * (varied > 0.05)
    varied = np.where(varied > 0.02, varied * gain * field + grain, varied)
    # Now and then part of another silhouette is added, or taken away.
    other = draw(rng, count, height, width)
    change = rng.random((count, 1, 1))
    varied = np.where(change < 0.1 * degree, np.maximum(varied, other), varied)
    varied = np.where((change > 1 - 0.1 * degree), varied * (other > 0.05), varied)
    return np.clip(varied, 0, 1)


def main():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            height, width, channels = request["shape"]
            rng = np.random.default_rng(request["seed"])
            if request["request"] == "vary":
                parents = np.load(request["images"])["images"].reshape(-1, height, width, channels).mean(3) / 255
                parts = [vary(rng, part, request["degree"]) for part in np.array_split(parents, len(parents) // 2000 + 1)]
            else:
                parts = [draw(rng, n, height, width) for n in np.full(request["count"] // 1000, 1000).tolist() + [request["count"] % 1000] if n]
            images = np.rint(255 * np.concatenate(parts)).astype(np.uint8)
            np.savez(request["out"], images=np.repeat(images[..., None], channels, 3))
            answer = {"images": request["out"]}
        except Exception as error:  # The asker is told; it ends this program.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
