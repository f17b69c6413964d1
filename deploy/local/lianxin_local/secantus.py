"""SecantusDB: a server of MongoDB's protocol for laptops and tests. A process of its own, data on disk."""

import os
import sys
from pathlib import Path

START_SECONDS = 60.0
# Names another program with the same options and files: the project's own server in Rust, which costs a
# fraction and has no wheel, so that nothing here can depend on it (docs/measuring.md).
SERVER = "LIANXIN_DATABASE_SERVER"
# Left to itself the server answers a write while its journal record is still in its own memory, and a kill
# costs the last 50 to 100 ms (measured: up to 90 of 5,000 writes acknowledged with w=majority). With this,
# read by the storage engine, each commit is handed to the system before it is answered: a kill costs nothing
# and the rate stays. The disk is not waited for: a power cut may cost the last writes. A city runs MongoDB.
ENVIRONMENT = {"WIREDTIGER_CONFIG": "transaction_sync=(enabled=true,method=none)"}
CONFIGURATION = """\
# Written by `lianxin up`. Naming a file keeps the server from looking for others.
[oplog]
retention_seconds = 600
max_entries = 10000
[storage]
cache_size = "256M"
"""


def secantus_command(data: Path, port: int) -> list[str]:
    """What to run, in `ENVIRONMENT`; prepares the directory."""
    data.mkdir(parents=True, exist_ok=True)
    configuration = data.parent / f"{data.name}.toml"
    configuration.write_text(CONFIGURATION)
    return [
        os.environ.get(SERVER) or str(Path(sys.executable).with_name("secantusd-py")),
        f"--config={configuration}",
        "--host=127.0.0.1",
        f"--port={port}",
        f"--storage-path={data}",
        "--log-level=WARNING",
    ]


def database_answers(url: str) -> bool:
    """Whether a database there takes requests."""
    import pymongo  # 0.2 s, which `lianxin status` need not wait
    from pymongo.errors import PyMongoError

    client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(url, serverSelectionTimeoutMS=500)
    try:
        client.admin.command("ping")
    except PyMongoError:
        return False
    finally:
        client.close()
    return True
