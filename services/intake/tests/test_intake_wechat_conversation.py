"""The conversation: many messages, one opinion; every message counts once, and nothing said off is lost."""

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lianxin_contracts.inbound import MAX_TEXT
from lianxin_intake.wechat.conversation import (
    IDLE,
    MAX_OUTGOING,
    MAX_PICTURES,
    Arrived,
    Ask,
    Conversation,
    Ignored,
    Left,
    Pictured,
    Pointed,
    Reply,
    Said,
    Scanned,
    Showed,
    Tapped,
    Turn,
    Unpictured,
    Unsupported,
    Wrote,
    confirmed,
    lapse,
    refused,
    step,
)

NOW = datetime(2026, 11, 26, 8, tzinfo=UTC)
STATIONS = {"S1", "S2"}


def talk(*said: Said, conversation: Conversation | None = None, now: datetime = NOW) -> Turn:
    turn = Turn(conversation or Conversation(), Reply("silent"))
    for one in said:
        before = len(turn.conversation.handled)
        name = f"{now.timestamp()}:{before}:{one!r}"
        turn = step(turn.conversation, name, one, now, STATIONS)
    return turn


def kind(turn: Turn) -> str:
    assert isinstance(turn.reply, Reply)
    return turn.reply.kind


def test_scan_words_picture_and_place_become_one_opinion() -> None:
    turn = talk(
        Scanned("S1"),
        Wrote("路灯坏了"),
        Pictured("a1"),
        Wrote("已经三天"),
        Pointed(31.5, 120.3, "人民路"),
        Wrote("提交"),
    )
    (outgoing,) = turn.conversation.outgoing
    assert (outgoing.draft.station, outgoing.draft.text) == ("S1", "路灯坏了\n已经三天")
    assert (outgoing.draft.pictures, outgoing.at) == (("a1",), NOW)
    assert outgoing.draft.point is not None
    assert outgoing.draft.point.label == "人民路"
    assert turn.reply == Reply("submitted", of=outgoing.name)
    assert turn.conversation.touched is None


def test_a_station_scanned_later_is_the_one_that_counts_and_what_was_said_stays() -> None:
    turn = talk(Scanned("S1"), Wrote("x"), Scanned("S2", first=True))
    assert (turn.conversation.draft.station, turn.conversation.draft.texts) == ("S2", ("x",))
    assert kind(talk(Scanned("gone"))) == "unknown_station"


def test_the_ways_to_send_off_drop_and_ask() -> None:
    for word in ("提交", "完成", "1", " 提交。", "发送"):
        assert kind(talk(Wrote("x"), Wrote(word))) == "submitted"
    assert kind(talk(Wrote("x"), Tapped("submit"))) == "submitted"
    assert kind(talk(Wrote("x"), Wrote("取消"))) == "cancelled"
    assert kind(talk(Wrote("取消"))) == "nothing_to_cancel"
    assert talk(Wrote("进度")).reply == Ask() == talk(Tapped("progress")).reply
    assert talk(Wrote("查询 7QK2-M4XW-9PZ3H")).reply == Ask("7QK2-M4XW-9PZ3H")
    assert kind(talk(Wrote("?"))) == "help"


def test_what_was_heard_in_a_voice_is_never_a_command() -> None:
    assert talk(Wrote("提交", heard=True)).conversation.draft.texts == ("提交",)


def test_an_opinion_needs_words() -> None:
    assert kind(talk(Wrote("1"))) == "nothing_yet"
    turn = talk(Pictured("a"), Wrote("1"))
    assert kind(turn) == "words_wanted"
    assert turn.conversation.draft.pictures == ("a",)


def test_what_can_t_be_part_of_an_opinion_is_said_and_changes_no_draft() -> None:
    for said in (Unsupported("link"), Unpictured(), Showed("m", ""), Ignored(), Arrived(), Wrote("\u200b ")):
        assert talk(Wrote("x"), said).conversation.draft == talk(Wrote("x")).conversation.draft


def test_what_is_too_much_is_not_taken_and_what_was_taken_stays() -> None:
    turn = talk(*(Pictured(str(n)) for n in range(MAX_PICTURES + 1)))
    assert kind(turn) == "full"
    assert len(turn.conversation.draft.pictures) == MAX_PICTURES
    turn = talk(Wrote("长" * 9_000), Wrote("长" * 1_001))
    assert kind(turn) == "full"
    assert len(turn.conversation.draft.text) == 9_000


