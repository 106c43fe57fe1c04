"""The command `qa-daemon`.  Every command imports what it needs when it is called: help is quick.

Exit codes: 0 ran; 1 something at ACTION or INVALID (`analyze` only); 2 usage; 65 an input was
unreadable; 69 a service is unavailable; 70 our bug; 74 input or output; 78 configuration.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="qa-daemon",
    help="Treatment-delivery QA: machine logs in, verdicts, trends and alerts out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
quarantine = typer.Typer(help="Files that could not be read.", no_args_is_help=True)
audit = typer.Typer(help="The audit trail.", no_args_is_help=True)
db = typer.Typer(help="The store.", no_args_is_help=True)
alerts = typer.Typer(help="Messages to people.", no_args_is_help=True)
oncall = typer.Typer(help="Who is on call.", no_args_is_help=True)
people = typer.Typer(help="Who may sign in to the pages.", no_args_is_help=True)
imager = typer.Typer(help="Portal imagers.", no_args_is_help=True)
srt = typer.Typer(help="Superficial kV units.", no_args_is_help=True)
events = typer.Typer(help="What was done to machines.", no_args_is_help=True)
grafana = typer.Typer(help="Dashboards for Grafana.", no_args_is_help=True)
export = typer.Typer(help="Documents for others.", no_args_is_help=True)
srt_table = typer.Typer(help="Tables of a unit.", no_args_is_help=True)
srt.add_typer(srt_table, name="table")
for name, group in (
    ("quarantine", quarantine),
    ("audit", audit),
    ("db", db),
    ("alerts", alerts),
    ("oncall", oncall),
    ("people", people),
    ("imager", imager),
    ("srt", srt),
    ("events", events),
    ("grafana", grafana),
    ("export", export),
):
    app.add_typer(group, name=name)

Config = Annotated[Path, typer.Option("--config", help="The site file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Paths = Annotated[list[Path], typer.Argument(help="Files or folders.", show_default=False)]


@app.command()
def run(config: Config) -> None:
    """Run the daemon: ingest, analysis, sinks, alerts and pages."""
    from qa_daemon.commands import service

    service.run(config)


@app.command()
def demo(
    directory: Annotated[Path, typer.Option("--dir", help="Where the demo clinic lives.")],
    days: Annotated[int, typer.Option(min=1, max=400, help="Days of history.")] = 20,
    port: Annotated[int, typer.Option(help="Port of the pages.")] = 8765,
    serve: Annotated[bool, typer.Option(help="Serve the pages when done.")] = True,
) -> None:
    """Build a demo clinic, process it through the real pipeline, and serve it."""
    from qa_daemon.commands import demo as command

    command.demo(directory, days, port, pages=serve)


@app.command()
def analyze(
    paths: Paths,
    config: Annotated[Path | None, typer.Option("--config", help="The site file.")] = None,
    mlc: Annotated[
        str | None, typer.Option("--mlc", help="MLC model where no file and no site says it.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="The RT plan that the logs are of.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Analyze files once, without a store.  Exit 1: ACTION or INVALID; 65: unreadable input."""
    from qa_daemon.commands import analyze as command

    raise typer.Exit(command.analyze(paths, config, as_json=as_json, mlc=mlc, plan=plan))


@app.command()
def ingest(
    paths: Paths,
    config: Config,
    wait: Annotated[bool, typer.Option("--wait", help="Until all have a result.")] = False,
) -> None:
    """Put files into the site's store, as if they had arrived."""
    from qa_daemon.commands import service

    raise typer.Exit(service.ingest(paths, config, wait=wait))


@app.command()
def status(config: Config, as_json: AsJson = False) -> None:
    """Counts by state, backlog, last result per machine, sink lag, open alerts."""
    from qa_daemon.commands import store

    store.status(config, as_json=as_json)


@app.command()
def results(
    config: Config,
    machine: Annotated[str | None, typer.Option(help="Only this machine.")] = None,
    since: Annotated[str | None, typer.Option(help="Date or time, ISO.")] = None,
    as_json: AsJson = False,
) -> None:
    """Stored results, newest first."""
    from qa_daemon.commands import store

    store.results(config, machine, since, as_json=as_json)


@app.command()
def reprocess(
    config: Config,
    machine: Annotated[str | None, typer.Option(help="Only this machine.")] = None,
    since: Annotated[str | None, typer.Option(help="Date or time, ISO.")] = None,
) -> None:
    """Queue files again: new results supersede the old ones."""
    from qa_daemon.commands import store

    store.reprocess(config, machine, since)


