"""The parts of the laptop stack that need no process."""

import hashlib
import json
import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from lianxin_local import jars, java, kafka
from lianxin_local.cli import main
from lianxin_local.home import LONGEST_SOCKET_PATH, Home, read_json, write_json
from lianxin_local.jars import Jar, check, manifest, pom
from lianxin_local.keys import push_key, secrets_of
from lianxin_local.observe import last_error
from lianxin_local.ports import OFFSETS, ports_from
from lianxin_local.problem import Problem
from lianxin_local.stack import SERVICE_PROCESSES, Stack, choose, environment, own_database_url, sample_city
from lianxin_local.status import counted_by, total
from lianxin_local.supervise import quoted
from lianxin_notifier.web_push import Vapid


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    for name in [name for name in os.environ if name.startswith("LIANXIN_")]:
        monkeypatch.delenv(name)
    home = Home.at(tmp_path / "home")
    home.prepare()
    return Stack(home, 9000, "kafka", "127.0.0.1:9092", own_database_url(9000))


def test_a_changed_jar_is_refused_by_name_and_the_line_says_what_to_remove(tmp_path: Path) -> None:
    jar = Jar("g", "a", "1", hashlib.sha256(b"as committed").hexdigest())
    (tmp_path / jar.file).write_bytes(b"as committed")
    check([jar], tmp_path)
    (tmp_path / jar.file).write_bytes(b"something else")
    with pytest.raises(Problem, match=rf"a-1\.jar is not the file that was pinned.*remove {tmp_path}"):
        check([jar], tmp_path)


def test_a_missing_jar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="is missing"):
        check([Jar("g", "a", "1", "0" * 64)], tmp_path)


def test_a_damaged_download_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(wanted: list[Jar], into: Path) -> None:
        for jar in wanted:
            (into / jar.file).write_bytes(b"damaged")

    monkeypatch.setattr(jars, "resolvers", lambda: [("it", damaged)])
    monkeypatch.setenv("LIANXIN_CACHE_DIR", str(tmp_path))
    with pytest.raises(Problem, match="nothing was installed"):
        jars.ensure_jars()
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_names_every_jar_once_with_its_checksum() -> None:
    found = manifest()
    assert len({jar.file for jar in found}) == len(found) > 40
    assert all(len(jar.sha256) == 64 for jar in found)
    assert f"kafka_2.13-{jars.KAFKA_VERSION}.jar" in {jar.file for jar in found}


def test_maven_is_asked_for_the_manifest_and_nothing_beyond_it() -> None:
    asked = pom(manifest())
    assert asked.count("<dependency>") == asked.count("<artifactId>*</artifactId>") == len(manifest())


def test_a_java_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(java.shutil, "which", lambda _: str(old))
    assert java.version_of(old) == 11
    assert java.find_java().version >= 17


def test_javas_own_numbering_before_9_is_understood(tmp_path: Path) -> None:
    eight = tmp_path / "java"
    eight.write_text("#!/bin/sh\necho 'java version \"1.8.0_402\"' >&2\n")
    eight.chmod(0o755)
    assert java.version_of(eight) == 8


def test_the_four_services_have_the_ports_from_the_base_up() -> None:
    ports = ports_from(9000)
    public = ("intake.api", "router.worker", "notifier.api", "metrics.api")
    assert [ports[name] for name in public] == [9000, 9001, 9002, 9003]
    assert len(set(ports.values())) == len(OFFSETS)


def test_a_base_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(Problem, match="--port-base must be"):
        ports_from(65_500)


def test_only_the_notifier_learns_the_private_contact_key(stack: Stack) -> None:
    known = secrets_of(stack.home)
    for name in SERVICE_PROCESSES:
        told = environment(stack, name, known)
        assert ("LIANXIN_CONTACT_PRIVATE_KEY" in told) == name.startswith("notifier."), name
        assert ("LIANXIN_TRACKING_SECRET" in told) == name.startswith("intake."), name
        assert ("LIANXIN_PUSH_PRIVATE_KEY" in told) == name.startswith("notifier."), name
        shown = name.startswith(("intake.", "notifier."))
        assert ("LIANXIN_LINK_SECRET" in told) == shown, name


