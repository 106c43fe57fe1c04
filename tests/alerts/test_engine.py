from __future__ import annotations

import time
from pathlib import Path

import pytest

from qa_daemon.alerts.engine import AlertEngine
from qa_daemon.alerts.messages import Wording
from qa_daemon.model import State, Verdict
from tests.alerts.alarms import PEOPLE, engine_of, messages, open_tests, run
from tests.alerts.clinic import Clinic, Recorder, analysis
from tests.sinks.sending import wait_until

PASS, TOLERANCE, ACTION, INVALID = Verdict
LEAVES = "MLC leaf positions"


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path, PEOPLE)


def test_one_message_as_a_test_opens_worsens_and_clears(clinic: Clinic) -> None:
    channels = Recorder()
    engine = engine_of(clinic, channels)
    for minute, verdict in enumerate(
        (PASS, ACTION, ACTION, INVALID, ACTION, None, TOLERANCE, PASS)
    ):
        clinic.put(analysis(verdict), minutes=minute)
        run(engine)
    assert channels.titles == [
        f"ACTION TB1: {LEAVES}",
        f"INVALID TB1: {LEAVES}",
        f"Cleared TB1: {LEAVES}",
    ]
    assert clinic.queries.open_incidents() == 0
    assert clinic.alerts_box.pending(10) == []


def test_each_machine_and_each_test_has_its_own_incident(clinic: Clinic) -> None:
    channels = Recorder()
    engine = engine_of(clinic, channels)
    clinic.put(analysis(ACTION), analysis(PASS, "axes"))
    clinic.put(analysis(ACTION), machine="TB2")
    clinic.put(analysis(PASS), analysis(INVALID, "axes"), minutes=1)
    run(engine)
    assert channels.titles == [
        f"ACTION TB1: {LEAVES}",
        f"ACTION TB2: {LEAVES}",
        "INVALID TB1: Axes",
        f"Cleared TB1: {LEAVES}",
    ]
    assert open_tests(clinic) == ["axes", "mlc_positions"]


def test_a_check_of_another_kind_in_order_is_no_all_clear(clinic: Clinic) -> None:
    channels = Recorder()
    engine = engine_of(clinic, channels)
    for minute, (series, verdict) in enumerate(
        [("6x", ACTION), ("10x", PASS), ("15x", INVALID), (None, PASS), ("6x", PASS)]
    ):
        clinic.put(analysis(verdict), minutes=minute, series=series)
        run(engine)
    assert channels.titles == [
        f"ACTION TB1: {LEAVES}",
        f"INVALID TB1: {LEAVES}",
        f"Cleared TB1: {LEAVES}",
    ]
    assert clinic.queries.open_incidents() == 1  # 15x


def test_one_result_with_several_breaches_makes_one_message(clinic: Clinic) -> None:
    channels = Recorder()
    clinic.put(analysis(ACTION), analysis(INVALID, "axes"))
    run(engine_of(clinic, channels))
    assert channels.titles == [f"INVALID TB1: {LEAVES}, Axes"]


def test_the_person_on_call_when_it_is_sent_is_told(clinic: Clinic) -> None:
    channels = Recorder()
    engine = engine_of(clinic, channels)
    clinic.put(analysis(ACTION))
    run(engine)
    clinic.now = clinic.now.replace(day=4)  # Wednesday
    clinic.put(analysis(PASS), minutes=1)
    run(engine)
    assert [person for person, _, _ in channels.sent] == ["Ben", "Cai"]
    assert [m["sent_to"] for m in messages(clinic)] == ["Ben by recorder", "Cai by recorder"]


def test_when_the_person_on_call_cannot_be_reached_the_others_are_tried(clinic: Clinic) -> None:
    channels = Recorder(deaf=["Ben", "Cai"])
    clinic.put(analysis(ACTION))
    run(engine_of(clinic, channels))
    assert channels.tried == ["Ben", "Cai", "Ada"]
    assert [person for person, _, _ in channels.sent] == ["Ada"]