def test_an_idle_draft_is_dropped_and_its_author_is_told_once() -> None:
    first = talk(Wrote("x")).conversation
    assert lapse(first, NOW + IDLE - timedelta(seconds=1)) == first
    turn = step(first, "m2", Wrote("y"), NOW + IDLE, STATIONS)
    assert turn.conversation.draft.texts == ("y",)
    assert isinstance(turn.reply, Reply)
    assert turn.reply.dropped
    again = step(turn.conversation, "m3", Wrote("z"), NOW + IDLE, STATIONS)
    assert isinstance(again.reply, Reply)
    assert not again.reply.dropped


def test_who_leaves_takes_the_draft_along_but_not_what_was_sent_off() -> None:
    turn = talk(Wrote("x"), Wrote("1"), Wrote("y"), Left())
    assert turn.conversation.draft.texts == ()
    assert len(turn.conversation.outgoing) == 1


def test_what_was_refused_goes_back_to_be_mended_unless_something_new_was_begun() -> None:
    sent = talk(Scanned("S1"), Wrote("x"), Wrote("1")).conversation
    name = sent.outgoing[0].name
    back = refused(sent, name, "unknown_station")
    assert (back.outgoing, back.draft.texts, back.draft.station) == ((), ("x",), None)
    assert back.sent[-1].why == "unknown_station"
    busy = refused(talk(Wrote("y"), conversation=sent).conversation, name, "any")
    assert busy.draft.texts == ("y",)
    assert refused(back, name, "unknown_station") == back


def test_no_more_is_sent_off_than_can_wait() -> None:
    turn = talk(*(said for n in range(MAX_OUTGOING + 1) for said in (Wrote(str(n + 5)), Wrote("提交"))))
    assert kind(turn) == "waiting"
    assert len(turn.conversation.outgoing) == MAX_OUTGOING
    assert turn.conversation.draft.texts


SAID = st.one_of(
    st.builds(
        Wrote,
        st.sampled_from(["路灯", "提交", "1", "取消", "进度", "查询 ABCD", "", "长" * 4000]),
        st.booleans(),
    ),
    st.builds(Wrote, st.text(max_size=30)),
    st.builds(Pictured, st.sampled_from("ab")),
    st.builds(Pointed, st.floats(-90, 90), st.floats(-180, 180), st.text(max_size=10)),
    st.builds(Scanned, st.sampled_from(["S1", "S2", "gone"]), st.booleans()),
    st.builds(Tapped, st.sampled_from(["submit", "cancel", "progress", "other"])),
    st.builds(Unsupported, st.text(max_size=30)),
    st.sampled_from([Arrived(), Left(), Ignored(), Unpictured(), Showed("m", "u")]),
)
HISTORY = st.lists(st.tuples(SAID, st.integers(0, 5400)), max_size=25)


@given(HISTORY)
def test_every_message_said_twice_is_answered_alike_and_changes_nothing(
    history: list[tuple[Said, int]],
) -> None:
    conversation, now = Conversation(), NOW
    for number, (said, after) in enumerate(history):
        now += timedelta(seconds=after)
        turn = step(conversation, str(number), said, now, STATIONS)
        again = step(turn.conversation, str(number), said, now + timedelta(seconds=15), STATIONS)
        if isinstance(turn.reply, Reply):
            assert again == turn
        else:
            assert again.reply == turn.reply
        conversation = turn.conversation


@given(HISTORY)
def test_what_is_sent_off_stays_until_it_is_settled_and_can_always_be_handed_in(
    history: list[tuple[Said, int]],
) -> None:
    conversation, now = Conversation(), NOW
    sent_off: list[str] = []
    for number, (said, after) in enumerate(history):
        now += timedelta(seconds=after)
        turn = step(conversation, str(number), said, now, STATIONS)
        if isinstance(turn.reply, Reply) and turn.reply.kind == "submitted":
            sent_off.append(turn.reply.of)
        assert [one.name for one in turn.conversation.outgoing] == sent_off
        for outgoing in turn.conversation.outgoing:
            assert 0 < len(outgoing.draft.text) <= MAX_TEXT
            assert outgoing.draft.text.strip()
        conversation = turn.conversation
        assert msgspec.json.decode(msgspec.json.encode(conversation), type=Conversation) == conversation
        if len(sent_off) == MAX_OUTGOING:
            conversation = confirmed(conversation, sent_off.pop(0), "opinion")
            assert conversation.sent[-1].opinion == "opinion"
