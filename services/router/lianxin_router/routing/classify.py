"""What an opinion is about: the resident's own choice, else the registry's rule terms; how sure that is.

Rules that work before any data exists: each term found in title or text speaks for its topic with its weight.
A topic's strength includes that of the topics below it. Confidence says how far the strongest first-level
topic is ahead, given how much evidence there is at all.
"""

from dataclasses import dataclass
from math import exp, log1p
from typing import Literal

from lianxin_contracts.lifecycle import ClassifiedAs, Reason, TopicScore
from lianxin_router.domain.ports import Clues
from lianxin_router.routing.city import CityIndex

# Below this a person decides. Of messages to a city government that the terms were not chosen by, 93% were at
# or above it, and 86% of those were right (docs/registry.md).
CERTAIN_ENOUGH = 0.5
CHOSEN = 0.95
CHOSEN_AGAINST_TEXT = 0.7
TEXT_IS_SURE = 0.9
# A weight of 4 names the topic, 1 hints: the steps between them are wider than the numbers.
STEEPNESS = 1.5
# A long letter touches on more topics; evidence is counted against this length's square root, characters.
USUAL_LENGTH = 200
# Of the softmax over strengths: with this one, stated and actual shares of right answers differ by 5 points.
SHARPNESS = 0.2
# The strength of "none of these": one term that only points somewhere is not enough to be certain.
BACKGROUND = 2.0
# A second-level topic is named when it has this share of what its first level has.
SECOND_LEVEL_SHARE = 0.4
MOST_CANDIDATES = 5
MOST_TERMS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Classified:
    """A topic's code, or None where nothing speaks for any; `candidates` best first, first-level."""

    topic: str | None
    by: Literal["choice", "rules", "model", "staff", "none"]
    confidence: float
    candidates: tuple[TopicScore, ...] = ()
    evidence: tuple[Reason, ...] = ()

    @property
    def certain(self) -> bool:
        """Whether it may be acted on without a person."""
        return self.topic is not None and self.confidence >= CERTAIN_ENOUGH

    def recorded(self) -> ClassifiedAs:
        """As the lifecycle keeps it."""
        return ClassifiedAs(self.topic, self.by, round(self.confidence, 3), self.candidates, self.evidence)


def classify(clues: Clues, city: CityIndex) -> Classified:
    """Find the topic of an opinion. Never raises; a chosen code that the city doesn't know is left out."""
    by_rules = classify_by_rules(clues.title or "", clues.text, city)
    if clues.topic is None:
        return by_rules
    if clues.topic not in city.lines:
        evidence = (*by_rules.evidence, Reason("chosen_topic_unknown"))
        return Classified(by_rules.topic, by_rules.by, by_rules.confidence, by_rules.candidates, evidence)
    return _chosen(clues.topic, by_rules, city)


def _chosen(topic: str, by_rules: Classified, city: CityIndex) -> Classified:
    """The resident knows best; the text may make a first-level choice finer, and dissent is noted."""
    evidence = [Reason("chosen", {"topic": topic})]
    said = by_rules.topic
    confidence = CHOSEN
    if said is not None and said != topic and topic in city.lines[said]:
        evidence.append(Reason("made_finer_by_text", {"topic": said}))
        topic = said
    elif said is not None and city.lines[said][-1] != city.lines[topic][-1]:
        if by_rules.confidence >= TEXT_IS_SURE:
            confidence = CHOSEN_AGAINST_TEXT
        evidence.append(Reason("text_suggests", {"topic": said}))
    return Classified(topic, "choice", confidence, by_rules.candidates, tuple(evidence))


def classify_by_rules(title: str, text: str, city: CityIndex) -> Classified:
    """The topic that the rule terms in `title` and `text` speak for."""
    found = city.terms.counted(title, text)
    if not found:
        return Classified(None, "none", 0.0, evidence=(Reason("no_known_words"),))
    own: dict[str, float] = {}
    for count, topics in found.values():
        for topic, weight in topics:
            own[topic] = own.get(topic, 0.0) + weight**STEEPNESS * log1p(count)
    first: dict[str, float] = {}
    for topic, strength in own.items():
        top = city.lines[topic][-1]
        first[top] = first.get(top, 0.0) + strength
    scores = _probabilities(first, len(title) + len(text))
    best = scores[0]
    topic = _finer(best.topic, own, first, city)
    terms = Reason("words", {"count": str(len(found)), "strength": f"{first[best.topic]:.0f}"})
    return Classified(topic, "rules", best.score, tuple(scores[:MOST_CANDIDATES]), (terms,))


def _probabilities(strengths: dict[str, float], length: int) -> list[TopicScore]:
    """Strengths as probabilities, the highest first: a softmax in which "none of these" takes part, so that
    little evidence never looks like certainty."""
    damped = SHARPNESS / max(length / USUAL_LENGTH, 1.0) ** 0.5
    weights = {topic: exp(min(strength * damped, 700.0)) for topic, strength in strengths.items()}
    total = sum(weights.values()) + exp(BACKGROUND * damped)
    ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    return [TopicScore(topic, round(weight / total, 4)) for topic, weight in ranked]


def _finer(top: str, own: dict[str, float], first: dict[str, float], city: CityIndex) -> str:
    """The second-level topic under `top`, where one has a clear share of its strength."""
    below = [
        (strength, topic) for topic, strength in own.items() if topic != top and city.lines[topic][-1] == top
    ]
    if not below:
        return top
    strength, topic = max(below)
    return topic if strength >= SECOND_LEVEL_SHARE * first[top] else top
