"""Write a session of output checks of a superficial unit as a table."""

from __future__ import annotations

from analyzers.output_text import as_csv
from qa_daemon.simulate.srt_session import writer

KIND = "srt-output-csv"
simulate = writer(as_csv)
