"""Files in an object store, or in a folder: whole files in and out, nothing half-written."""

import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlparse

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


class StoreError(Exception):
    """What a person can do something about: a bucket that is not there, a right that is missing."""


class Store:
    """Reads and writes by URL: `s3://BUCKET/KEY`, and `file:///PATH` to try the program without a store.

    Endpoint, region and credentials of S3 come from the environment or from the usual files, as for
    every program that uses boto3.
    """

    def __init__(self, addressing: str = "path") -> None:
        self._addressing = addressing
        self._client = None

    def download(self, url: str, to: Path) -> None:
        """Downloads a file."""
        if path := _path(url):
            try:
                shutil.copyfile(path, to)
            except FileNotFoundError as error:
                raise StoreError(f"{url} is not there") from error
            return
        bucket, key = _split(url)
        with _told(url):
            self._s3().download_file(bucket, key, str(to))

    def upload(self, file: Path, url: str) -> None:
        """Uploads a file. What is at the URL is the old file or the new one, whole."""
        if path := _path(url):
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f".{path.name}.unfinished")
            shutil.copyfile(file, unfinished)
            os.replace(unfinished, path)
            return
        bucket, key = _split(url)
        with _told(url):
            self._s3().upload_file(str(file), bucket, key)

    def upload_text(self, text: str, url: str) -> None:
        """Uploads a text as UTF-8."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "text")
            file.write_text(text, encoding="utf-8")
            self.upload(file, url)

    def exists(self, url: str) -> bool:
        """Whether there is a file at the URL."""
        if path := _path(url):
            return path.exists()
        bucket, key = _split(url)
        try:
            self._s3().head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            # Who may not list gets "forbidden" for what is not there, too.
            if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NotFound"):
                return False
            raise StoreError(_explained(url, error)) from error
        except BotoCoreError as error:
            raise StoreError(_explained(url, error)) from error
        return True

    def delete(self, url: str) -> None:
        """Deletes a file; one that is not there is no mistake."""
        if path := _path(url):
            path.unlink(missing_ok=True)
            return
        bucket, key = _split(url)
        with _told(url):
            self._s3().delete_object(Bucket=bucket, Key=key)

    def list(self, url: str) -> list[str]:
        """The URLs of the files below a folder, sorted."""
        if path := _path(url):
            files = (file for file in path.rglob("*") if file.is_file())
            return sorted(file.as_uri() for file in files)
        bucket, prefix = _split(url)
        with _told(url):
            pages = self._s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            return sorted(f"s3://{bucket}/{item['Key']}" for page in pages for item in page.get("Contents", []))

    def _s3(self):
        if self._client is None:
            # A lost connection is no reason to lose hours of training.
            config = Config(
                retries={"mode": "standard", "max_attempts": 8},
                s3={"addressing_style": self._addressing},
            )
            try:
                self._client = boto3.client("s3", config=config)
            except BotoCoreError as error:
                raise StoreError(str(error)) from error
        return self._client


class _told:
    """Makes a [`StoreError`] of what boto3 raises."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind, error, _traceback) -> None:
        if isinstance(error, (BotoCoreError, ClientError, Boto3Error)):
            raise StoreError(_explained(self._url, error)) from error


def _explained(url: str, error: Exception) -> str:
    code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
    text = str(error)
    if code == "NoSuchBucket" or "NoSuchBucket" in text:
        return f"{url}: there is no such bucket; it must be made before the job runs"
    if code in ("404", "NoSuchKey"):
        return f"{url} is not there"
    if code in ("403", "AccessDenied") or "AccessDenied" in text:
        return f"{url}: access denied; the job's credentials may not do this"
    return f"{url}: {text}"


def _path(url: str) -> Path | None:
    parts = urlparse(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _split(url: str) -> tuple[str, str]:
    # Not by `urlparse`: `#` and `?` are characters of keys like others.
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def name(url: str) -> str:
    """The last part of a URL."""
    return PurePosixPath(url).name
