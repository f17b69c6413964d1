"""Pictures are fetched as WeChat documents it: one token for all, asked for again when it is stale."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from lianxin_intake.wechat.accounts import WechatAccount
from lianxin_intake.wechat.pictures import MAX_BYTES, Pictures, Unfetched
from tests.support.wechat_server import WechatServer, serving

ACCOUNTS = {
    "wechat": WechatAccount(token="token", app_id="wx1", app_secret="secret"),
    "open": WechatAccount(token="token", app_id="wx2"),
}


@pytest.fixture
def server() -> WechatServer:
    one = WechatServer()
    one.secrets["wx1"] = "secret"
    one.media["m1"] = one.media["/picture"] = b"\xff\xd8 a picture"
    return one


@pytest.fixture
def url(server: WechatServer) -> Iterator[str]:
    with serving(server) as address:
        yield address


@pytest.fixture
async def pictures(url: str) -> AsyncIterator[Pictures]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield Pictures(client, url, ACCOUNTS, ("127.0.0.1",))


async def test_one_token_serves_until_it_is_stale(server: WechatServer, pictures: Pictures) -> None:
    assert await pictures.fetch("wechat", "m1", "") == server.media["m1"]
    await pictures.fetch("wechat", "m1", "")
    assert server.tokens_asked == 1
    server.expire()
    assert await pictures.fetch("wechat", "m1", "") == server.media["m1"]
    assert server.tokens_asked == 2


async def test_a_token_in_its_last_five_minutes_is_not_kept(server: WechatServer, pictures: Pictures) -> None:
    server.expires_in = 300
    await pictures.fetch("wechat", "m1", "")
    await pictures.fetch("wechat", "m1", "")
    assert server.tokens_asked == 2


async def test_what_wechat_does_not_give_is_told(server: WechatServer, pictures: Pictures) -> None:
    with pytest.raises(Unfetched, match="40007"):
        await pictures.fetch("wechat", "gone", "")
    server.media["large"] = b"x" * (MAX_BYTES + 1)
    with pytest.raises(Unfetched, match="too large"):
        await pictures.fetch("wechat", "large", "")
    server.expire()
    server.secrets["wx1"] = "changed"
    with pytest.raises(Unfetched, match="no token, errcode 40125"):
        await pictures.fetch("wechat", "m1", "")


async def test_without_a_secret_the_picture_is_read_where_it_lies_and_nowhere_else(
    server: WechatServer, pictures: Pictures, url: str
) -> None:
    assert await pictures.fetch("open", "m1", f"{url}/picture") == server.media["/picture"]
    for other in (
        "http://localhost/picture",
        "http://127.0.0.1.example.org/x",
        "file:///etc/passwd",
        "http://[",
    ):
        with pytest.raises(Unfetched, match="not WeChat's"):
            await pictures.fetch("open", "m1", other)
    with pytest.raises(Unfetched, match="no picture"):
        await pictures.fetch("open", "m1", f"{url}/other")
    with pytest.raises(Unfetched):
        await pictures.fetch("open", "m1", "http://127.0.0.1:1/closed")