def test_what_the_caller_sets_wins_but_each_process_keeps_its_own_port(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIANXIN_TRACKING_SECRET", "the caller's")
    monkeypatch.setenv("LIANXIN_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("LIANXIN_HTTP_PORT", "1")
    told = environment(stack, "intake.worker", secrets_of(stack.home))
    assert told["LIANXIN_TRACKING_SECRET"] == "the caller's"
    assert told["LIANXIN_SMTP_HOST"] == "127.0.0.1"
    assert told["LIANXIN_HTTP_PORT"] == "9010"


def test_an_external_broker_needs_its_address(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Problem, match="LIANXIN_KAFKA_BOOTSTRAP"):
        choose(stack.home, "external", None)
    monkeypatch.setenv("LIANXIN_KAFKA_BOOTSTRAP", "broker.example:9092")
    assert choose(stack.home, "external", None).bootstrap == "broker.example:9092"


@pytest.mark.parametrize("address", ["broker.example", "broker.example:kafka", ":9092", "a:1,b", "a:0"])
def test_a_brokers_address_that_is_none_is_one_line(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("LIANXIN_KAFKA_BOOTSTRAP", address)
    done = CliRunner().invoke(main, ["up", "--detach", "--data", str(stack.home.root)])
    assert done.exit_code == 2
    assert "LIANXIN_KAFKA_BOOTSTRAP must be host:port" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("address", ["localhost:27017", "mongodb://u:secret@", "mongodb://h:port"])
def test_a_databases_address_that_is_none_is_one_line_without_its_password(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("LIANXIN_MONGO_URL", address)
    done = CliRunner().invoke(main, ["up", "--detach", "--broker", "tansu", "--data", str(stack.home.root)])
    assert done.exit_code == 2
    assert "LIANXIN_MONGO_URL is no address of a MongoDB" in done.stderr
    assert "secret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_key_for_push_services_is_one_that_the_notifier_takes(stack: Stack) -> None:
    one, other = (
        Vapid(key, "mailto:a@b.example").public for key in (secrets_of(stack.home).push, push_key())
    )
    assert one != other


def test_secrets_are_made_once(stack: Stack) -> None:
    assert secrets_of(stack.home) == secrets_of(stack.home)


@pytest.mark.parametrize("value", ['a "quoted" 100%', "it's; so", "连心 <a@b.example>", "a,b=c"])
def test_the_supervisor_reads_a_setting_as_it_was_written(value: str) -> None:
    from supervisor.datatypes import dict_of_key_value_pairs

    assert dict_of_key_value_pairs(f"NAME={quoted(value)}") == {"NAME": value.replace("%", "%%")}
    assert shlex.split(quoted(value)) == [value.replace("%", "%%")]


@pytest.mark.parametrize("value", ["both ' and \"", "two\nlines", "a ; b"])
def test_a_setting_that_the_supervisor_would_misread_is_refused(value: str) -> None:
    with pytest.raises(Problem):
        quoted(value)


def test_a_stack_of_before_gets_the_secrets_that_came_later_and_keeps_its_own(stack: Stack) -> None:
    known = secrets_of(stack.home)
    kept = read_json(stack.home.secrets)
    assert kept is not None
    write_json(stack.home.secrets, {name: value for name, value in kept.items() if name != "issue"})
    later = secrets_of(stack.home)
    assert later.issue not in ("", known.issue)
    assert replace(later, issue=known.issue) == known
    assert secrets_of(stack.home) == later


def test_the_secret_behind_issues_is_the_routers_alone(stack: Stack) -> None:
    known = secrets_of(stack.home)
    told = {name for name in SERVICE_PROCESSES if "LIANXIN_ISSUE_SECRET" in environment(stack, name, known)}
    assert told == {"router.worker"}


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    home = Home.at(tmp_path / ("deep/" * 30))
    assert len(str(home.socket)) <= LONGEST_SOCKET_PATH
    assert home.socket != Home.at(tmp_path / "elsewhere" / ("deep/" * 30)).socket


def test_a_place_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(main, ["up", "--detach", "--data", str(tmp_path / "file" / "below")])
    assert done.exit_code == 1
    assert "choose another place with --data DIR" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        free = 1024

    monkeypatch.setattr("lianxin_local.problem.shutil.disk_usage", lambda _: Full)
    done = CliRunner().invoke(main, ["up", "--detach", "--data", str(tmp_path / "d")])
    assert done.exit_code == 1
    assert "make room" in done.stderr


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["down"]])
def test_where_there_is_no_stack_the_way_to_one_is_told(tmp_path: Path, command: list[str]) -> None:
    done = CliRunner().invoke(main, ["--data", str(tmp_path / "none"), *command])
    assert done.exit_code == 1
    assert "start one with lianxin up" in done.stderr


def test_the_last_error_of_a_log_is_found_behind_later_chatter(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("starting\nValueError: no such topic\nbye\n")
    assert last_error(log) == "ValueError: no such topic"
    assert last_error(tmp_path / "none") == "it has written nothing"


def test_a_count_that_several_processes_tell_is_not_added_and_unknown_when_none_answers() -> None:
    assert total([{"submitted": 2.0}, None, {"submitted": 3.0}], "submitted") == 3
    assert total([None, {}], "submitted") is None
    assert counted_by("http://127.0.0.1:1") is None


def test_kafka_listens_on_the_loopback_only(tmp_path: Path) -> None:
    one = kafka.Kafka(java.Java(Path("java"), 17, "test"), tmp_path, tmp_path, 1111, 2222)
    assert one.settings()["listeners"] == "PLAINTEXT://127.0.0.1:1111,CONTROLLER://127.0.0.1:2222"
    assert one.settings()["auto.create.topics.enable"] == "false"


def test_mail_comes_in_at_a_port_of_its_own_for_a_channel_of_the_sample_city(stack: Stack) -> None:
    told = environment(stack, "intake.mail", secrets_of(stack.home))
    assert told["LIANXIN_HTTP_PORT"] == "9014"
    assert told["LIANXIN_MAIL_PORT"] == "9025"
    channels = set(json.loads(told["LIANXIN_MAIL_ADDRESSES"]).values())
    offices = (sample_city() / "offices.ndjson").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in offices]
    assert channels <= {record["id"] for record in records if record["record"] == "channel"}
