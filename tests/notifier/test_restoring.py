"""Reading back what was sent: whatever goes wrong meanwhile, no record of it is passed over."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from lianxin_contracts import ids
from lianxin_contracts.deliveries import Delivery
from lianxin_notifier.alerts import delivery_record
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.settings import NotifierSettings
from lianxin_notifier.worker import rebuild
from tests.notifier.lifecycles import now
from tests.notifier.running import Running
from tests.notifier.topics import write
from tests.support.brokers import Broker
from tests.support.databases import Database

NAME = "notifier_restoring"
# As often as a consumer tries a batch and each of its records before it puts one aside, and once more.
TRIES = 4


def sent() -> Delivery:
    alert = ids.fresh()
    return Delivery(
        alert=alert,
        cause=ids.fresh(),
        opinion=ids.fresh(),
        receiver="M1",
        channel="mail",
        status="sent",
        attempt=1,
    )


def test_a_record_that_can_not_be_restored_at_once_is_tried_again_and_not_put_aside(
    city_broker: Broker, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, other = sent(), sent()
    write(city_broker.bootstrap, [delivery_record(each, now()) for each in (one, other)])
    restore, refused = DeliveryStore.restore, []

    async def refusing(self: DeliveryStore, records: object, end_at: object) -> None:
        if len(refused) < TRIES and any(delivery.alert == one.alert for delivery, _ in records):  # type: ignore[attr-defined]
            refused.append(one.alert)
            raise ValueError("a fault of ours")
        await restore(self, records, end_at)  # type: ignore[arg-type]

    monkeypatch.setattr(DeliveryStore, "restore", refusing)
    for name, value in Running("worker", tmp_path, city_broker, database.url, NAME).env.items():
        monkeypatch.setenv(name, value)
    asyncio.run(rebuild(NotifierSettings(rebuild_handover_s=0.1)))
    with MongoClient[dict[str, Any]](database.url) as client:
        kept = client[NAME]["deliveries"]
        assert {each.alert for each in (one, other)} == {
            document["_id"] for document in kept.find({"_id": {"$in": [one.alert, other.alert]}})
        }
        client.drop_database(NAME)
    assert len(refused) == TRIES
