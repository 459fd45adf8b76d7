#!/usr/bin/env python3
"""Makes land.path and borders.path, the outlines of the dashboard's map, from Natural Earth.

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz && ./land.py package

Both are the `d` of an SVG path in a view of 1000 by 435: Equal Earth, from 84 degrees north to 57 south, so without Antarctica.
`project` here and in map.js are the same.
"""

import json
import math
import pathlib
import sys

NORTH, SOUTH, WIDTH = 84.0, -57.0, 1000.0
# Equal Earth (Savric, Patterson and Jenny 2018): the four numbers of its polynomial.
A = (1.340264, -0.081106, 0.000893, 0.003796)


def plane(lon, lat):
    t = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(lat)))
    slope = A[0] + 3 * A[1] * t**2 + 7 * A[2] * t**6 + 9 * A[3] * t**8
    x = 2 * math.sqrt(3) * math.radians(lon) * math.cos(t) / (3 * slope)
    return x, A[0] * t + A[1] * t**3 + A[2] * t**7 + A[3] * t**9


SCALE = WIDTH / 2 / plane(180, 0)[0]
TOP = plane(0, NORTH)[1]


def project(lon, lat):
    x, y = plane(lon, lat)
    return WIDTH / 2 + x * SCALE, (TOP - y) * SCALE


def arcs(topology):
    (kx, ky), (x0, y0) = (topology["transform"][k] for k in ("scale", "translate"))
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            points.append((x * kx + x0, y * ky + y0))
        yield points


def ring(lines, numbers):
    points = []
    for n in numbers:
        line = lines[n] if n >= 0 else lines[~n][::-1]
        points += line if not points else line[1:]
    return points


def wraps(points):
    """Whether a step goes around the world, as those of a sliver of Fiji do."""
    return any(abs(a[0] - b[0]) > 180 for a, b in zip(points, points[1:]))


def polygons(geometry):
    kind = geometry["type"]
    if kind == "GeometryCollection":
        return [p for part in geometry["geometries"] for p in polygons(part)]
    return geometry["arcs"] if kind == "MultiPolygon" else [geometry["arcs"]]


def draw(points, closed):
    """Steps in tenths; what does not move is left out."""
    tenths = [tuple(round(10 * c) for c in project(*p)) for p in points]
    out, (x, y) = [], tenths[0]
    for nx, ny in tenths[1:]:
        if (nx, ny) != (x, y):
            out.append(f"{number(nx - x)} {number(ny - y)}")
            x, y = nx, ny
    if not out:
        return ""
    start = "M" + " ".join(number(c) for c in tenths[0])
    return (start + "l" + " ".join(out) + ("z" if closed else "")).replace(" -", "-")


def number(tenths):
    text = f"{tenths / 10:g}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def main(folder):
    here = pathlib.Path(__file__).parent
    land = json.loads((folder / "land-110m.json").read_text())
    lines = list(arcs(land))
    rings = [ring(lines, r) for p in polygons(land["objects"]["land"]) for r in p]
    rings = [r for r in rings if max(lat for _, lat in r) > SOUTH and not wraps(r)]
    (here / "land.path").write_text("".join(draw(r, True) for r in rings))

    countries = json.loads((folder / "countries-110m.json").read_text())
    lines, uses = list(arcs(countries)), {}
    for country in countries["objects"]["countries"]["geometries"]:
        for numbers in (r for p in polygons(country) for r in p):
            for n in numbers:
                n = n if n >= 0 else ~n
                uses[n] = uses.get(n, 0) + 1
    shared = [lines[n] for n, count in sorted(uses.items()) if count > 1 and not wraps(lines[n])]
    (here / "borders.path").write_text("".join(draw(line, False) for line in shared))
    print(f"view 1000 x {project(0, SOUTH)[1]:.1f}")


main(pathlib.Path(sys.argv[1]))
