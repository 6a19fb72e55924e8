"""How the operator logs: one line an event, as text or as JSON. Nothing secret reaches a log."""

import json
import logging
import sys
from datetime import UTC, datetime

from modelserving.settings import Settings


class _JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(settings: Settings) -> None:
    """Set up the root logger, once, at the start of the process."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(_JsonFormatter() if settings.log_format == "json" else text)
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    # kopf tells of every event it delivers, aiohttp of every probe that is answered.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    logging.getLogger("kopf").setLevel(max(logging.INFO, logging.getLevelNamesMapping()[settings.log_level]))
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
