"""The images: what their Dockerfiles promise, and that their steps work. There is no engine here: see
`deploy/images/build_in_scratch.py` for what that leaves untried."""

import re
import signal
from pathlib import Path

import httpx
import pytest

from deploy.images.build_in_scratch import ROOT, Built, StepFailed, build
from deploy.images.dockerfile import Ignored, NotUnderstood, Stage, Step, read
from deploy.images.locks import IMAGES
from tests.support.ports import free_port
from tests.support.processes import Spawned
from tests.support.wait import eventually

ENTRIES = {
    "services/intake": ("lianxin_intake.api", "lianxin_intake.worker", "lianxin_intake.mail"),
    "services/router": ("lianxin_router.worker",),
    "services/notifier": ("lianxin_notifier.api", "lianxin_notifier.worker"),
    "services/metrics": ("lianxin_metrics.api", "lianxin_metrics.worker"),
}
# Nobody listens there: a process must live without its surroundings, or no probe would let it wait for them.
AWAY = {
    "LIANXIN_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "LIANXIN_MONGO_URL": "mongodb://127.0.0.1:1",
    "LIANXIN_MAIL_PORT": "0",
    "LIANXIN_TRACKING_SECRET": "sixteen or more characters",
    "LIANXIN_ISSUE_SECRET": "sixteen or more characters",
    "LIANXIN_CONTACT_PUBLIC_KEY": "2zEvWWbUpLSwEZCDDGm4rsJxkGcFvNmVxkXxEFXHvhk=",
}


def final(place: str) -> Stage:
    return read(ROOT / place / "Dockerfile")[-1]


@pytest.mark.parametrize("place", IMAGES)
def test_the_base_is_named_by_its_full_version(place: str):
    for stage in read(ROOT / place / "Dockerfile"):
        assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+", stage.base)


@pytest.mark.parametrize("place", IMAGES)
def test_an_image_does_not_run_as_root_and_signals_reach_its_process(place: str):
    user, command = final(place).last("USER"), final(place).last("CMD")

    assert user is not None
    assert re.fullmatch(r"[1-9]\d{4}:[1-9]\d{4}", user.rest), "a number, so that an orchestrator can check it"
    assert command is not None
    assert command.exec_form()


@pytest.mark.parametrize("place", IMAGES)
def test_the_last_layer_installs_nothing_and_loses_what_could(place: str):
    ran = [step.rest for step in final(place).steps if step.word == "RUN"]

    assert ran == ["python -m pip uninstall --yes --quiet pip setuptools wheel"]


@pytest.mark.parametrize("place", ENTRIES)
def test_a_service_s_image_says_how_to_ask_whether_it_lives(place: str):
    health = final(place).last("HEALTHCHECK")

    assert health is not None
    assert health.exec_form() == ["python", "-m", "lianxin_chassis.alive"]


# The whole build of one image takes about 20 s; the others are of the same cut.
@pytest.mark.parametrize(
    "place",
    [
        "services/metrics",
        *(pytest.param(one, marks=pytest.mark.soak) for one in ENTRIES if one[9:] != "metrics"),
    ],
)
def test_an_image_s_steps_work_and_its_processes_live_and_end_when_told(place: str, tmp_path: Path):
    built = build(place, tmp_path)

    for module in ENTRIES[place]:
        where = built.run("python", "-c", f"import {module}; print({module}.__file__)")
        assert where.returncode == 0, where.stderr
        assert where.stdout.startswith(str(built.root)), "not from this checkout"
        lives_and_ends(built, module, tmp_path)
    assert built.run("python", "-m", "pip", "--version").returncode != 0


def lives_and_ends(built: Built, module: str, tmp_path: Path) -> None:
    environment = (
        built.environment | AWAY | {"LIANXIN_HTTP_PORT": str(free_port()), "LIANXIN_HTTP_HOST": "127.0.0.1"}
    )
    python = str(built.root / "opt/lianxin/bin/python")
    spawned = Spawned([python, "-m", module], tmp_path / f"{module}.log", environment, cwd=built.workdir)
    try:
        eventually(lambda: livez(environment), timeout=60)
        assert built.healthcheck is not None
        asked = built.run(*built.healthcheck, LIANXIN_HTTP_PORT=environment["LIANXIN_HTTP_PORT"])
        assert asked.returncode == 0, asked.stderr
        spawned.process.send_signal(signal.SIGTERM)
        # Uvicorn stops in order and then ends by the signal that it was sent.
        assert spawned.process.wait(40) in (0, -signal.SIGTERM), spawned.tail()
    finally:
        spawned.kill()
    assert built.run(*built.healthcheck, LIANXIN_HTTP_PORT=environment["LIANXIN_HTTP_PORT"]).returncode == 1


def livez(environment: dict[str, str]) -> bool:
    return httpx.get(f"http://127.0.0.1:{environment['LIANXIN_HTTP_PORT']}/livez").status_code == 200


@pytest.mark.soak
def test_the_operator_s_image_can_read_the_city_that_it_carries(tmp_path: Path):
    built = build("deploy/local", tmp_path)

    told = built.run("python", "-m", "lianxin_local.cli", "registry", "check", "registry/wuxi-sample")
    assert told.returncode == 0, told.stderr
    assert "is sound" in told.stdout


def test_a_file_that_is_missing_from_the_context_is_found(tmp_path: Path):
    place = tmp_path / "made"
    place.mkdir()
    (place / "Dockerfile").write_text("FROM python:3.11\nCOPY services/metrics/no-such-file ./\n")

    with pytest.raises(StepFailed, match="no-such-file is not there"):
        build(str(place), tmp_path / "out")


def test_the_context_holds_no_tests_data_or_secrets():
    ignored = Ignored((ROOT / ".dockerignore").read_text("utf-8"))

    for kept in (
        "contracts/pyproject.toml",
        "services/intake/lianxin_intake/api.py",
        "deploy/images/build.lock",
    ):
        assert not ignored.leaves_out(kept)
    for left in (
        ".env",
        ".lianxin/secrets.json",
        "services/intake/tests/test_intake_door.py",
        "tests/conftest.py",
    ):
        assert ignored.leaves_out(left)


def test_a_shell_form_command_is_refused():
    with pytest.raises(NotUnderstood, match="exec form"):
        Step("CMD", "python -m lianxin_intake.api").exec_form()
