"""The printed report of one check of a kV unit: what an inspector asks for, and a place to sign.

No patient is in it, and no remark that somebody typed beside the readings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from analyzers.core import Limits, Metric
from analyzers.output_checks import CheckType, escaped
from analyzers.output_factors import budget_of
from analyzers.output_metrics import (
    DEVIATION,
    JUDGED_AS,
    OUTPUT,
    SPREAD,
    UNCERTAINTY_K1,
    UNCERTAINTY_K2,
    WITHOUT_REFERENCE,
)
from analyzers.srt_routine import BY_ID
from analyzers.srt_tables import KINDS
from dashboards.reports.check_record import (
    ANALYZER,
    CheckRecord,
    RowRecord,
    Source,
    check_record,
    check_types,
)
from dashboards.reports.document import (
    Block,
    Cell,
    Code,
    Column,
    Document,
    Facts,
    Formula,
    Heading,
    Items,
    Mark,
    Notice,
    Paper,
    Paragraph,
    Signature,
    Strong,
    Symbol,
    Table,
    pdf,
)
from dashboards.reports.output_factors_table import (
    NONE,
    deviation,
    factor_tables,
    fixed,
    other_readings,
)
from dashboards.web.wording import LOOKS, action_of, local, quantity, tolerance_of
from qa_daemon.model import SOFTWARE, Verdict
from qa_daemon.site.site import Site
from qa_daemon.site.srt_rules import RULES
from qa_daemon.site.srt_settings import Instrument
from qa_daemon.store.queries import StoredMeasurement
from qa_daemon.store.routine_done import BY_METRIC, OUTPUTS

MOST_ROWS = 500
TITLES = {
    CheckType.WARMUP: "Warm-up",
    CheckType.DAILY: "Daily output check",
    CheckType.MONTHLY: "Monthly output check",
    CheckType.ANNUAL: "Annual output check",
    CheckType.ABSOLUTE: "Absolute output calibration",
    CheckType.APPLICATOR_FACTOR: "Applicator factors",
    CheckType.TIMER: "Test of the timer",
    CheckType.LINEARITY: "Linearity of the timer",
    CheckType.HVL: "Half-value layer",
    CheckType.REPRODUCIBILITY: "Reproducibility",
    CheckType.ANGLE: "Output with the head turned",
    CheckType.PDD: "Depth dose",
    CheckType.PROFILE: "Profile",
}
IN_BEAM_TABLE = {m.name for m in (OUTPUT, DEVIATION, UNCERTAINTY_K1, UNCERTAINTY_K2, SPREAD)}
COMPONENTS = {
    "N_K": Symbol("N_K", "calibration"),
    "P_stem": Symbol("P_stem", "stem"),
    "P_TP": Symbol("P_TP", "air density"),
    "B_w": Symbol("B_w", "backscatter"),
    "mu_en ratio": Symbol("mu_en", "water to air"),
}
FACTORS_OF_A_ROW = ": M_raw "


@dataclass(frozen=True, slots=True)
class Judged:
    """A number of the check: which test of the routine it is, if any, and what it means."""

    test: str
    analyzer: str
    measured: StoredMeasurement
    metric: Metric | None


def output_report(source: Source, result: int, paper: Paper = "a4") -> bytes:
    """The report of a check as PDF; the same records give the same bytes.

    Raises `CannotReport` for a result that is no check of a kV unit.
    """
    return pdf(document(source.site, check_record(source, result), paper))


def document(site: Site, record: CheckRecord, paper: Paper = "a4") -> Document:
    """The report as blocks."""
    result, look = record.result, LOOKS[record.result.verdict]
    return Document(
        title="; ".join(TITLES[kind] for kind in check_types(record)) or "Routine checks",
        subtitle=_unit(record),
        clinic=site.name,
        running=f"{record.unit.name}, {record.at.astimezone(site.zone):%Y-%m-%d}",
        footer=f"Result {result.id}, file SHA-256 {result.sha256[:16]}…, QA Daemon {SOFTWARE}",
        as_of=_as_of(record),
        verdict=Mark(look.name, look.word),
        blocks=tuple(_blocks(site, record)),
        paper=paper,
    )


def _blocks(site: Site, record: CheckRecord) -> Iterator[Block]:
    judged = _judged(site, record)
    yield from _warnings(site, record)
    yield _facts(site, record)
    yield from _outputs(record)
    yield from _further(judged)
    yield from _instruments(site, record)
    yield from _factors(record)
    yield from _uncertainty(record)
    yield from _catalogue(judged)
    yield from _remarks(record)
    yield from _tables(site, record)
    yield from _origin(site, record)
    yield from _signature(site, record)


def _warnings(site: Site, record: CheckRecord) -> Iterator[Block]:
    """What changes the meaning of all that follows stands first."""
    result = record.result
    if not result.active:
        by = f" by result {result.superseded_by}" if result.superseded_by else ""
        yield Notice(f"SUPERSEDED{by}: this is not the result in force. Use the newer report.")
    if record.file_fault:
        yield Notice(f"Factors and performer are not shown: {record.file_fault}.")
    off = [one.row.beam for one in record.rows if not one.agrees]
    if off:
        yield Notice(
            f"Worked out again from the archived file, this version does not get the stored number "
            f"of: {', '.join(dict.fromkeys(off))}. The results shown are the stored ones."
        )
    for analysis in result.analyses:
        if analysis.failure:
            yield Notice(f"Could not be answered: {analysis.failure}.")
    if result.verdict is None:
        yield Notice(f"Nothing was judged, so nothing is passed: {result.not_judged}.")
    for block in record.blocks:
        said = f"Blocked the unit: {block.said}, {local(block.at, site.zone)}."
        if block.demands_calibration:
            said += " More than 5 % off: a full calibration, unless a repeat was in its limits."
        if block.cleared_by is None:
            yield Notice(f"{said} NOT CLEARED: no treatment until a physicist clears the unit.")
        else:
            cleared = f"{block.cleared_by}, {local(block.cleared_at, site.zone)}"
            yield Notice(f"{said} Cleared by {cleared}: {block.cleared_reason}", bad=False)


def _facts(site: Site, record: CheckRecord) -> Facts:
    unit, rules = record.unit, RULES[record.unit.srt.rules if record.unit.srt else "none"]
    times = [one.row.performed_at for one in record.rows] or [record.at]
    rows: list[tuple[str, Cell]] = [
        ("Clinic", site.name),
        ("Performed", _span(min(times).astimezone(site.zone), max(times).astimezone(site.zone))),
        ("Unit", _unit(record)),
        ("Performed by", _performers(site, record)),
        ("Serial number", unit.serial or "not in the site file"),
        ("Result", str(record.result.id)),
        ("Rules", f"{rules.title} ({rules.source})"),
        ("Signature", _signed(site, record)),
    ]
    return Facts(rows)


def _span(first: datetime, last: datetime) -> str:
    if first.date() != last.date():
        return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M %Z}"
    to = "" if f"{first:%H:%M}" == f"{last:%H:%M}" else f" to {last:%H:%M}"
    return f"{first:%Y-%m-%d %H:%M}{to} {last:%Z}"


def _unit(record: CheckRecord) -> str:
    model = record.unit.srt.model if record.unit.srt else None
    told = record.rows[0].row.unit_model if record.rows else None
    return f"{record.unit.name}, {model or told or 'superficial kV unit'}"


def _performers(site: Site, record: CheckRecord) -> str:
    """Initials as the file has them, with the role that the site file gives them."""
    roles = {(p.initials or "").casefold(): p.role for p in site.file.person if p.initials}
    said = [
        f"{escaped(name)} ({role})" if (role := roles.get(name.casefold())) else escaped(name)
        for name in record.operators
    ]
    return ", ".join(said) or "not known"


def _outputs(record: CheckRecord) -> Iterator[Block]:
    """A line for each output, with what it was held against."""
    rows = _shown(_with_output(record))
    if not rows:
        return
    yield Heading("Outputs")
    columns = [
        Column("Beam"),
        Column("Test"),
        Column("Output / (Gy/min)", right=True),
        Column("Baseline / (Gy/min)", right=True),
        Column("Deviation / %", right=True),
        Column("Tolerance", right=True),
        Column("Action", right=True),
        Column(Symbol("U", "(k = 2) / %"), right=True),
        Column("Verdict", share=1),
    ]
    yield Table(columns, [_output(one) for one in rows])
    said: dict[str, list[str]] = {}
    for one in rows:
        if one.baseline_said:
            said.setdefault(one.baseline_said, []).append(one.row.beam)
    for whose, beams in said.items():
        yield Paragraph(f"Baseline of {', '.join(dict.fromkeys(beams))}: {whose}.")
    left = len(_with_output(record)) - len(rows)
    if left:
        yield Notice(f"{left} more outputs of this check are not shown: see its page.")


def _output(one: RowRecord) -> list[Cell]:
    off = one.deviation
    look = LOOKS[off.verdict if off is not None else None]
    return [
        one.row.beam,
        _test_of(one) if off is not None else NONE,
        fixed(one.output.value if one.output else None, 4),
        fixed(one.baseline_gy_per_min, 4),
        Strong(deviation(off)) if off is not None else NONE,
        tolerance_of(off.limits, "%") if off is not None else NONE,
        action_of(off.limits, "%") if off is not None else NONE,
        fixed(one.k2.value if one.k2 else None, 2),
        Mark(look.name, look.word),
    ]


def _further(judged: Sequence[Judged]) -> Iterator[Block]:
    rows = [one for one in judged if not _is_in_beam_table(one) and not _is_silent(one)]
    if not rows:
        return
    yield Heading("Further numbers")
    columns = [
        Column("Test"),
        Column("Quantity", share=2),
        Column("At", share=1.2),
        Column("Value", right=True),
        Column("Tolerance", right=True),
        Column("Action", right=True),
        Column("Verdict"),
    ]
    yield Table(columns, [_number(one) for one in rows])


def _number(one: Judged) -> list[Cell]:
    measured, look = one.measured, LOOKS[one.measured.verdict]
    title = one.metric.meaning if one.metric else measured.metric.replace("_", " ")
    if one.test in BY_ID:
        title = BY_ID[one.test].title
    is_answer = one.test in BY_ID and BY_ID[one.test].is_functional
    value = quantity(measured.value, measured.unit, measured.limits)
    if is_answer:
        value = "in order" if measured.value else "not in order"
    bare = is_answer or measured.verdict is None
    return [
        one.test or NONE,
        title,
        measured.at or NONE,
        value,
        NONE if bare else tolerance_of(measured.limits, measured.unit) or NONE,
        NONE if bare else action_of(measured.limits, measured.unit) or NONE,
        Mark(look.name, look.word),
    ]


def _instruments(site: Site, record: CheckRecord) -> Iterator[Block]:
    used = [
        (kind, serial)
        for kind, serials in (
            ("chamber", [one.row.chamber_sn for one in record.rows]),
            ("electrometer", [one.row.electrometer_sn for one in record.rows]),
        )
        for serial in dict.fromkeys(serials)
    ]
    if not used:
        return
    day = record.at.astimezone(site.zone).date()
    yield Heading("Instruments")
    columns = [Column(title) for title in ("Instrument", "Model", "Serial number")]
    columns += [Column(title) for title in ("Calibrated", "Expires")]
    columns += [Column("On the day of the check", share=1)]
    known = site.file.instrument
    rows: list[list[Cell]] = []
    for kind, serial in used:
        fits = (i for i in known if i.kind == kind and i.serial.casefold() == serial.casefold())
        found = next(fits, None)
        rows.append(
            _instrument(found, day)
            if found is not None
            else [kind, NONE, escaped(serial), NONE, NONE, Strong("not in the site file")]
        )
    rows += [_instrument(i, day) for i in known if i.kind in ("barometer", "thermometer")]
    yield Table(columns, rows)


def _instrument(one: Instrument, day: date) -> list[Cell]:
    holds = one.calibrated <= day < one.expires
    state = f"in force, {(one.expires - day).days} days left"
    return [
        one.kind,
        one.model,
        escaped(one.serial),
        str(one.calibrated),
        str(one.expires),
        state if holds else Strong("OUT OF CALIBRATION"),
    ]


def _factors(record: CheckRecord) -> Iterator[Block]:
    rows = _shown(_with_output(record))
    if rows:
        yield Heading("Factors of each output, AAPM TG-61 in air")
        yield from factor_tables(rows)
        kinds = dict.fromkeys(_formula(one) for one in rows)
        for name in (*kinds, "air density", "deviation"):
            yield Formula(name)
    others = [one for one in record.rows if one.output is None and one.chain is not None]
    others += [one for one in record.rows if one.chain is None]
    if others:
        yield Heading("Other readings")
        yield other_readings(_shown(others))
        if len(others) > MOST_ROWS:
            yield Notice(f"{len(others) - MOST_ROWS} more rows are not shown.")


def _formula(one: RowRecord) -> str:
    is_water = one.chain is not None and one.chain.b_w is not None
    return "dose to water" if is_water else "air kerma"


def _uncertainty(record: CheckRecord) -> Iterator[Block]:
    """The components of each kind of budget; those of the readings stand with the factors."""
    budgets = {_formula(one): budget_of(one.row) for one in _with_output(record)}
    if not budgets:
        return
    yield Heading("Uncertainty")
    yield Formula("uncertainty")
    for kind, budget in budgets.items():
        columns = [
            Column(f"Component of the {kind} rate", share=1),
            Column("u / %", right=True),
            Column("Type"),
            Column("Source", share=2.2),
        ]
        shown = [c for c in budget.components if c.evaluated == "B"]
        yield Table(
            columns,
            [
                [COMPONENTS.get(c.name, c.name), fixed(c.percent, 2), c.evaluated, c.source]
                for c in shown
            ],
        )


def _catalogue(judged: Sequence[Judged]) -> Iterator[Block]:
    """The tests of the routine that were done, what judged them, and what the routine says."""
    rows: dict[tuple[str, str], list[Cell]] = {}
    for one in judged:
        test = BY_ID.get(one.test)
        if test is None or one.measured.verdict is None:
            continue
        limits, unit = one.measured.limits, one.measured.unit
        rows.setdefault(
            (test.id, limits.source or ""),
            [
                test.id,
                f"{test.title} ({test.frequency.value})",
                _both(limits, unit) if not test.is_functional else "works",
                limits.source or NONE,
                _default(test.limits, test.unit),
            ],
        )
    if not rows:
        return
    yield Heading("Tests of the QA catalogue and their limits")
    columns = [
        Column("Test"),
        Column("What is tested", share=1.3),
        Column("Tolerance; action"),
        Column("Limits from", share=1),
        Column("The catalogue's own", share=1.3),
    ]
    yield Table(columns, list(rows.values()))


def _both(limits: Limits, unit: str) -> str:
    return f"{tolerance_of(limits, unit) or NONE}; {action_of(limits, unit) or NONE}"


def _default(limits: Limits | None, unit: str | None) -> str:
    if limits is None:
        return "it works, or it does not"
    return f"{_both(limits, unit or '')}: {limits.source}"


def _remarks(record: CheckRecord) -> Iterator[Block]:
    notes = [
        note
        for analysis in record.result.analyses
        for note in (*analysis.notes, *filter(None, [analysis.not_applicable]))
        if FACTORS_OF_A_ROW not in note
    ]
    said: list[Cell] = [*record.result.warnings, *notes]
    if said:
        yield Heading("Remarks and warnings")
        yield Items(said[:MOST_ROWS])


def _tables(site: Site, record: CheckRecord) -> Iterator[Block]:
    if not record.tables:
        return
    yield Heading("Signed tables of the unit on that day")
    columns = [Column("Table", share=1), Column("From"), Column("Signed", share=1.2)]
    columns += [Column("SHA-256", share=1.6)]
    yield Table(
        columns,
        [
            [
                f"{KINDS[one.kind].title} (table {one.id})",
                one.valid_from,
                f"{one.signed_by}, {local(one.signed_at, site.zone)}",
                Code(one.sha256[:32]),
            ]
            for one in record.tables
        ],
    )
    if any(one.row.bsf is not None for one in record.rows):
        yield Paragraph("B_w and the mu_en ratio of the outputs are those that the file states.")


def _origin(site: Site, record: CheckRecord) -> Iterator[Block]:
    result = record.result
    analyzers = ", ".join(f"{a.analyzer} {a.version}" for a in result.analyses)
    yield Heading("Where this comes from")
    yield Facts(
        [
            ("File, SHA-256", Code(result.sha256)),
            ("Format", result.format or NONE),
            ("Received", local(result.arrived_at, site.zone)),
            ("Judged", local(result.created_at, site.zone)),
            ("Judged by", f"QA Daemon {result.software}, {analyzers}"),
            ("Settings of the site", f"fingerprint {result.site_hash}"),
        ],
        columns=1,
    )


def _signature(site: Site, record: CheckRecord) -> Iterator[Block]:
    signed = record.signature
    yield Heading("Review by a qualified medical physicist")
    if signed is not None:
        yield Paragraph(
            f"Signed in QA Daemon by {signed.actor}, {local(signed.at, site.zone)}: {signed.remark}"
        )
        yield Signature([("Name", signed.actor), ("Signed", local(signed.at, site.zone))])
    else:
        yield Paragraph("Not signed in QA Daemon.")
        yield Signature([("Name and signature", None), ("Date", None)])


def _signed(site: Site, record: CheckRecord) -> Cell:
    signed = record.signature
    if signed is None:
        return Strong("not signed")
    return f"{signed.actor}, {local(signed.at, site.zone)}"


def _judged(site: Site, record: CheckRecord) -> list[Judged]:
    tests = {one.deviation.at: _test_of(one) for one in record.rows if one.deviation is not None}
    found = []
    for analysis in record.result.analyses:
        for measured in analysis.measurements:
            name = (analysis.analyzer, measured.metric)
            is_deviation = name == (ANALYZER, DEVIATION.name)
            test = tests.get(measured.at, "") if is_deviation else BY_METRIC.get(name, "")
            metric = site.metrics.get(".".join(name))
            found.append(Judged(test, analysis.analyzer, measured, metric))
    return found


def _test_of(one: RowRecord) -> str:
    judged_as = JUDGED_AS[one.row.check_type]
    return OUTPUTS.get(judged_as.name if judged_as is not None else None, "")


def _is_in_beam_table(one: Judged) -> bool:
    return one.analyzer == ANALYZER and one.measured.metric in IN_BEAM_TABLE


def _is_silent(one: Judged) -> bool:
    measured = one.measured
    return measured.metric == WITHOUT_REFERENCE.name and measured.verdict is Verdict.PASS


def _with_output(record: CheckRecord) -> list[RowRecord]:
    return [one for one in record.rows if one.output is not None]


def _shown(rows: Sequence[RowRecord]) -> list[RowRecord]:
    return list(rows[:MOST_ROWS])


def _as_of(record: CheckRecord) -> datetime:
    """When the newest of these records was written."""
    times: Iterable[str | None] = [record.result.created_at]
    times = [*times, *(block.at for block in record.blocks)]
    times = [*times, *(block.cleared_at for block in record.blocks)]
    times = [*times, record.signature.at if record.signature else None]
    return max(datetime.fromisoformat(at) for at in times if at is not None)
