"""Logs: one JSON object a line on stderr, with the service and the instance in each.

Residents' words, contacts and tracking codes never go into a log line: pass ids and codes only.
"""

import logging
import sys
import traceback
from pathlib import Path

import structlog
from aiokafka.errors import KafkaError
from pymongo.errors import ConnectionFailure
from structlog.typing import EventDict, FilteringBoundLogger

# Errors whose text tells of addresses and states, never of what a resident said.
_SPEAKING = (OSError, KafkaError, ConnectionFailure, ImportError)


def fault(error: BaseException) -> str:
    """The error's type and the line that raised it. Not its text: that may repeat a resident's words."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{at}"


def _tell_error(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Replace `exc_info` by type and places, and the text where it can hold nothing of a resident's."""
    info = line.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        text = f": {error}" if isinstance(error, _SPEAKING) else ""
        frames = traceback.extract_tb(error.__traceback__)[-12:]
        places = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames]
        line["error"] = {"type": f"{type(error).__name__}{text}", "at": places}
    return line


def configure(service: str, instance: str, level: str = "info") -> None:
    """Send this process's logs, and those of its libraries, to stderr as JSON lines. May be called again."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _tell_error,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(ensure_ascii=False)],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        # PrintLogger takes the stream of the moment, so tests that replace stderr still see the lines.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(service=service, instance=instance)

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    # httpx writes whole URLs, which may hold codes and secrets; aiokafka repeats itself many times a second
    # while the broker is away, and what matters of it is told by those who wait for the broker.
    for name in ("pymongo", "uvicorn.error", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    logging.getLogger("aiokafka").setLevel(max(threshold, logging.CRITICAL))


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry `name`; `log.info("what happened", field=value)`."""
    logger: FilteringBoundLogger = structlog.get_logger(module=name)
    return logger
