"""Eyes on the pages of a running stack: what was shown once must stay shown, whatever is rebuilt behind it.

What is looked at is at rest: nobody speaks about these opinions any more, so each answer must be the same as
before, or honestly none (503). A page that is there but empty, or older, is a fault.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.end_to_end.ledger import Accepted
from tests.end_to_end.surface import Addresses
from tests.metrics.running import Samples, of_the_facts

PAUSE_S = 0.1
# A counter's sum of seconds is a float.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Answers:
    """What the public surface answers about opinions at rest."""

    views: Mapping[str, Any]
    inboxes: Mapping[str, Mapping[str, Any]]


class Pages:
    """The pages about `opinions`, asked as their channel and as an office that reads every inbox."""

    def __init__(self, addresses: Addresses, opinions: Sequence[Accepted]) -> None:
        self._addresses = addresses
        self._opinions = sorted(opinion.id for opinion in opinions)
        self._holders = sorted({opinion.holder for opinion in opinions if opinion.holder})
        self._http = httpx.Client(timeout=30, trust_env=False)

    def answers(self) -> Answers:
        """Every page as it is now. Raises httpx.HTTPStatusError where one is not to be had."""
        return Answers(
            {id_: self._view(id_).raise_for_status().json() for id_ in self._opinions},
            {holder: self._lines(self._inbox(holder).raise_for_status()) for holder in self._holders},
        )

    def faults(self, expected: Answers, nothing_allowed: bool) -> list[str]:
        """Where the pages now differ from `expected`. `nothing_allowed`: 503 is an honest answer."""
        found = []
        for id_ in self._opinions:
            found += _compare(f"opinion {id_}", self._view(id_), expected.views[id_], nothing_allowed)
        for holder in self._holders:
            answer = self._inbox(holder)
            wanted = expected.inboxes[holder]
            shown = self._lines(answer) if answer.status_code == 200 else None
            # Others' opinions come and go there.
            mine = None if shown is None else {id_: shown.get(id_) for id_ in wanted}
            if mine is None and not (nothing_allowed and answer.status_code == 503):
                found.append(f"inbox {holder}: {answer.status_code}")
            elif mine is not None and mine != wanted:
                found.append(f"inbox {holder}: {mine} instead of {wanted}")
        return found

    def _view(self, opinion: str) -> httpx.Response:
        key = {"Authorization": f"Bearer {self._addresses.submit_key}"}
        return self._http.get(f"{self._addresses.intake}/v1/opinions/{opinion}", headers=key)

    def _inbox(self, holder: str) -> httpx.Response:
        return self._http.get(
            f"{self._addresses.notifier}/v1/inbox",
            params={"deputy": holder, "limit": 500},
            headers={"Authorization": f"Bearer {self._addresses.staff_key}"},
        )

    def _lines(self, answer: httpx.Response) -> dict[str, Any]:
        """The lines about the opinions that are looked at, by opinion."""
        return {item["id"]: item for item in answer.json()["items"] if item["id"] in self._opinions}


def _compare(what: str, answer: httpx.Response, expected: Any, nothing_allowed: bool) -> list[str]:
    if answer.status_code == 503 and nothing_allowed:
        return []
    if answer.status_code != 200:
        return [f"{what}: {answer.status_code}"]
    return [] if answer.json() == expected else [f"{what}: {answer.json()} instead of {expected}"]


class Watch:
    """Asks for the pages and the counters over and over, and notes every fault; use as a context manager."""

    def __init__(
        self, pages: Pages, expected: Answers, metrics: Sequence[str], *, nothing_allowed: bool = False
    ) -> None:
        self._pages, self._expected, self._nothing_allowed = pages, expected, nothing_allowed
        self._metrics = metrics
        self._highest: dict[str, Samples] = {url: {} for url in metrics}
        self._end = threading.Event()
        self._threads = [threading.Thread(target=look, daemon=True) for look in (self._look, self._scrape)]
        self.faults: list[str] = []
        self.rounds = 0

    def __enter__(self) -> "Watch":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _look(self) -> None:
        while not self._end.wait(PAUSE_S):
            try:
                self.faults += self._pages.faults(self._expected, self._nothing_allowed)
            except httpx.TransportError as error:
                self.faults.append(f"no answer: {error!r}")
            self.rounds += 1

    def _scrape(self) -> None:
        with httpx.Client(timeout=10, trust_env=False) as http:
            while not self._end.wait(PAUSE_S):
                for url in self._metrics:
                    try:
                        answer = http.get(f"{url}/metrics")
                    except httpx.TransportError:
                        continue  # a worker that is being started again shows nothing
                    self._note(url, of_the_facts(answer.text))

    def _note(self, url: str, shown: Samples) -> None:
        if not shown:
            return
        counters = {key: value for key, value in shown.items() if key[0] != "lianxin_cases"}
        highest = self._highest[url]
        self.faults += [
            f"{url} {key}: fell from {before} to {counters.get(key)}"
            for key, before in highest.items()
            if counters.get(key, 0) < before - TOLERANCE
        ]
        highest |= {key: max(value, highest.get(key, 0)) for key, value in counters.items()}
