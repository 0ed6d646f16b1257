"""What became of a transfer whose process ended while it published."""

from __future__ import annotations

from migration.connectors.base import Connector
from migration.journal import Entry, Journal
from migration.transfer_model import TransferRequest


def settle(journal: Journal, entry: Entry, target: Connector) -> bool:
    """A transfer that ended while it published: True if the target has it.

    Publishing removes the staging table, or rows of it, in the step that shows the rows. What is left of it is dropped.
    """
    published = True
    if entry.staging is not None:
        with target.writer() as writer:
            published = writer.has_published(entry.staging, entry.rows_done)
            writer.drop(entry.staging)
    if published:
        journal.finish(entry.id, watermark_of=TransferRequest.from_json(entry.request).watermark_key)
    else:
        journal.update(entry.id, state="failed", error="ended before it was published", staging=None)
    return published