@app.command()
def replay(
    config: Config,
    sink: Annotated[str, typer.Option(help="Which sink: influx.")],
    since: Annotated[str, typer.Option(help="Date or time, ISO.")],
) -> None:
    """Send stored results to a sink again; it writes the same points."""
    from qa_daemon.commands import store

    store.replay(config, sink, since)


@quarantine.command("list")
def quarantine_list(config: Config, as_json: AsJson = False) -> None:
    """Every file that could not be read, with the reason."""
    from qa_daemon.commands import store

    store.quarantine_list(config, as_json=as_json)


@quarantine.command("release")
def quarantine_release(
    result: Annotated[int, typer.Argument(help="Number in the list.", min=1, max=2**31)],
    config: Config,
) -> None:
    """Try a file again."""
    from qa_daemon.commands import store

    store.quarantine_release(config, result)


@audit.command("verify")
def audit_verify(config: Config) -> None:
    """Check the chain of the audit trail."""
    from qa_daemon.commands import store

    store.audit_verify(config)


@db.command("upgrade")
def db_upgrade(config: Config) -> None:
    """Bring the store to this version's schema."""
    from qa_daemon.commands import store

    store.upgrade(config)


@db.command("backup")
def db_backup(config: Config, to: Annotated[Path, typer.Argument(help="A new file.")]) -> None:
    """Copy the store while it is in use."""
    from qa_daemon.commands import store

    store.backup(config, to)


@db.command("verify")
def db_verify(config: Config) -> None:
    """Check the store's file, the audit chain and the archive's content."""
    from qa_daemon.commands import store

    store.verify(config)


@alerts.command("test")
def alerts_test(
    config: Config,
    person: Annotated[str | None, typer.Option(help="Instead of who is on call.")] = None,
) -> None:
    """Send a test message."""
    from qa_daemon.commands import people as command

    command.send_test(config, person)


@oncall.command("who")
def oncall_who(config: Config) -> None:
    """Who is on call now, and until when."""
    from qa_daemon.commands import people as command

    command.who(config)


@people.command("password")
def people_password(
    name: Annotated[str, typer.Argument(help="The name of a [[person]].")], config: Config
) -> None:
    """Set a person's password: asked for twice on a terminal, else the first line of the input."""
    from qa_daemon.commands import people as command

    command.set_password(config, name)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def simulate(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="What to write: trajectory-log.")],
    out: Annotated[Path, typer.Option("--out", help="The new file.")],
) -> None:
    """Write one valid file of a format with stated errors, given as `--name value`."""
    from qa_daemon.commands import simulate as command

    command.simulate(kind, out, context.args)


@app.command()
def catalogue(
    as_json: AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
) -> None:
    """Every format, analyzer, metric, unit, limit and its source."""
    from qa_daemon.commands import catalogue as command

    command.catalogue(as_json=as_json, as_markdown=as_markdown)


@grafana.command("render")
def grafana_render(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that Grafana mounts.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="The site file; else for any site.")
    ] = None,
) -> None:
    """Write dashboards and the files that provision them; what has not changed is left alone."""
    from dashboards.grafana import command

    command.render(folder, config)


