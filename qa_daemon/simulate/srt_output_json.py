"""Write a session of output checks of a superficial unit as JSON."""

from __future__ import annotations

from analyzers.output_text import as_json
from qa_daemon.simulate.srt_session import writer

KIND = "srt-output-json"
simulate = writer(as_json)
