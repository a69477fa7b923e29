"""Points on the globe: where they are recognised, and that closeness on the globe is likeness."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbat import Encoder
from mbat.anchors import sine

PARIS, VERSAILLES, LYON, SYDNEY = (48.857, 2.352), (48.805, 2.12), (45.76, 4.836), (-33.87, 151.21)


def places(document: Any) -> list[list[float]]:
    """Return the points that are found in a document, latitude first."""
    points = Encoder(dim=16)._ready().prepare([{"before": [1, {"lat": 1}]}, document]).points
    degrees = points.degrees.reshape(-1, 2)
    return degrees[~np.isnan(degrees[:, 0])].tolist()


def score(a: Any, b: Any, dim: int = 4096) -> float:
    one, other = Encoder(dim=dim).encode([a, b])
    return float(one @ other)


def at(point: tuple[float, float]) -> dict[str, Any]:
    return {"at": {"lat": point[0], "lon": point[1]}}


def walked(start: tuple[float, float], km: float, turn: float) -> tuple[float, float]:
    """Return the end of a great circle's arc from a place, in a direction counted from north to east."""
    lat, lon, arc, turn = (math.radians(angle) for angle in (*start, math.degrees(km / 6371.0), turn))
    sine_lat = math.sin(lat) * math.cos(arc) + math.cos(lat) * math.sin(arc) * math.cos(turn)
    east = math.sin(turn) * math.sin(arc) * math.cos(lat)
    north = math.cos(arc) - math.sin(lat) * sine_lat
    return math.degrees(math.asin(sine_lat)), (math.degrees(lon + math.atan2(east, north)) + 540.0) % 360.0 - 180.0


@pytest.mark.parametrize(
    "document",
    [
        {"lat": 1.5, "lon": -2},
        {"lng": -2, "name": "x", "lat": 1.5},
        {"Latitude": 1.5, "LONGITUDE": -2},
        {"a": [{"b": {"lat": 1.5, "x": [1, 2], "long": -2}}]},
        {"type": "Point", "coordinates": [-2, 1.5]},
        {"geometry": {"coordinates": [-2, 1.5, 30.0], "type": "Point"}, "type": "Feature"},
    ],
)
def test_a_point_is_found_by_its_keys_or_as_geojson(document: Any) -> None:
    assert places(document) == [[1.5, -2.0]]


@pytest.mark.parametrize(
    "document",
    [
        {"lat": 1.5},
        {"lat": "1.5", "lon": 2},
        {"lat": 90.5, "lon": 2},
        {"lat": 1.5, "lon": 361},
        {"lat": {"deg": 1}, "lon": 2},
        {"lat": 1.5, "a": {"lon": 2}},
        {"type": "LineString", "coordinates": [1, 2]},
        {"type": "Point", "coordinates": [1]},
        {"type": "Point", "coordinates": ["1", 2]},
        {"type": 5, "coordinates": [1, 2]},
        {"coordinates": [1, 2]},
        {"latin": 1.5, "lon": 2},
    ],
)
def test_what_is_no_point_is_left_as_it_is(document: Any) -> None:
    assert places(document) == []


def test_many_points_of_one_document_are_each_paired_with_their_own_longitude() -> None:
    stops = [{"lat": 1, "lon": 10}, {"lon": 20}, {"lat": 3}, {"lon": 40, "lat": 4}, {"lat": 5, "lon": None}]
    document = {"lat": 0, "stops": stops, "lon": 50}
    assert places(document) == [[0, 50], [1, 10], [4, 40]]


def test_the_nearer_on_the_globe_the_more_alike() -> None:
    scores = [score(at(PARIS), at(place)) for place in (PARIS, (48.86, 2.355), VERSAILLES, LYON, SYDNEY)]
    assert scores == sorted(scores, reverse=True)
    assert scores[1] > 0.95
    assert abs(scores[-1]) < 0.1


@pytest.mark.parametrize(("near", "far"), [(2, 6), (10, 30), (100, 300), (1000, 3000)])
def test_likeness_falls_with_distance_alike_everywhere_and_in_every_direction(near: float, far: float) -> None:
    rng = np.random.default_rng(0)
    starts = [(lat, lon) for lat, lon in rng.uniform((-85, -180), (85, 180), (60, 2)).tolist()]
    encoder = Encoder(dim=65536)  # where hardly any anchors share an entry by chance
    rows = encoder.encode([at(place) for place in starts])

    def scores(km: float) -> Any:
        ends = [at(walked(place, km, float(turn))) for place, turn in zip(starts, rng.uniform(0, 360, 60), strict=True)]
        return (rows * encoder.encode(ends)).sum(axis=1)

    close, distant = scores(near), scores(far)
    assert close.min() > distant.max()
    assert close.std() < 0.02


@pytest.mark.parametrize(
    ("a", "b"),
    [((10.0, 179.99), (10.0, -179.99)), ((89.99, 0.0), (89.99, 180.0)), ((10.0, -75.0), (10.0, 285.0))],
)
def test_the_globe_has_no_edges(a: tuple[float, float], b: tuple[float, float]) -> None:
    assert score(at(a), at(b)) > 0.7


def test_a_shared_latitude_alone_is_no_likeness() -> None:
    assert abs(score(at((48.857, 2.352)), at((48.857, -122.3)))) < 0.1


def test_numbers_that_are_symbols_make_no_point() -> None:
    a, b = Encoder(dim=4096, numbers="symbol").encode([at(PARIS), at((48.8571, 2.3521))])
    presence_alone = float(a @ b)
    assert presence_alone < 0.4


@given(st.floats(-360, 720))
def test_the_sine_is_right_to_the_last_digits(degrees: float) -> None:
    assert sine(degrees) == pytest.approx(math.sin(math.radians(degrees)), abs=3e-15)


def test_points_under_keys_that_are_data_are_found_among_each_other() -> None:
    document = {f"city {i}": {"lat": i % 90, "lon": -i % 180} for i in range(2000)}
    assert places(document) == [[i % 90, -i % 180] for i in range(2000)]


@pytest.mark.parametrize("document", [{"type": ""}, {"type": "Poin"}, {"type": "point", "coordinates": []}])
def test_a_type_alone_after_a_point_was_met_is_no_point(document: Any) -> None:
    encoder = Encoder(dim=16)
    encoder.encode_one({"type": "Point", "coordinates": [1, 2]})
    assert encoder.encode_one(document).tobytes() == Encoder(dim=16).encode_one(document).tobytes()


def test_an_object_with_two_names_of_a_latitude_is_one_point() -> None:
    assert len(places({"lat": 1, "latitude": 1, "lon": 2})) == 1
