"""The service's own words: verdicts, the life of a file, and what a worker reports."""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum, IntEnum, StrEnum
from importlib.metadata import version
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from analyzers.core import Limits
from analyzers.image_pins import Pin
from analyzers.output_registry import RegisteredUnit
from analyzers.sheet_sessions import ClinicSheet
from analyzers.srt_treatments import TreatmentInputs

SOFTWARE = version("qa-daemon")


class Verdict(IntEnum):
    """What the clinic's limits say of a number; ordered, the worst decides."""

    PASS = 0
    TOLERANCE = 1
    ACTION = 2
    INVALID = 3


class State(StrEnum):
    """Where a file is in its life; SETTLING is known to the scanner alone and never stored."""

    SETTLING = "settling"
    QUEUED = "queued"
    WAITING = "waiting"
    DONE = "done"
    QUARANTINED = "quarantined"
    DUPLICATE = "duplicate"
    REPLACED = "replaced"


class MatchState(StrEnum):
    """What is known of the plan of a log."""

    MATCHED = "matched"
    NEEDS_A_MATCH = "needs a match"
    OTHER_SHAPE = "other shape"
    FAILED = "failed"
    ABSENT = "absent"
    WAITING = "waiting"


class Event(Enum):
    """What can happen to a file."""

    ARCHIVED = "stopped growing; copied into the archive"
    SAME_CONTENT = "its content is in the archive already"
    SAME_IMAGE = "it is an image or an output check that is here already, in other bytes"
    JUDGED = "read, measured and judged"
    UNREADABLE = "not what its format says, or it killed its worker"
    LACKS_INPUT = "needs a file that has not arrived"
    INPUT_CAME = "a file it belongs with arrived"
    NOT_COMING = "what it needs has not arrived in the time that it was given"
    RELEASED = "a person asked for another try"
    REVISED = "the same path now holds other content"
    ORIGINAL_GONE = "the file it is a copy of was revised; the copy takes its place"


NEXT: dict[tuple[State, Event], State] = {
    (State.SETTLING, Event.ARCHIVED): State.QUEUED,
    (State.SETTLING, Event.SAME_CONTENT): State.DUPLICATE,
    (State.QUEUED, Event.JUDGED): State.DONE,
    (State.QUEUED, Event.UNREADABLE): State.QUARANTINED,
    (State.QUEUED, Event.LACKS_INPUT): State.WAITING,
    (State.QUEUED, Event.INPUT_CAME): State.QUEUED,
    (State.QUEUED, Event.REVISED): State.REPLACED,
    (State.QUEUED, Event.RELEASED): State.QUEUED,
    (State.QUEUED, Event.SAME_IMAGE): State.DUPLICATE,
    (State.WAITING, Event.INPUT_CAME): State.QUEUED,
    (State.WAITING, Event.NOT_COMING): State.DONE,
    (State.WAITING, Event.JUDGED): State.DONE,
    (State.WAITING, Event.RELEASED): State.QUEUED,
    (State.WAITING, Event.REVISED): State.REPLACED,
    (State.WAITING, Event.SAME_IMAGE): State.DUPLICATE,
    (State.DONE, Event.JUDGED): State.DONE,
    (State.DONE, Event.INPUT_CAME): State.QUEUED,
    (State.DONE, Event.RELEASED): State.QUEUED,
    (State.DONE, Event.REVISED): State.REPLACED,
    (State.DONE, Event.SAME_IMAGE): State.DUPLICATE,
    (State.QUARANTINED, Event.RELEASED): State.QUEUED,
    (State.QUARANTINED, Event.INPUT_CAME): State.QUEUED,
    (State.QUARANTINED, Event.REVISED): State.REPLACED,
    (State.DUPLICATE, Event.REVISED): State.REPLACED,
    (State.DUPLICATE, Event.ORIGINAL_GONE): State.QUEUED,
}


def after(state: State, event: Event) -> State:
    """The state that follows; a pair that is not in the table is a bug and raises."""
    try:
        return NEXT[state, event]
    except KeyError:
        raise ValueError(f"a file that is {state.value} cannot be: {event.value}") from None


