"""What there is to ask for: the endpoint, the registry's topics as services, the attributes of a service."""

from typing import Any

from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import Snapshot, Topic
from lianxin_intake.sentences import Language

# When this interface last changed: what `changeset` says, which a client compares with what it knows.
CHANGESET = "2026-11-25T00:00:00Z"
SPECIFICATION = "http://wiki.open311.org/GeoReport_v2"
MOST_KEYWORDS = 10

# (code, datatype, Chinese and English description, what to put in, the values of a list)
_ATTRIBUTES: tuple[tuple[str, str, str, str, tuple[tuple[str, str], ...]], ...] = (
    ("title", "string", "标题 Title", "At most 200 characters.", ()),
    ("station", "string", "代表联络站 Deputies' station", "An id from GET /v1/stations.", ()),
    ("grid", "string", "网格编码 Grid code", "15 digits; address_id means the same.", ()),
    (
        "crs",
        "singlevaluelist",
        "坐标系 Coordinate system of lat and long",
        "wgs84 if left out.",
        (("wgs84", "WGS-84"), ("gcj02", "GCJ-02"), ("bd09", "BD-09")),
    ),
    ("language", "string", "语言 Language of the description", "A tag such as zh or en.", ()),
    (
        "external_id",
        "string",
        "来源系统编号 Your own id of the request",
        "Sent again under the same id it is counted once.",
        (),
    ),
    (
        "occurred_at",
        "datetime",
        "发生时间 When it was said",
        "For keys with the scope backdate; a W3C date and time with its zone.",
        (),
    ),
)
ATTRIBUTE_CODES = tuple(code for code, *_ in _ATTRIBUTES)


def discovery(city: Snapshot, public_url: str) -> dict[str, Any]:
    """Where the API is. One endpoint: a test city is an installation of its own."""
    return {
        "changeset": CHANGESET,
        "contact": f"{city.city.name}: {public_url}",
        "key_service": "The operator gives out keys of the scope submit: lianxin keys create",
        "endpoints": [
            {
                "specification": SPECIFICATION,
                "url": f"{public_url}/open311/v2",
                "changeset": CHANGESET,
                "type": "production",
                "formats": ["text/xml", "application/json"],
            }
        ],
    }


def require_jurisdiction(city: Snapshot, jurisdiction: str | None) -> None:
    """Raises 404 for another city's id. There is one jurisdiction, so it may be left out or empty."""
    if jurisdiction and jurisdiction != city.city.id:
        raise ProblemError(
            404,
            "unknown_jurisdiction",
            "The jurisdiction_id was not found",
            f"This is {city.city.id!r}; it may be left out.",
        )


def services(city: Snapshot, language: Language) -> list[dict[str, Any]]:
    """Every topic, by code, as a service."""
    return [
        {
            "service_code": topic.id,
            "service_name": name_of(topic, language),
            "description": f"{topic.name} {topic.name_en}",
            "metadata": True,
            "type": "realtime",
            "keywords": ",".join(_keywords(topic)),
            "group": name_of(first_level(city, topic), language),
        }
        for _, topic in sorted(city.topics.items())
    ]


def service_definition(city: Snapshot, code: str) -> dict[str, Any]:
    """The attributes of one service: all have the same, and none is required. Raises 404."""
    topic = require_service(city, code)
    return {
        "service_code": topic.id,
        "attributes": [
            {
                "variable": True,
                "code": attribute,
                "datatype": datatype,
                "required": False,
                "datatype_description": how,
                "order": order,
                "description": what,
                "values": [{"key": key, "name": name} for key, name in values],
            }
            for order, (attribute, datatype, what, how, values) in enumerate(_ATTRIBUTES, 1)
        ],
    }


def require_service(city: Snapshot, code: str) -> Topic:
    """The topic that a service_code names. Raises 404."""
    topic = city.topics.get(code)
    if topic is None:
        raise ProblemError(
            404, "unknown_service", "The service_code was not found", "See GET /open311/v2/services.xml."
        )
    return topic


def first_level(city: Snapshot, topic: Topic) -> Topic:
    """The topic of the first level above `topic`, or itself."""
    seen = {topic.id}
    while topic.parent is not None and topic.parent not in seen and topic.parent in city.topics:
        topic = city.topics[topic.parent]
        seen.add(topic.id)
    return topic


def name_of(topic: Topic, language: Language) -> str:
    """The topic's name, as a reader of `language` knows it."""
    return topic.name_en if language == "en" and topic.name_en else topic.name


def _keywords(topic: Topic) -> list[str]:
    """The weightiest of the words by which a topic is recognised."""
    return sorted(topic.words, key=lambda word: (-topic.words[word], word))[:MOST_KEYWORDS]
