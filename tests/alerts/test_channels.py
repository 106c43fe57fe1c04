"""Messages over real channels: a real SMTP server, and a webhook."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from qa_daemon.alerts.channels import AppriseChannels
from qa_daemon.model import Verdict
from tests.alerts.alarms import engine_of, messages, run
from tests.alerts.clinic import CANARY, Clinic, analysis
from tests.servers import MailServer, Stub, free_port
from tests.sinks.sending import wait_until

FROM_TO = "from=qa@clinic.example&to=physicist@clinic.example"


def mailto(mail: MailServer) -> str:
    return f"mailto://127.0.0.1:{mail.port}/?{FROM_TO}"


def clinic_with(folder: Path, *channels: str, **person: object) -> Clinic:
    return Clinic(
        folder,
        {
            "person": [{"name": "Ada", "channels": list(channels), **person}],
            "rota": {"weekly": [{"from": "Mon 08:00", "person": "Ada"}]},
            "web": {"public_url": "https://qa.example"},
        },
    )


def test_a_mail_says_what_is_wrong_and_where_to_look_and_identifies_nobody(
    mail: MailServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clinic = clinic_with(tmp_path, mailto(mail))
    engine = engine_of(clinic, AppriseChannels(clinic.site))
    engine.start()
    begin = time.monotonic()
    number = clinic.put(analysis(Verdict.ACTION), analysis(Verdict.INVALID, "axes"))
    wait_until(lambda: len(mail.raw) == 1)
    took = time.monotonic() - begin
    clinic.put_unreadable()
    clinic.put(analysis(Verdict.PASS), analysis(Verdict.PASS, "axes"), minutes=1)
    wait_until(lambda: len(mail.raw) == 3)
    wait_until(lambda: all(m["state"] == "sent" for m in messages(clinic)))
    engine.stop()
    print(f"commit to SMTP server: {took:.3f} s")
    assert took < 10.0

    alarm = mail.mails[0]
    assert alarm["Subject"] == "INVALID TB1: MLC leaf positions, Axes"
    assert mail.recipients[0] == ["physicist@clinic.example"]
    part = alarm.get_body(("plain",))
    assert part is not None
    text = part.get_content()
    for words in (
        "Sample Clinic",
        "Machine: TB1",
        "worst_leaf_rms 1.02 mm at A17, action limit 0.35 mm",
        "2026-11-02 09:14",
        f"https://qa.example/results/{number}",
        "Message 1",
    ):
        assert words in text
    parts = [part for m in mail.mails for part in m.walk() if not part.is_multipart()]
    decoded = [str(m["Subject"]) for m in mail.mails] + [str(p.get_content()) for p in parts]
    assert CANARY not in b"".join(mail.raw).decode() + "".join(decoded) + caplog.text
    assert [m["sent_to"] for m in messages(clinic)] == ["Ada by mailto"] * 3


@pytest.mark.parametrize("scheme", ["json", "http"])
def test_a_webhook_gets_title_and_text(stub: Stub, tmp_path: Path, scheme: str) -> None:
    clinic = clinic_with(tmp_path, stub.url.replace("http", scheme, 1) + "/hook")
    clinic.put(analysis(Verdict.ACTION))
    run(engine_of(clinic, AppriseChannels(clinic.site)))
    ((path, _, body),) = stub.requests
    content = json.loads(body)
    assert path.startswith("/hook")
    assert content["title"] == "ACTION TB1: MLC leaf positions"
    assert "action limit 0.35 mm" in content["message"]
    assert "\n" in content["message"]
    assert CANARY not in body.decode()


def test_the_next_address_is_tried_when_one_does_not_accept(
    mail: MailServer, stub: Stub, tmp_path: Path
) -> None:
    mail.refuse = "550 no such mailbox"
    nothing_there = f"json://127.0.0.1:{free_port()}"
    stub.script = [(500, {}, b"")]
    hook = stub.url.replace("http", "json", 1)
    clinic = clinic_with(tmp_path, "nonsense://x", nothing_there, mailto(mail), hook, f"{hook}/b")
    sent = AppriseChannels(clinic.site).send("Ada", "title", "body")
    assert sent == "json"
    assert [path for path, _, _ in stub.requests] == ["/", "/b"]


def test_nobody_accepting_is_none(mail: MailServer, tmp_path: Path) -> None:
    mail.refuse = "451 later"
    clinic = clinic_with(tmp_path, mailto(mail))
    assert AppriseChannels(clinic.site).send("Ada", "title", "body") is None


def test_a_channel_that_trickles_is_given_up_in_time(
    mail: MailServer, stub: Stub, tmp_path: Path
) -> None:
    stub.always = "silence"
    clinic = clinic_with(tmp_path, stub.url.replace("http", "json", 1) + "?rto=30", mailto(mail))
    begin = time.monotonic()
    assert AppriseChannels(clinic.site, longest_s=0.5).send("Ada", "title", "body") == "mailto"
    assert time.monotonic() - begin < 5.0
    stub.let_go.set()


def test_addresses_in_a_file_are_read_anew_and_never_logged(
    stub: Stub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "addresses"
    clinic = clinic_with(tmp_path, channels_file="addresses")
    channels = AppriseChannels(clinic.site)
    assert channels.send("Ada", "title", "body") is None  # the file is missing
    file.write_text(f"# mine\n\njson://ada:hush-hush@127.0.0.1:{free_port()}/\n")
    assert channels.send("Ada", "title", "body") is None
    file.write_text(stub.url.replace("http://", "json://ada:hush-hush@") + "\n")
    assert channels.send("Ada", "title", "body") == "json"
    shown = [r.getMessage() for r in caplog.records if r.name.startswith("qa_daemon")]
    assert shown
    assert "hush" not in "".join(shown)
    assert "127.0.0.1" not in "".join(shown)