class Message(BaseModel):
    """Base of what crosses a process boundary as JSON: unknown keys and types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Value(Message):
    """One measured number; `judged_as` and `stated` as in `Measurement`."""

    metric: str
    value: FiniteFloat
    unit: str
    at: str | None = None
    reference: float | None = None
    judged_as: str | None = None
    stated: Limits | None = None


class LeafNumbers(Message):
    """Numbers of every leaf by quantity, in the order of `leaves`; None where a leaf has none."""

    leaves: tuple[Annotated[str, Field(min_length=1, max_length=20)], ...] = Field(max_length=1000)
    columns: dict[str, tuple[FiniteFloat | None, ...]] = Field(max_length=30)

    @model_validator(mode="after")
    def _as_long_as_the_leaves(self) -> LeafNumbers:
        if len(set(self.leaves)) != len(self.leaves):
            raise ValueError("a leaf is named twice")
        if any(len(column) != len(self.leaves) for column in self.columns.values()):
            raise ValueError("a column does not have a number a leaf")
        return self


class AnalysisReport(Message):
    """What one analyzer said."""

    analyzer: str
    version: str
    failure: str | None = None
    not_applicable: str | None = None
    not_judged: str | None = None
    values: tuple[Value, ...] = ()
    notes: tuple[str, ...] = ()
    leaves: LeafNumbers | None = None


class DeliveryKeys(Message):
    """What a log says by which its plan can be found; kept in the store alone.

    `field` is what an Elekta log calls the field it irradiates, label and name.
    """

    plan_uid: str | None = None
    patient_id: str | None = None
    plan_label: str | None = None
    beam_number: int | None = None
    field: str | None = None
    planned_mu: FiniteFloat | None = None


class PlannedBeam(Message):
    """One beam of a plan, as far as logs are counted against it."""

    number: int
    name: str | None = None
    meterset_mu: FiniteFloat | None = None
    energy: str | None = None
    machine: str | None = None


class PlanKeys(Message):
    """What a plan says by which its logs are found; kept in the store alone."""

    plan_uid: str | None = None
    earlier_plan_uids: tuple[str, ...] = ()
    patient_id: str | None = None
    label: str | None = None
    fractions: int | None = None
    dose_per_fraction_gy: FiniteFloat | None = None
    techniques: tuple[str, ...] = ()
    beams: tuple[PlannedBeam, ...] = ()


class RecordedBeam(Message):
    """One beam of a treatment record."""

    number: int | None
    fraction: int | None = None
    delivered_mu: FiniteFloat | None = None
    termination: str


class RecordKeys(Message):
    """What a treatment record says was treated; kept in the store alone."""

    plan_uid: str | None = None
    patient_id: str | None = None
    machine: str | None = None
    beams: tuple[RecordedBeam, ...] = ()


class ImageKeys(Message):
    """What a portal image shows, and by what it and others belong together; kept in the store.

    `kind` is one of `ImageKind`, `rule` and `evidence` say why.  `gathers`: it is one of a set that
    is judged as one.  `field_x_mm` and `field_y_mm` are the irradiated width and length at half
    the signal, at the isocenter.  Two images of one `sop_instance_uid` are the same where `pixels`
    and `exposure` are, SHA-256 of what they hold and of what they say of themselves.
    """

    kind: str
    rule: str
    evidence: str
    phantom: str | None = None
    gathers: bool = False
    plan_uid: str | None = None
    patient_id: str | None = None
    beam_number: int | None = None
    fraction: int | None = None
    study_uid: str | None = None
    sop_instance_uid: str | None = None
    pixels: str | None = None
    exposure: str | None = None
    meterset_mu: FiniteFloat | None = None
    rows: int
    columns: int
    sid_mm: FiniteFloat | None = None
    field_x_mm: FiniteFloat | None = None
    field_y_mm: FiniteFloat | None = None


class KvFractionKeys(Message):
    """One record of a fraction on a kV unit, and by what it belongs to its course; kept in the
    store alone.  `day` is the day of the record's own offset.
    """

    patient_id: str
    course_id: str
    lesion: str
    fraction: int
    fractions_planned: int
    kvp: FiniteFloat
    filter_id: str
    prescribed_gy: FiniteFloat
    prescribed_depth_mm: FiniteFloat
    day: date


class DeliveredBeam(Message):
    """A planned beam, or a part of it, that a log delivered: from one meterset to another.

    `plan` is the place of its plan among the job's.  `joinable`: the log holds nothing else, so
    that the log of the rest may be put together with it.
    """

    plan: int
    number: int
    planned_mu: FiniteFloat
    from_mu: FiniteFloat
    to_mu: FiniteFloat
    joinable: bool = True


class RivalBeam(Message):
    """A planned beam that a person may choose for a log; `plan` as in `DeliveredBeam`."""

    plan: int
    number: int
    score: FiniteFloat
    said: str


class MatchReport(Message):
    """How a log and the job's plans fit: the plan that was found, or `reason` why none."""

    state: MatchState
    reason: str | None = None
    plan: PlanKeys | None = None
    beams: tuple[DeliveredBeam, ...] = ()
    rivals: tuple[RivalBeam, ...] = ()


