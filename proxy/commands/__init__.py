"""Grammar of the commands Bough adds to SQL: text in, frozen dataclasses out. No I/O, no SQL parser."""

from .functions import FUNCTIONS, FunctionForm, from_function
from .grammar import parse_command
from .model import PRIVILEGES, UNSET, Command, Moment, TableName, Unset
from .results import VIEWS, ResultColumn

__all__ = [
    "FUNCTIONS",
    "PRIVILEGES",
    "UNSET",
    "VIEWS",
    "Command",
    "FunctionForm",
    "Moment",
    "ResultColumn",
    "TableName",
    "Unset",
    "from_function",
    "parse_command",
]
