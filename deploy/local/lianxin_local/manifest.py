"""Write the manifest of the broker's jars anew: `python -m lianxin_local.manifest`.

For a change of Kafka's version. Needs `mvn`. Read the difference before committing it.
"""

import hashlib
import re
import subprocess
import tempfile
from pathlib import Path

from lianxin_local.jars import COPY, KAFKA_VERSION, MANIFEST

# What Kafka logs through; its own distribution adds it beside the run-time dependencies.
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl"
HEADER = (
    "# Every jar of the broker: SHA-256, Maven coordinate. Written by `python -m lianxin_local.manifest`.\n"
)


def main() -> None:
    """Resolve the broker and what it runs on, and write down what came."""
    with tempfile.TemporaryDirectory() as scratch:
        kafka = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
        first = resolve([kafka], scratch)
        log4j = next(c.split(":")[2] for c in first if c.startswith("org.apache.logging.log4j:log4j-core:"))
        coordinates = resolve([kafka, f"{LOGGING}:{log4j}"], scratch)
        lines = []
        for coordinate in coordinates:
            _, artifact, version = coordinate.split(":")
            jar = Path(scratch, "jars", f"{artifact}-{version}.jar").read_bytes()
            lines.append(f"{hashlib.sha256(jar).hexdigest()}  {coordinate}\n")
    MANIFEST.write_text(HEADER + "".join(lines))
    print(f"{len(lines)} jars in {MANIFEST}")


def resolve(wanted: list[str], scratch: str) -> list[str]:
    """The coordinates of these and everything that they need at run time, fetched into `scratch`/jars."""
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version></dependency>"
        for group, artifact, version in (coordinate.split(":") for coordinate in wanted)
    )
    Path(scratch, "pom.xml").write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>org.lianxin</groupId><artifactId>broker</artifactId>"
        f"<version>1</version><dependencies>{dependencies}</dependencies></project>"
    )
    listed = Path(scratch, "list.txt")
    plugin = COPY.rsplit(":", 1)[0]
    for goal in (
        [f"{plugin}:list", f"-DoutputFile={listed}"],
        [COPY, f"-DoutputDirectory={Path(scratch, 'jars')}"],
    ):
        subprocess.run(["mvn", "-q", "-B", *goal, "-DincludeScope=runtime"], cwd=scratch, check=True)
    found = re.findall(r"([\w.\-]+):([\w.\-]+):jar:([\w.\-]+):(?:compile|runtime)", listed.read_text())
    return sorted(":".join(parts) for parts in found)


if __name__ == "__main__":
    main()
