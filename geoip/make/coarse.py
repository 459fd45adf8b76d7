"""Makes geoip/nearmost.mmdb from the two files of DB-IP City Lite.

    python geoip/make/coarse.py $(sh geoip/make/fetch-city dbip) geoip/nearmost.mmdb

Places become cells of one degree, apart for each country; prune.py then cuts the tree of blocks; mmdb.py writes it.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import full
import mmdb
import prune

CELL_DEGREES = 1.0
# What a node of the tree must save: weight times km. IPv4 weighs /24s; IPv6 roots of /48s.
PRICE = {32: 1800, 64: 6000}
# Blocks are not told apart below this: the server itself maps no finer IPv4, and resolvers send no longer IPv6.
GRAIN = {32: 24, 64: 48}
# A wrong country counts as this much further away: rules name countries.
WRONG_COUNTRY_KM = 300
# One network counts at most as this many in the mean point of a cell.
HEAVIEST = 256
ATTRIBUTION = "IP Geolocation by DB-IP (https://db-ip.com), CC BY 4.0"


@dataclass
class Cells:
    """One degree squares of one country, and what is at each."""

    of_place: np.ndarray  # place -> cell
    country: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    town: np.ndarray  # false: the country is all that is known

    def distance(self, a, b):
        """How wrong it is to answer with one cell for the other."""
        points = full.unit(self.lat, self.lon)
        other_country = self.country[a] != self.country[b]
        return full.km(points[a], points[b]) + WRONG_COUNTRY_KM * other_country

    def records(self) -> list[dict]:
        """What a reader gets to see, per cell."""
        return [
            {"country": {"iso_code": country}}
            | ({"location": {"latitude": lat, "longitude": lon}} if town else {})
            for country, lat, lon, town in zip(
                self.country.tolist(), self.lat.tolist(), self.lon.tolist(), self.town.tolist()
            )
        ]


def cells(places: full.Places, families: list[full.Networks]) -> Cells:
    """A cell stands at the mean of its places, each counted with the networks that are there."""
    country, lat, lon, town = places.columns()
    mass = np.zeros(len(lat))
    for networks in families:
        held = networks.place >= 0
        heavy = np.minimum(full.weights(networks)[held], HEAVIEST)
        mass += np.bincount(networks.place[held], weights=heavy, minlength=len(lat))
    names, code = np.unique(country, return_inverse=True)
    square = np.stack([code, town, np.floor(lat / CELL_DEGREES), np.floor(lon / CELL_DEGREES)]).astype(int)
    squares, of_place = np.unique(square, axis=1, return_inverse=True)
    of_place = of_place.ravel()

    def mean(column):
        total = np.bincount(of_place, weights=mass)
        return np.round(np.bincount(of_place, weights=mass * column) / total, 2)

    return Cells(of_place, names[squares[0]], mean(lat), mean(lon), squares[1] == 1)


def coarse(networks: full.Networks, to: Cells):
    """The blocks of one family: (first address, length, cell)."""
    held = networks.place >= 0
    return prune.prune(
        networks.bits,
        networks.prefix,
        networks.length,
        np.where(held, to.of_place[networks.place], prune.NONE),
        np.where(held, full.weights(networks), 0.0),
        GRAIN[networks.bits],
        PRICE[networks.bits],
        to.distance,
    )


def main(v4: str, v6: str, out: str) -> None:
    """Reads both files and writes one."""
    places = full.Places()
    families, built = zip(*(full.read(path, places) for path in (v4, v6)))
    to = cells(places, list(families))
    tree = mmdb.Tree()
    for networks in families:
        blocks = coarse(networks, to)
        print(f"{'IPv4' if networks.bits == 32 else 'IPv6'}: {len(networks.prefix)} networks -> {len(blocks[0])}", file=sys.stderr)
        tree.add(networks.bits, *blocks)
    metadata = {
        "database_type": "nearmost-City-coarse",
        "description": {"en": f"{ATTRIBUTION}; coarse: cells of {CELL_DEGREES:g} degree, made by nearmost"},
        "build_epoch": max(built),
    }
    content = mmdb.render(tree, to.records(), metadata)
    Path(out).write_bytes(content)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