@grafana.command("push")
def grafana_push(
    url: Annotated[str, typer.Option(help="Address of Grafana, with its port.")],
    token_file: Annotated[Path, typer.Option(help="Token of a service account, Editor.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="The site file; else for any site.")
    ] = None,
) -> None:
    """Write the dashboards over HTTP; what has not changed is left alone.  69: no answer."""
    from dashboards.grafana import command

    command.push(url, token_file, config)


@app.command("check-config")
def check_config(config: Config) -> None:
    """Check a site file and print what is in force, secrets left out."""
    from qa_daemon.commands import doctor

    doctor.check_config(config)


@app.command()
def doctor(config: Config) -> None:
    """Check that folders, state, sinks and people can be reached."""
    from qa_daemon.commands import doctor as command

    raise typer.Exit(command.doctor(config))


@imager.command("fit")
def imager_fit(
    images: Annotated[list[Path], typer.Argument(help="Images of open fields, 3 cm to largest.")],
    machine: Annotated[str, typer.Option(help="Name of the machine.")],
    energy: Annotated[str, typer.Option(help="As logs write it: 6x, 10xFFF.")],
    out: Annotated[Path, typer.Option(help="The file of the model, made anew.")],
    leaf_transmission: Annotated[
        float, typer.Option(min=0.0, max=0.1, help="Share through the leaves, as in the plans.")
    ] = 0.015,
    leaf_gap_mm: Annotated[
        float, typer.Option(min=0.0, max=5.0, help="Dosimetric leaf gap, as in the plans.")
    ] = 0.0,
    who: Annotated[str, typer.Option(help="Who answers for it; left out: who is at work.")] = "",
) -> None:
    """Fit the imager's kernel to open fields and print what is left.  65: refused."""
    from qa_daemon.commands import imager as command

    beam = command.Commissioned(machine, energy, leaf_transmission, leaf_gap_mm, who or _user())
    raise typer.Exit(command.fit(images, beam, out))


@srt.command("mapping")
def srt_mapping(
    sheet_file: Annotated[Path, typer.Argument(metavar="SHEET", help="A workbook or CSV table.")],
    sheet: Annotated[str | None, typer.Option(help="Name of the sheet; else the first.")] = None,
    header_row: Annotated[int | None, typer.Option(min=1, help="Row of the headers.")] = None,
    out: Annotated[Path | None, typer.Option(help="A new file; else the draft is printed.")] = None,
) -> None:
    """Draft what the columns of your own table mean, for you to complete.  65: refused."""
    from qa_daemon.commands import srt as command

    raise typer.Exit(command.mapping(sheet_file, sheet, header_row, out))


@events.command("import")
def events_import(
    file: Annotated[Path, typer.Argument(help="CSV: machine, kind, at, said, analyzer.")],
    config: Config,
) -> None:
    """Enter service events from a table; trends are cut at each.  65: refused whole."""
    from qa_daemon.commands import events as command

    raise typer.Exit(command.import_events(file, config))


@srt_table.command("import")
def srt_table_import(
    file: Annotated[Path, typer.Argument(help="JSON or CSV, schema qa_srt_table.")],
    config: Config,
    unit: Annotated[str, typer.Option(help="Name of the unit.")],
) -> None:
    """Import a table of a unit; a physicist signs it on the unit's page.  65: refused."""
    from qa_daemon.commands import srt_tables as command

    raise typer.Exit(command.import_table(file, config, unit))


@srt.command("report")
def srt_report(
    result: Annotated[int, typer.Argument(help="Number of the check's result.", min=1)],
    config: Config,
    out: Annotated[Path, typer.Option("--out", help="The new file, PDF.")],
) -> None:
    """Write the printable report of a check of a unit."""
    from qa_daemon.commands import srt_report as command

    command.report(result, config, out)


@srt.command("time")
def srt_time(
    config: Config,
    unit: Annotated[str, typer.Option(help="Name of the unit.")],
    kvp: Annotated[float, typer.Option(help="kV.")],
    applicator: Annotated[str, typer.Option(help="As the site file has it.")],
    dose: Annotated[float, typer.Option(help="Prescribed dose, Gy to water.")],
    depth: Annotated[float, typer.Option(help="Prescribed depth, mm; 0: the surface.")],
    filter_id: Annotated[
        str | None, typer.Option("--filter", help="Where the kV has several.")
    ] = None,
    gap: Annotated[float, typer.Option(help="Stand-off, cm.")] = 0.0,
    cutout: Annotated[float | None, typer.Option(help="Equivalent diameter, cm.")] = None,
    shield: Annotated[float | None, typer.Option(help="Transmission, 0 to 1.")] = None,
    end_effect: Annotated[
        float | None, typer.Option(help="s; left out: the unit's accepted check.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Treatment time now, with every factor: a check of a plan.  Exit 1: no answer."""
    from analyzers.srt_treatments import Setup
    from qa_daemon.commands import srt_time as command

    setup = Setup(
        kvp=kvp,
        filter_id=filter_id or "",
        applicator_id=applicator,
        ssd_cm=0.0,  # the applicator's own
        gap_cm=gap,
        cutout_diameter_cm=cutout,
        shield=shield,
    )
    prescribed = command.Prescribed(dose, depth, end_effect)
    raise typer.Exit(command.treatment_time(config, unit, setup, prescribed, as_json=as_json))


@export.callback()
def export_group() -> None:
    """Documents for others."""


@export.command("monthly")
def export_monthly(
    config: Config,
    month: Annotated[str, typer.Option(help="Like 2026-03; or last.")],
    out: Annotated[Path, typer.Option("--out", help="A folder; made where there is none.")],
    machine: Annotated[str | None, typer.Option(help="Only this machine.")] = None,
) -> None:
    """Write the compliance package of a month: PDF, XLSX, CSV, JSON and their hashes."""
    from qa_daemon.commands import month as command

    command.monthly(config, month, machine, out)


def _user() -> str:
    from getpass import getuser

    return getuser()


def main() -> None:
    """Entry point: known failures end with a sentence and their exit code, not a traceback."""
    from qa_daemon.failures import exit_code_of

    try:
        app()
    except Exception as why:  # noqa: BLE001 - the boundary: a bug ends with its trace and 70
        code, sentence = exit_code_of(why)
        typer.echo(sentence or traceback.format_exc(), err=True)
        sys.exit(code)


if __name__ == "__main__":
    main()
