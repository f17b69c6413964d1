"""`lianxin alert preview`."""

from click.testing import CliRunner

from lianxin_local.cli import main


def preview(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["alert", "preview", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_every_message_is_shown_in_both_languages_without_a_stack() -> None:
    shown = preview()
    assert "== alert/opinion.assigned zh mail\n【连心】有一件居民意见交给您" in shown
    assert "== resident/rate en mail\n[Lianxin] Your opinion is settled" in shown
    assert "== notice/contact_day zh mail" in shown


def test_one_message_is_shown_as_it_goes_out_by_sms() -> None:
    shown = preview("digest", "--language", "zh", "--channel", "sms")
    assert shown.startswith("== notice/digest zh sms\n【连心】待办汇总：共 7 件")
    assert " en " not in shown


def test_what_does_not_exist_is_answered_with_what_does() -> None:
    result = CliRunner().invoke(main, ["alert", "preview", "nothing-of-the-kind"])
    assert result.exit_code != 0
    assert "notice/weekly" in str(result.exception) + result.output
