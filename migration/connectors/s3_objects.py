"""Objects in S3 for engines that load from there, through boto3.

Rules:

1. Everything of one load lies below a prefix that no other load has; ``clear`` takes away what is there, whether
   the load ended well or not.
2. An object is sent by one request, so nothing half-sent is left behind.
3. Keys of the datasource are used where it has some; else boto3 looks where it always does (environment, files,
   the role of the machine). No message shows them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from migration.errors import MigrationError


class S3Objects:
    """The objects below ``s3_staging`` of a datasource's ``options``. ``failed`` makes a masked error of a driver's."""

    def __init__(self, options: Mapping[str, str], failed: Callable[[str, object], MigrationError]) -> None:
        self._failed = failed
        parts = urlsplit(options.get("s3_staging", ""))
        if parts.scheme != "s3" or not parts.netloc:
            raise MigrationError(
                "HV00A",
                "option s3_staging is the address of a place in S3",
                hint="Write it as s3://bucket/prefix.",
            )
        self._bucket = parts.netloc
        self._base = parts.path.strip("/")
        try:
            boto3: Any = importlib.import_module("boto3")
            self._errors: Any = importlib.import_module("botocore.exceptions")
        except ImportError as reason:
            raise MigrationError(
                "HV000",
                "loading from S3 needs a package that is not installed",
                detail=str(reason),
                hint="pip install 'bough[redshift]'",
            ) from None
        with self._reached():
            self._client = boto3.client(
                "s3",
                region_name=options.get("s3_region"),
                endpoint_url=options.get("s3_endpoint"),
                aws_access_key_id=options.get("access_key"),
                aws_secret_access_key=options.get("secret_key"),
                aws_session_token=options.get("session_token"),
            )

    def prefix(self, *parts: str) -> str:
        """What the keys of a folder below the datasource's place begin with."""
        return "".join(f"{part}/" for part in (self._base, *parts) if part)

    def url(self, key: str) -> str:
        """The address of a key."""
        return f"s3://{self._bucket}/{key}"

    def put(self, key: str, data: bytes) -> None:
        """Stores one object."""
        with self._reached():
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data)

    def keys(self, prefix: str) -> list[str]:
        """Every key below a prefix."""
        with self._reached():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def clear(self, prefix: str) -> int:
        """Deletes every object below a prefix; how many there were. HV000 names one that could not be deleted."""
        found = self.keys(prefix)
        for start in range(0, len(found), 1000):  # as many as one request takes
            part = [{"Key": key} for key in found[start : start + 1000]]
            with self._reached():
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": part, "Quiet": True}
                )
            for refusal in answer.get("Errors", ()):
                raise self._failed("HV000", f"{self.url(refusal['Key'])}: {refusal.get('Message')}")
        return len(found)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except (self._errors.BotoCoreError, self._errors.ClientError, OSError, ValueError) as reason:
            raise self._failed("HV000", f"S3: {reason}") from None
