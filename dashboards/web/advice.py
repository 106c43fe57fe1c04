"""What to do about a file that could not be read, by its code."""

from __future__ import annotations

AGAIN = "Copy the file from the machine again, under the same name: it is taken up by itself."
CORRECT = "Correct the table as it says and save it under the same name: it is taken up by itself."
ADVICE = {
    "EMPTY": AGAIN,
    "UNKNOWN_FORMAT": "Check what was exported into this folder; only machine logs belong here.",
    "AMBIGUOUS": "Report this file's kind to the developers: two formats claim it.",
    "UNREADABLE": "Allow the service's user to read the file.",
    "NOT_A_FILE": "Remove it from the folder, or put the log itself there.",
    "TOO_LARGE": "Check what was put here; if it is a log, raise [ingest] largest_file_mb.",
    "POISON": "Reading it ended the worker.  Release it after an update; report it meanwhile.",
    "BUG": "This is an error of QA Daemon: report it, and release the file after an update.",
    "UID_TAKEN": "Look at both images: one of them is not what its UID says.",
    "OTHER_MACHINE": "Move it to its machine's folder, or correct the serial in the site file.",
    "TLOG_VERSION": "Check the machine's software; this version of the log is not known yet.",
}


def advice(code: str | None) -> str:
    """One or two sentences; the code's own message says what was found and where."""
    typed = (code or "").startswith("SRT_")  # what people write themselves
    return ADVICE.get(code or "", CORRECT if typed else AGAIN)
