"""Says how often geoip/nearmost.mmdb picks the same nearest node as a full City database, and how much further its pick is.

    python geoip/make/compare.py $(sh geoip/make/fetch-city dbip) geoip/nearmost.mmdb
    python geoip/make/compare.py $(sh geoip/make/fetch-city dbip) geoip/nearmost.mmdb $(sh geoip/make/fetch-city)

With a fourth file, GeoLite2-City, that one is the truth where it knows a town and claims 200 km or better, and both others
are held against it. IPv4: one address by chance in each 16 /24s. IPv6: 400,000 networks of the truth by chance, no longer
than /64, and one address in each; this asks for small networks more often than clients would.
"""

import ipaddress
import random
import sys
from pathlib import Path

import maxminddb
import numpy as np

import full

SEED = 20260605
IPV4_STEP = 16 * 256
IPV6_SAMPLES = 400_000
CERTAIN_KM = 200
TWELVE = [
    (50.11, 8.68), (51.51, -0.13), (59.33, 18.07), (40.71, -74.01), (32.78, -96.80), (37.34, -121.89),
    (-23.55, -46.63), (-26.20, 28.05), (19.08, 72.88), (1.35, 103.82), (35.68, 139.69), (-33.87, 151.21),
]  # fmt: skip


class Database:
    """One database, or the two files of one: address -> point."""

    def __init__(self, name: str, *paths: str) -> None:
        self.name = name
        self.readers = [maxminddb.open_database(path, maxminddb.MODE_MMAP_EXT) for path in paths]

    def reader(self, version: int):
        """The file that knows a family: the one file for both, or one for each."""
        return self.readers[-1 if version == 6 else 0]

    def points(self, addresses) -> np.ndarray:
        """Latitude and longitude of each address; NaN where there is none."""
        get = self.reader(addresses[0].version).get
        return np.array([point(get(address)) for address in addresses])

    def networks(self):
        """All IPv6 networks that have a point and could be a client's."""
        for network, record in self.reader(6):
            if network.version == 6 and full.UNHELD_WIDER_THAN <= network.prefixlen <= 64 and not unheld(record):
                if point(record) != NOWHERE:
                    yield int(network.network_address), network.prefixlen


NOWHERE = (np.nan, np.nan)


def point(record) -> tuple:
    """The point of a record in MaxMind's schema or the flat one; NOWHERE for one that is not certain."""
    if record is None or unheld(record):
        return NOWHERE
    if "latitude" in record:
        return (record["latitude"], record["longitude"]) if record["city"] else NOWHERE
    location = record.get("location", {})
    vague = "accuracy_radius" in location and ("city" not in record or location["accuracy_radius"] > CERTAIN_KM)
    return NOWHERE if vague or "latitude" not in location else (location["latitude"], location["longitude"])


def unheld(record) -> bool:
    """Whether a record of the flat schema fills IPv6 space that nobody holds."""
    return (record.get("country_code"), record.get("city")) == full.UNHELD_TOWN


def ipv4(chance: random.Random, _truth: Database):
    """One address in every 16 /24s below multicast."""
    for start in range(0, 0xE0000000, IPV4_STEP):
        yield ipaddress.IPv4Address(start + chance.randrange(IPV4_STEP))


def ipv6(chance: random.Random, truth: Database):
    """One address in each of some networks of the truth."""
    for start, length in chance.sample(list(truth.networks()), IPV6_SAMPLES):
        yield ipaddress.IPv6Address(start + chance.randrange(1 << (128 - length)))


def ranked_cities(count: int, spacing_km: float) -> np.ndarray:
    """The biggest cities of the world that are at least so far apart, as points of the unit sphere."""
    lines = (Path(__file__).parent.parent / "cities.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    rows.sort(key=lambda row: -int(row[4]))
    chosen = []
    for row in rows:
        here = full.unit(float(row[2]), float(row[3]))
        if all(full.km(here, other) >= spacing_km for other in chosen):
            chosen.append(here)
        if len(chosen) == count:
            break
    return np.array(chosen)


def compare(truth, guess, nodes) -> tuple[float, float]:
    """The share of equal picks in percent, and the mean km by which the guess's pick is further from the truth."""
    right, picked = nearest(truth, nodes), nearest(guess, nodes)
    extra = full.km(truth, nodes[picked]) - full.km(truth, nodes[right])
    return 100 * (right == picked).mean(), extra.mean()


def nearest(points, nodes):
    """The index of the nearest node of each point, some points at a time to bound the memory."""
    parts = np.array_split(points, max(1, len(points) // 50_000))
    return np.concatenate([(part @ nodes.T).argmax(axis=1) for part in parts])


def main(v4: str, v6: str, small: str, geolite2: str | None = None) -> None:
    """Prints a line per family and subject."""
    nodes = [full.unit(*np.array(TWELVE).T), ranked_cities(50, 900), ranked_cities(200, 300)]
    subjects = [Database("nearmost", small)]
    truth = Database("DB-IP", v4, v6)
    if geolite2:
        subjects.append(truth)
        truth = Database("GeoLite2", geolite2)
    print("truth      subject    family  samples  located  same node of 12 / 50 / 200     mean extra km")
    for family in (ipv4, ipv6):
        addresses = list(family(random.Random(SEED), truth))
        right = truth.points(addresses)
        known = ~np.isnan(right[:, 0])
        for subject in subjects:
            guess = subject.points(addresses)
            both = known & ~np.isnan(guess[:, 0])
            results = [compare(full.unit(*right[both].T), full.unit(*guess[both].T), some) for some in nodes]
            same = " / ".join(f"{share:.1f} %" for share, _ in results)
            extra = " / ".join(f"{km:.0f}" for _, km in results)
            located = f"{100 * both.sum() / known.sum():.2f} %"
            print(
                f"{truth.name:10} {subject.name:10} {family.__name__}  {known.sum():9,}  {located:>8}"
                f"  {same:26}  {extra}",
                flush=True,
            )


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