def test_a_person_who_only_signs_in_is_sent_nothing(tmp_path: Path) -> None:
    dan = {"name": "Dan", "password_file": "dan.password"}
    clinic = Clinic(tmp_path, PEOPLE | {"person": [dan, *PEOPLE["person"]]})
    channels = Recorder(deaf=["Ada", "Ben", "Cai"])
    clinic.put(analysis(ACTION))
    run(engine_of(clinic, channels))
    assert set(channels.tried) == {"Ada", "Ben", "Cai"}


def test_without_a_rota_everybody_is_tried_in_order(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, {"person": PEOPLE["person"]})
    channels = Recorder(deaf=["Ada"])
    clinic.put(analysis(ACTION))
    run(engine_of(clinic, channels))
    assert channels.tried == ["Ada", "Ben"]


def test_while_nobody_can_be_reached_messages_wait_and_status_says_so(clinic: Clinic) -> None:
    channels = Recorder(deaf=["Ada", "Ben", "Cai"])
    engine = engine_of(clinic, channels)
    clinic.put(analysis(ACTION))
    engine.start()
    wait_until(lambda: messages(clinic) != [] and messages(clinic)[0]["attempts"] >= 3)
    assert clinic.alerts_box.status()["last_error"] is not None
    channels.deaf.clear()
    wait_until(lambda: messages(clinic)[0]["state"] == "sent")
    engine.stop()
    assert channels.titles == [f"ACTION TB1: {LEAVES}"]
    assert clinic.alerts_box.status()["last_error"] is None


def test_a_message_nobody_takes_holds_up_no_other(clinic: Clinic) -> None:
    class RefusesAxes(Recorder):
        def send(self, person: str, title: str, body: str) -> str | None:
            return None if "Axes" in title else super().send(person, title, body)

    channels = RefusesAxes()
    engine = engine_of(clinic, channels)
    clinic.put(analysis(ACTION, "axes"))
    run(engine)
    clinic.put(analysis(ACTION), minutes=1)
    run(engine)
    assert channels.titles == [f"ACTION TB1: {LEAVES}"]


def test_without_people_messages_wait_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clinic = Clinic(tmp_path)
    engine = engine_of(clinic, Recorder())
    for minute in range(3):
        clinic.put(analysis(ACTION, f"test{minute}"))
        run(engine)
    assert [m["state"] for m in messages(clinic)] == ["pending"] * 3
    assert "nobody" in str(clinic.alerts_box.status()["last_error"])
    assert caplog.text.count("no [[person]]") == 1


def test_a_file_judged_again_makes_no_new_message(clinic: Clinic) -> None:
    channels = Recorder()
    engine = engine_of(clinic, channels)
    file = clinic.file()
    clinic.put(analysis(ACTION), file=file)
    run(engine)
    clinic.put(analysis(ACTION), file=clinic.judge_again(file))
    run(engine)
    clinic.put(analysis(PASS), minutes=1)
    run(engine)
    # Long after the incident was cleared, all files are judged again with the same limits.
    clinic.put(analysis(ACTION), file=clinic.judge_again(file))
    run(engine)
    assert channels.titles == [f"ACTION TB1: {LEAVES}", f"Cleared TB1: {LEAVES}"]


def test_a_file_judged_again_before_anybody_looked_is_told_once(clinic: Clinic) -> None:
    channels = Recorder()
    file = clinic.file()
    clinic.put(analysis(ACTION), file=file)
    clinic.put(analysis(ACTION), file=clinic.judge_again(file))
    last = clinic.put(analysis(ACTION), file=clinic.judge_again(file))
    engine = engine_of(clinic, channels)
    run(engine)
    assert channels.titles == [f"ACTION TB1: {LEAVES}"]
    assert f"/results/{last}" in channels.sent[0][2]
    assert clinic.alerts_box.pending(10) == []


