"""The registry's rule terms in one automaton: every topic's words counted in one pass over the text."""

from collections import defaultdict
from collections.abc import Mapping

import ahocorasick

from lianxin_contracts.registry import Topic

# A title names the matter; the text tells the story around it.
TITLE_COUNTS = 3


class TopicTerms:
    """Which topics a text's words speak for."""

    def __init__(self, topics: Mapping[str, Topic]) -> None:
        weights: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for topic in topics.values():
            for word, weight in topic.words.items():
                weights[word].append((topic.id, weight))
        self._automaton = ahocorasick.Automaton()
        for word, found in weights.items():
            self._automaton.add_word(word, (word, tuple(found)))
        self._empty = not weights
        if not self._empty:
            self._automaton.make_automaton()

    def counted(self, title: str, text: str) -> dict[str, tuple[int, tuple[tuple[str, float], ...]]]:
        """For each term found: how often (in the title: `TITLE_COUNTS` each), and its (topic, weight) pairs.
        Of terms that overlap the longest counts: 教师工资 is about teachers, not about wages."""
        counts: dict[str, tuple[int, tuple[tuple[str, float], ...]]] = {}
        if self._empty:
            return counts
        for part, each in ((title, TITLE_COUNTS), (text, 1)):
            if part:
                for _, (word, topics) in self._automaton.iter_long(part):
                    counts[word] = (counts[word][0] + each if word in counts else each, topics)
        return counts
