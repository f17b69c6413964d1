"""Eyes on the pages of a running stack: what was shown once must stay shown, whatever is rebuilt behind it.

What is looked at is at rest: nobody speaks about these opinions any more, so each answer must be the same as
before. Where a service's database was dropped, that service, and no other, may honestly answer nothing (503)
until it is built again. A page that is there but empty, or older, is a fault at any time.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from tests.end_to_end.ledger import Accepted
from tests.end_to_end.surface import Addresses
from tests.metrics.running import Samples, of_the_facts

PAUSE_S = 0.1
# A counter's sum of seconds is a float.
TOLERANCE = 1e-6
# A page may be 503 for one moment on a busy machine if it is right when asked again at once; more than this
# share of such moments, and the page was away.
MOMENTS = 0.01


@dataclass(frozen=True)
class Answers:
    """What the public surface answers about opinions at rest, and the reports as of that moment."""

    views: Mapping[str, Any]
    inboxes: Mapping[str, Mapping[str, Any]]
    reports: Mapping[str, Any]


class Pages:
    """The pages about `opinions`, asked as their channel and as an office that reads every inbox; reports are
    asked `as_of` a moment at which these opinions were at rest and no others were there."""

    def __init__(self, addresses: Addresses, opinions: Sequence[Accepted], as_of: datetime) -> None:
        self._addresses = addresses
        self._opinions = sorted(opinion.id for opinion in opinions)
        self._holders = sorted({opinion.holder for opinion in opinions if opinion.holder})
        day, moment = as_of.strftime("%Y-%m-%d"), as_of.isoformat()
        self._reports = {
            "day": {"date": day, "as_of": moment},
            "closure": {"from": "2020-01-01", "to": "2040-01-01", "by": "topic", "as_of": moment},
        }
        self._http = httpx.Client(timeout=60, trust_env=False)
        self.asked: Counter[str] = Counter()
        self.moments_away: Counter[str] = Counter()

    def answers(self) -> Answers:
        """Every page as it is now. Raises httpx.HTTPStatusError where one is not to be had."""
        return Answers(
            {id_: self._view(id_).raise_for_status().json() for id_ in self._opinions},
            {holder: self._lines(self._inbox(holder).raise_for_status()) for holder in self._holders},
            {name: self._report(name).raise_for_status().json() for name in self._reports},
        )

    def faults(self, expected: Answers, may_be_away: str | None) -> list[str]:
        """Where the pages now differ from `expected`. `may_be_away`: the service whose 503 is honest."""
        found = []
        for id_ in self._opinions:
            answer = self._once_more(self._view, id_, "intake", may_be_away)
            found += _compare(f"opinion {id_}", answer, expected.views[id_])
        for holder in self._holders:
            answer = self._once_more(self._inbox, holder, "notifier", may_be_away)
            wanted = expected.inboxes[holder]
            shown = self._lines(answer) if answer is not None and answer.status_code == 200 else None
            # Others' opinions come and go there.
            mine = None if shown is None else {id_: shown.get(id_) for id_ in wanted}
            if answer is not None and mine is None:
                found.append(f"inbox {holder}: {answer.status_code}")
            elif mine is not None and mine != wanted:
                found.append(f"inbox {holder}: {mine} instead of {wanted}")
        for name in self._reports:
            answer = self._once_more(self._report, name, "metrics", may_be_away)
            found += _compare(f"report {name}", answer, expected.reports[name])
        return found

    def away_too_often(self) -> list[str]:
        """Services whose pages were away for more than single moments."""
        return [
            f"{service} was away for {moments} of {self.asked[service]} requests"
            for service, moments in self.moments_away.items()
            if moments > max(1.0, self.asked[service] * MOMENTS)
        ]

    def _once_more(self, ask: Any, what: str, service: str, may_be_away: str | None) -> httpx.Response | None:
        """The answer; after a 503 the one to the same question put again. None: honestly away."""
        answer: httpx.Response = ask(what)
        self.asked[service] += 1
        if answer.status_code != 503:
            return answer
        if service == may_be_away:
            return None
        self.moments_away[service] += 1
        again: httpx.Response = ask(what)
        return again

    def _view(self, opinion: str) -> httpx.Response:
        key = {"Authorization": f"Bearer {self._addresses.submit_key}"}
        return self._http.get(f"{self._addresses.intake}/v1/opinions/{opinion}", headers=key)

    def _inbox(self, holder: str) -> httpx.Response:
        return self._http.get(
            f"{self._addresses.notifier}/v1/inbox",
            params={"deputy": holder, "limit": 500},
            headers={"Authorization": f"Bearer {self._addresses.staff_key}"},
        )

    def _report(self, name: str) -> httpx.Response:
        return self._http.get(f"{self._addresses.metrics}/v1/reports/{name}", params=self._reports[name])

    def _lines(self, answer: httpx.Response) -> dict[str, Any]:
        """The lines about the opinions that are looked at, by opinion."""
        return {item["id"]: item for item in answer.json()["items"] if item["id"] in self._opinions}


def _compare(what: str, answer: httpx.Response | None, expected: Any) -> list[str]:
    if answer is None:
        return []
    if answer.status_code != 200:
        return [f"{what}: {answer.status_code}"]
    return [] if answer.json() == expected else [f"{what}: {answer.json()} instead of {expected}"]


class Watch:
    """Asks for the pages and the counters over and over, and notes every fault; use as a context manager.

    `metrics` are the addresses that Prometheus scrapes, by process: `metrics.api` must always show the facts,
    a worker that is being started again may be away or have read nothing yet.
    """

    def __init__(
        self,
        pages: Pages,
        expected: Answers,
        metrics: Mapping[str, str],
        *,
        may_be_away: str | None = None,
    ) -> None:
        self._pages, self._expected, self._may_be_away = pages, expected, may_be_away
        self._metrics = metrics
        self._highest: dict[str, Samples] = {process: {} for process in metrics}
        self._end = threading.Event()
        self._threads = [threading.Thread(target=look, daemon=True) for look in (self._look, self._scrape)]
        self._faults: list[str] = []
        self.rounds = 0
        self.scrapes: Counter[str] = Counter()

    @property
    def faults(self) -> list[str]:
        """Everything that was wrong, and whatever was not looked at."""
        unseen = [f"{process} was never scraped" for process in self._metrics if not self.scrapes[process]]
        unseen += [] if self.rounds else ["no page was ever asked for"]
        return [*self._faults, *self._pages.away_too_often(), *unseen]

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
                self._faults += self._pages.faults(self._expected, self._may_be_away)
                self.rounds += 1
            except httpx.TransportError as error:
                self._faults.append(f"no answer: {error!r}")

    def _scrape(self) -> None:
        with httpx.Client(timeout=60, trust_env=False) as http:
            while not self._end.wait(PAUSE_S):
                for process, url in self._metrics.items():
                    self._note(process, _samples_of(http, url))

    def _note(self, process: str, shown: Samples) -> None:
        if not shown:
            if not process.endswith(".worker"):
                self._faults.append(f"{process} shows no figures")
            return
        self.scrapes[process] += 1
        counters = {key: value for key, value in shown.items() if key[0] != "lianxin_cases"}
        highest = self._highest[process]
        self._faults += [
            f"{process} {key}: fell from {before} to {counters.get(key)}"
            for key, before in highest.items()
            if counters.get(key, 0) < before - TOLERANCE
        ]
        highest |= {key: max(value, highest.get(key, 0)) for key, value in counters.items()}


def _samples_of(http: httpx.Client, url: str) -> Samples:
    """What a scrape shows of the facts; nothing where it is not answered."""
    try:
        answer = http.get(f"{url}/metrics")
    except httpx.TransportError:
        return {}
    return of_the_facts(answer.text) if answer.status_code == 200 else {}
