"""Plans and treatment records in a watched folder: kept, shown, and judged by nobody."""

from __future__ import annotations

from pathlib import Path

from qa_daemon.model import Verdict
from qa_daemon.simulate import rtplan, rtrecord, trajectory_log
from tests.integration.daemon import Daemon, write_site


def test_a_plan_beside_its_log_has_a_result_without_a_verdict(tmp_path: Path) -> None:
    with Daemon(write_site(tmp_path)) as daemon:
        queries = daemon.store()
        log = daemon.incoming / "x_20260105073000.bin"
        trajectory_log.simulate(log, field="static", companion=True)
        plan = rtplan.simulate(daemon.incoming / "CANARY.dcm", field="static")
        rtrecord.simulate(daemon.incoming / "record.dcm")
        cut = plan.read_bytes()[:1000]
        (daemon.incoming / "cut.dcm").write_bytes(cut)
        judged = {"files.done": 4, "files.quarantined": 1}
        daemon.until(lambda: judged.items() <= queries.counts().items(), "every file is judged")
        found = {Path(r.path).name: r for r in queries.results_since()}
        counts = daemon.status()["files"]
        assert (counts["done"], counts["quarantined"]) == (4, 1)
        assert found["x_20260105073000.bin"].verdict is Verdict.PASS
        for name, kind in (("CANARY.dcm", "dicom-rtplan"), ("record.dcm", "dicom-rtrecord")):
            result = found[name]
            assert (result.format, result.verdict, result.analyses) == (kind, None, ())
            assert "kept for matching" in str(result.not_judged)
            assert (result.machine, result.machine_class) == ("TB1", "truebeam")
            assert "kept for matching" in daemon.get(f"/results/{result.id}")
        assert found["cut.dcm"].error_code == "RTPLAN_SHORT"
        assert "TB1" in daemon.get("/machines/TB1")
        assert "RTPLAN_SHORT" in daemon.get("/quarantine")
    log = daemon.log.read_text()
    for secret in ("CANARY", "QA_SIM_1", "Simulated", "1.2.826"):
        assert secret not in log
