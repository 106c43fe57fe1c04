"""What only the clinic and the clock can say of an output check: whose unit, and when.

An output check is typed in by people.  It names its unit by the name or the serial of the site
file; one that names another is refused, because no unit is ever judged by another's references.
"""

from __future__ import annotations

from datetime import timedelta

from qa_daemon.model import Report
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site

TREATMENT = "srt-treatment-json"
FORMATS = ("srt-output-csv", "srt-output-json", "srt-spreadsheet", "srt-checks-json", TREATMENT)
CLASS = "srt"
CLOCKS_DIFFER_BY = timedelta(minutes=5)
OTHER_UNIT = (
    "the unit_id in this file is not that of the unit in whose folder it lies: move it to the "
    "folder of its unit, or write the unit's name or serial as the site file has it"
)
UNKNOWN_UNIT = (
    "the unit_id in this file is no superficial unit of this clinic: write the unit's name or "
    "serial as the site file has it, or add the unit there with machine_class srt"
)
TO_COME = (
    "datetime: a row was measured in the time to come; check its date, its offset from UTC and the "
    "clock of the computer that wrote it"
)
UNNAMED = (
    "the site file knows the unit of this folder by another name and has no serial for it: the "
    "folder was believed"
)


def is_output_check(report: Report) -> bool:
    """Whether the report is of a file that people write of a superficial unit."""
    return report.format in FORMATS and report.error_code is None


def against_clinic(report: Report, of_folder: Machine | None, site: Site) -> Report:
    """The report of an output check, or its refusal; any other report as it is.

    `of_folder` is the machine in whose folder the file lies.  Without a site file nobody knows the
    units, and the clock alone is asked.
    """
    if not is_output_check(report):
        return report
    last_at = report.last_at or report.performed_at
    if last_at is not None and last_at > site.clock() + CLOCKS_DIFFER_BY:
        return _refused(report, "SRT_TIME", TO_COME)
    if not site.machines or report.parts:  # each part is asked for itself
        return report
    named = site.machine_told(report.machine_serial, report.machine_name)
    if of_folder is None:
        is_known = named is not None and named.machine_class == CLASS
        return report if is_known else _refused(report, "OTHER_MACHINE", UNKNOWN_UNIT)
    if of_folder.machine_class != CLASS:
        return _refused(report, "OTHER_MACHINE", OTHER_UNIT)
    if named is of_folder:
        return report
    # A dose is calculated with a unit's own tables: the record has to say itself which unit.
    if named is not None or of_folder.serial is not None or report.format == TREATMENT:
        return _refused(report, "OTHER_MACHINE", OTHER_UNIT)
    return report.model_copy(update={"warnings": (*report.warnings, UNNAMED)})


def _refused(report: Report, code: str, message: str) -> Report:
    return Report(format=report.format, error_code=code, error_message=message)