class PartReport(Message):
    """One record of a file that holds several: its name, and its file in the worker's scratch."""

    name: str = Field(min_length=1, max_length=200)
    scratch: str


class Report(Message):
    """What a worker found in one file: a record with its analyses, or the reason why not.

    `performed_at` is the machine's local wall time, with an offset from UTC where the file says
    one, `last_at` the time of the last row of a table.  `machine_name` is what the file calls the
    machine.
    `identity` goes to the store and nowhere else.
    `arrays` is the name of the array file the worker left in its scratch folder.  `series` is the
    kind of record where those of different kinds say nothing of one another.  `awaits` names what
    has still to come before it is judged.  `parts` are the records of a file that holds several.
    """

    format: str | None = None
    machine_class: str | None = None
    machine_serial: str | None = None
    machine_name: str | None = None
    performed_at: datetime | None = None
    last_at: datetime | None = None
    energy: str | None = None
    technique: str | None = Field(default=None, max_length=40)
    series: str | None = Field(default=None, max_length=100)
    not_judged: str | None = None
    warnings: tuple[str, ...] = ()
    identity: dict[str, str] = {}
    analyses: tuple[AnalysisReport, ...] = ()
    arrays: str | None = None
    keys: DeliveryKeys | PlanKeys | RecordKeys | ImageKeys | KvFractionKeys | None = None
    match: MatchReport | None = None
    awaits: str | None = None
    parts: tuple[PartReport, ...] = ()
    error_code: str | None = None
    error_message: str | None = None


class NamedPath(Message):
    """A file in the archive, the name it arrived under and the name of the folder it lay in."""

    path: str
    name: str
    folder: str | None = None


class Resumption(Message):
    """A further log of the same beam, which was interrupted and resumed, with its side files."""

    file: NamedPath
    companions: tuple[NamedPath, ...] = ()


class ToldKind(Message):
    """What an image shows: as a physicist said, or as its first reading told by the rules."""

    kind: str
    rule: str
    evidence: str
    phantom: str | None = None


class Partners(Message):
    """The files that an image is held against; `lacking` says by name why one is not here.

    `imager` is the model of the imager at this energy, as its file has it.
    Several baselines are taken as their mean.  Of the logs the first that fits is taken.
    """

    open_image: NamedPath | None = None
    predicted: NamedPath | None = None
    baseline: tuple[NamedPath, ...] = ()
    logs: tuple[Resumption, ...] = ()
    plan: NamedPath | None = None
    imager: str | None = None
    lacking: dict[str, str] = {}


class Job(Message):
    """One main file to read and measure, with its side files.

    `resumed_by` are the later logs of the same beam, read with it as one delivery.
    `pins`, `told_kind` and `partners` are about an image: the clinic's rules of what images show,
    what is known already of this one, and what it is held against.
    `plans` are plans of which one may be the file's; `plan_is_chosen` says that a person named the
    first.  `is_chosen_for_field`: for another log of the field, so that the others must not fit as
    well.  `doubt`: why a person has to decide, whatever fits.
    `no_plan` says why there is none where one was expected, and `no_plan_is` what that means.
    `machine_names` are what plans call the machine, `other_machine_names` the clinic's other
    machines.  `only_keys`: read it, and report no more than its keys.
    `machine_class` None means: the class the format assumes.  `mlc` is the machine's model where a
    file does not say it.  `settings` holds the site's own
    settings by analyzer, `units` what the clinic knows of its kV units, `unit_of_folder` the one in
    whose folder the file lies, `sheets` its mappings that claim the file, should it be a
    spreadsheet, `treatment` what a fraction on a kV unit is calculated with.  Arrays go to a new
    file in `scratch`.
    """

    file: NamedPath
    companions: tuple[NamedPath, ...] = ()
    resumed_by: tuple[Resumption, ...] = ()
    pins: tuple[Pin, ...] = ()
    told_kind: ToldKind | None = None
    partners: Partners = Partners()
    plans: tuple[NamedPath, ...] = ()
    plan_is_chosen: bool = False
    is_chosen_for_field: bool = False
    doubt: str | None = None
    no_plan: str | None = None
    no_plan_is: MatchState = MatchState.ABSENT
    machine_names: tuple[str, ...] = ()
    other_machine_names: tuple[str, ...] = ()
    machine_names_are_all: bool = False
    only_keys: bool = False
    machine_class: str | None = None
    mlc: str | None = None
    settings: dict[str, dict[str, object]] = {}
    units: tuple[RegisteredUnit, ...] = ()
    unit_of_folder: str | None = None
    sheets: tuple[ClinicSheet, ...] = ()
    treatment: TreatmentInputs | None = None
    scratch: str | None = None
