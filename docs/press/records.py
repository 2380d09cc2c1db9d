"""Numbers that come from records: a document in which one is out of date fails the build, with a line for each."""

from sphinx.util import logging
from values import Values

from results import documents, fresh
from s4nn_ref.errors import InputError

logger = logging.getLogger(__name__)


def check(app) -> None:
    """Compare every document with the records, before anything is read."""
    values = Values()
    for path in documents():
        try:
            stale = fresh(path, values)[1]
        except InputError as error:
            logger.warning(str(error))
            continue
        for one in stale:
            logger.warning(str(one), location=f"{one.document}:{one.line}")


def setup(app):
    app.connect("builder-inited", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
