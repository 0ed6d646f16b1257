"""A plan as rows: what EXPLAIN TRANSFER shows is what ``run`` carries out."""

from __future__ import annotations

from migration.dialects import contract
from migration.dialects.quoting import quote_path
from migration.transfer.plan import TransferPlan, is_ranged, range_count


def explain(item: TransferPlan) -> list[tuple[str, str, int | None]]:
    """The plan as rows (step, detail, rows), in the order of the steps."""
    request, options = item.request, item.request.options
    label = request.target_label
    rows: list[tuple[str, str, int | None]] = [
        (
            "source",
            f"{request.source_label} in one snapshot"
            if item.reader.consistent
            else f"{request.source_label}, without a snapshot",
            item.rows,
        )
    ]
    for column in item.columns:
        rows.append(("column", f"{column.name}: {column.detail}", None))
        for guard in column.mapping.guards:
            rows.append(("condition", f"{column.name}: {guard}", None))
    rows += [("skip", name, None) for name in options.skip]
    if item.target_exists and not item.create_statements:
        rows.append(("target", f"{label} exists and keeps its shape", None))
    else:
        rows += [("create", statement, None) for statement in item.create_statements]
    for choice in item.layout.choices if item.layout else ():
        what = ", ".join(choice.columns) or choice.value
        rows.append(("layout", f"{choice.clause} {what}: {choice.reason}", None))
    rows.append(
        ("staging", f"a table beside {quote_path(request.target, contract(item.target.dialect))}", None)
    )
    pieces = "in one piece"
    if is_ranged(item):
        pieces = f"in {range_count(item)} pieces by {item.range_column}, each committed and resumable"
    rows.append(
        (
            "move",
            f"batches of at most {item.batch_rows} rows or {options.batch_bytes} bytes, {pieces}",
            item.rows,
        )
    )
    rows.append(("verify", f"{options.verify} on staging before anything is published", None))
    rows.append(("publish", f"{item.write_mode}: {item.publish_method}", None))
    rows += [("note", note, None) for note in item.notes]
    return rows