def test_a_file_judged_again_and_found_good_before_anybody_looked_is_silent(
    clinic: Clinic,
) -> None:
    channels = Recorder()
    file = clinic.file()
    clinic.put(analysis(ACTION), file=file)
    clinic.put(analysis(PASS), file=clinic.judge_again(file))
    run(engine_of(clinic, channels))
    assert channels.titles == []


def test_new_limits_that_make_an_old_file_bad_are_told(clinic: Clinic) -> None:
    channels = Recorder()
    engine = engine_of(clinic, channels)
    file = clinic.file()
    for verdict in (ACTION, PASS, ACTION):
        clinic.put(analysis(verdict), file=clinic.judge_again(file))
        run(engine)
    assert channels.titles == [
        f"ACTION TB1: {LEAVES}",
        f"Cleared TB1: {LEAVES}",
        f"ACTION TB1: {LEAVES}",
    ]


def test_an_unreadable_file_is_told_once_and_cleared_when_it_is_read(clinic: Clinic) -> None:
    channels = Recorder()
    engine = engine_of(clinic, channels)
    file, other = clinic.file(), clinic.file()
    clinic.put_unreadable(file)
    clinic.put_unreadable(other)
    run(engine)
    clinic.put_unreadable(clinic.judge_again(file))
    run(engine)
    clinic.put(analysis(PASS), file=clinic.judge_again(file))
    run(engine)
    assert channels.titles == [
        "INVALID TB1: unreadable file",
        "INVALID TB1: unreadable file",
        "Cleared TB1: unreadable file",
    ]
    assert open_tests(clinic) == ["unreadable file"]


def test_an_unreadable_file_that_is_copied_again_is_cleared(clinic: Clinic) -> None:
    channels = Recorder()
    engine = engine_of(clinic, channels)
    file = clinic.file()
    clinic.put_unreadable(file)
    run(engine)
    clinic.put(analysis(PASS), file=clinic.file(name=file.name))
    run(engine)
    assert channels.titles == ["INVALID TB1: unreadable file", "Cleared TB1: unreadable file"]
    assert open_tests(clinic) == []


def test_an_unreadable_copy_that_is_copied_again_whole_is_cleared(clinic: Clinic) -> None:
    channels = Recorder()
    engine = engine_of(clinic, channels)
    good = clinic.file()
    clinic.put(analysis(PASS), file=good)
    cut = clinic.file()
    clinic.put_unreadable(cut)
    run(engine)
    assert clinic.file(name=cut.name, same_as=good).state is State.DUPLICATE
    run(engine)
    assert channels.titles == ["INVALID TB1: unreadable file", "Cleared TB1: unreadable file"]
    assert open_tests(clinic) == [] and clinic.alerts_box.pending(10) == []


def test_what_a_whole_copy_says_was_told_before(clinic: Clinic) -> None:
    channels = Recorder()
    engine = engine_of(clinic, channels)
    bad = clinic.file()
    clinic.put(analysis(ACTION), file=bad)
    clinic.put(analysis(PASS), minutes=1)
    cut = clinic.file()
    clinic.put_unreadable(cut)
    run(engine)
    clinic.file(name=cut.name, same_as=bad)
    run(engine)
    assert channels.titles[2:] == ["INVALID TB1: unreadable file", "Cleared TB1: unreadable file"]
    assert open_tests(clinic) == []


def test_a_file_copied_in_vain_several_times_is_cleared_with_all_of_it(clinic: Clinic) -> None:
    channels = Recorder()
    engine = engine_of(clinic, channels)
    first = clinic.file()
    clinic.put_unreadable(first)
    run(engine)
    clinic.put_unreadable(clinic.file(name=first.name))
    run(engine)
    clinic.put(analysis(PASS), file=clinic.file(name=first.name))
    run(engine)
    assert [title.split()[0] for title in channels.titles] == ["INVALID", "INVALID", "Cleared"]
    assert channels.titles[-1] == "Cleared TB1: unreadable file"
    assert open_tests(clinic) == []


