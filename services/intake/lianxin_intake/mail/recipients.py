"""Whom a mail is written to: the channel behind an address, and the station named after a plus. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from lianxin_contracts.registry import Channel, Snapshot


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where an opinion goes in: `station` None for the city as a whole."""

    channel: Channel
    station: str | None


@dataclass(frozen=True, slots=True)
class NoSuchAddress:
    """Nobody is there; `why` is ASCII, for the sender's mail server."""

    why: str


def recipient_of(address: str, addresses: Mapping[str, str], city: Snapshot) -> Recipient | NoSuchAddress:
    """Who gets what is sent to `address` (`opinions+S0100@example.org`). `addresses`: channel by address in
    lower case. Case does not matter, of stations neither."""
    local, _, domain = address.strip().lower().rpartition("@")
    base, plus, wanted = local.partition("+")
    id_ = addresses.get(f"{base}@{domain}")
    channel = city.channels.get(id_) if id_ is not None else None
    if channel is None:
        return NoSuchAddress("no such address here")
    if not plus:
        return Recipient(channel, None)
    for station in city.stations:
        if station.lower() == wanted:
            return Recipient(channel, station)
    return NoSuchAddress("no such station; write to the address without the plus")
