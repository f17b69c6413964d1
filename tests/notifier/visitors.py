"""People who are signed in to the workbench, as a browser without scripts would be."""

import re
from urllib.parse import urlsplit

import httpx

from tests.notifier.running import Running
from tests.notifier.small_city import ADMIN


def link_for(api: Running, person: str) -> str:
    """A link that signs `person` in, handed out by an administrator's key."""
    answer = api.http.post(
        "/v1/signins", params={"person": person}, headers={"Authorization": f"Bearer {ADMIN}"}
    )
    assert answer.status_code == 201, answer.text
    link = answer.json()["link"]
    assert isinstance(link, str)
    return link


class Visitor:
    """Somebody with a cookie jar; `http` sends what a browser's page would send."""

    def __init__(self, api: Running) -> None:
        self.http = httpx.Client(base_url=api.url, timeout=30)

    def open(self, link: str) -> httpx.Response:
        """Open a link and press its button."""
        path = urlsplit(link).path
        assert self.http.get(path).status_code == 200
        return self.http.post(path, data={"to": "/inbox"})

    def fields(self, page: str, action: str) -> dict[str, str]:
        """The hidden fields of the form for `action` on a case's page."""
        forms = re.findall(r'<form method="post".*?</form>', page, re.DOTALL)
        (form,) = [one for one in forms if f'name="action" value="{action}"' in one]
        return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


def signed_in(api: Running, person: str) -> Visitor:
    """`person`, signed in."""
    visitor = Visitor(api)
    answer = visitor.open(link_for(api, person))
    assert (answer.status_code, answer.headers["location"]) == (303, "/inbox"), answer.text
    return visitor