def test_other_content_under_the_same_name_is_news(clinic: Clinic) -> None:
    channels = Recorder()
    engine = engine_of(clinic, channels)
    file = clinic.file()
    clinic.put(analysis(ACTION), file=file)
    run(engine)
    clinic.put(analysis(PASS), minutes=1)
    run(engine)
    clinic.put(analysis(ACTION), file=clinic.file(name=file.name), minutes=2)
    run(engine)
    assert [title.split()[0] for title in channels.titles] == ["ACTION", "Cleared", "ACTION"]


class Killed(BaseException):
    """The process ends here."""


def test_a_kill_after_sending_sends_the_same_number_again_and_nothing_else(
    clinic: Clinic,
) -> None:
    class KilledAfterSending(Recorder):
        def send(self, person: str, title: str, body: str) -> str | None:
            super().send(person, title, body)
            raise Killed

    first, second = KilledAfterSending(), Recorder()
    clinic.put(analysis(ACTION))
    with pytest.raises(Killed):
        run(engine_of(clinic, first))
    run(engine_of(clinic, second))
    run(engine_of(clinic, second))
    assert first.sent == second.sent
    assert first.sent[0][2].endswith("Message 1")


def test_a_kill_while_looking_leaves_nothing_half_done(clinic: Clinic) -> None:
    channels = Recorder()
    engine = engine_of(clinic, channels)
    clinic.put(analysis(ACTION), analysis(ACTION, "axes"))

    class KilledWhileWriting(Wording):
        def alarm(self, *_: object) -> object:  # type: ignore[override]
            raise Killed

    broken = engine_of(clinic, channels)
    broken._wording = KilledWhileWriting(clinic.site, {})
    with pytest.raises(Killed):
        run(broken)
    assert messages(clinic) == []
    assert open_tests(clinic) == []
    run(engine)
    assert channels.titles == [f"ACTION TB1: {LEAVES}, Axes"]


def test_a_restart_after_every_step_changes_nothing(clinic: Clinic) -> None:
    channels = Recorder()

    def step(engine: AlertEngine) -> None:
        engine.look_through()

    for minute, verdict in enumerate((ACTION, ACTION, INVALID, PASS, ACTION, PASS)):
        clinic.put(analysis(verdict), minutes=minute)
        step(engine_of(clinic, channels))
        run(engine_of(clinic, channels))
    words = [title.split()[0] for title in channels.titles]
    assert words == ["ACTION", "INVALID", "Cleared", "ACTION", "Cleared"]


def test_a_fault_of_ours_in_one_result_is_told_and_silences_no_other(clinic: Clinic) -> None:
    class Broken(Wording):
        def alarm(self, *_: object) -> object:  # type: ignore[override]
            raise KeyError

    channels = Recorder()
    engine = engine_of(clinic, channels)
    engine._wording = Broken(clinic.site, {})
    clinic.put(analysis(ACTION))
    clinic.put(analysis(ACTION), machine="TB2")
    run(engine)
    assert channels.titles == [
        "INVALID TB1: result not examined",
        "INVALID TB2: result not examined",
    ]
    assert clinic.alerts_box.pending(10) == []


def test_a_message_leaves_at_once_while_the_store_is_busy(clinic: Clinic) -> None:
    channels = Recorder()
    engine = engine_of(clinic, channels)
    engine.start()
    took: list[float] = []
    for minute in range(10):
        clinic.put(analysis(PASS), machine="TB2", minutes=minute)
        clinic.put(analysis((ACTION, PASS)[minute % 2]), minutes=minute)
        begin = time.monotonic()
        wait_until(lambda: len(channels.sent) == len(took) + 1)
        took.append(time.monotonic() - begin)
    engine.stop()
    print(f"commit to channel: median {sorted(took)[5]:.3f} s, worst {max(took):.3f} s")
    assert max(took) < 5.0
