"""The store: everything that a run will ask of it, and who we are to it."""

from __future__ import annotations

import getpass
import secrets
import time

from wm.store import ABSENT, Conflict, Store, open_store
from wmctl.doctor.check import Check, Trouble

SKEW = 60.0
"""Seconds by which clocks may differ: leases and signatures stand that."""

_SOURCES = {
    "env": "the environment (AWS_ACCESS_KEY_ID)",
    "shared-credentials-file": "the shared credentials file",
    "config-file": "the configuration file",
    "assume-role-with-web-identity": "the pod's own identity (a role by web identity)",
    "container-role": "the pod's own identity (a container's role)",
}
"""How boto found the credentials -> in words."""


def checks(store: str) -> list[Check]:
    """What is checked of a store at that address."""
    return [("store", lambda: usable(open_store(store))), ("identity", lambda: _identity(store))]


def usable(store: Store) -> str:
    """Write, read, list, refuse a second writer, delete: what a run will need."""
    key = f"doctor/{secrets.token_hex(8)}"
    before = time.time()
    store.put(key, b"hello", only_if=ABSENT)
    try:
        try:
            store.put(key, b"twice", only_if=ABSENT)
        except Conflict:
            pass
        else:
            raise Trouble(f"{store.url} does not keep conditional writes; runs would not be safe")
        entry = next(iter(store.list(key)), None)
        if store.get(key) != b"hello" or entry is None:
            raise Trouble(f"{store.url} does not give back what was written")
    finally:
        store.delete(key)
    skew = entry.modified - before
    if abs(skew) > SKEW:
        raise Trouble(f"the clock of {store.url} is off by {skew:.0f} s; leases would not hold")
    return f"{store.url} can be read and written, conditionally too"


def _identity(store: str) -> str:
    """Where the credentials come from. Nothing of them is shown but the last letters of the key's
    name, enough to tell two keys apart."""
    if not store.startswith("s3://"):
        return f"user {getpass.getuser()}"
    import boto3

    credentials = boto3.session.Session().get_credentials()
    if credentials is None:
        raise Trouble("no credentials for S3 were found; set AWS_SHARED_CREDENTIALS_FILE")
    method = str(credentials.method)
    if method == "iam-role":
        raise Trouble(
            "the credentials are those of the machine itself, which every pod on it shares; "
            "give the stages their own (k8s/README.md)"
        )
    name = str(credentials.access_key)[-4:]
    return f"key …{name} from {_SOURCES.get(method, method)}"
