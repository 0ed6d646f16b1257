"""Reading Postgres text with sqlglot so that functions keep the names they were called by.

sqlglot reads a function into a node that several dialects share, and loses which function it was
(``date_part`` becomes ``extract``, ``to_char`` a converted format). The rules need the name. Its compiled
parser cannot be subclassed, so the tokens are marked instead: a name before a parenthesis gets a mark no text
can hold, the parser takes it for a function it does not know (``exp.Anonymous``), and the mark goes again.
Functions that mean the same everywhere, and those with a syntax of their own, are left alone.
"""

from __future__ import annotations

from itertools import pairwise

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import ParseError
from sqlglot.tokenizer_core import Token, TokenType

from proxy.sql import interval_text, sequence_names
from proxy.sql.respell import catalog_sql
from proxy.sql.split import separate_parameters

_MARK = "\x1f"
_KEPT = frozenset(
    """
    SUM COUNT MIN MAX AVG ARRAY_AGG COALESCE NULLIF GREATEST LEAST UNNEST GENERATE_SERIES
    CAST TRY_CAST EXTRACT OVERLAY POSITION SUBSTRING TRIM EXISTS ARRAY CASE AND OR LIKE FILTER COLLATE
    IF INSERT PERCENTILE_CONT PERCENTILE_DISC GROUPING STRUCT MAP LIST
    DATE TIME TIMESTAMP DATETIME CHAR INT64 FLOAT64 STRING
    CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP LOCALTIME LOCALTIMESTAMP
    """.split()  # noqa: SIM905
)
_MARKED = frozenset((*Postgres.Parser.FUNCTIONS, *Postgres.Parser.FUNCTION_PARSERS)) - _KEPT
_QUOTED = (TokenType.STRING, TokenType.IDENTIFIER)
_STRINGS = (TokenType.STRING, TokenType.NATIONAL_STRING)


def _without_lambdas(tokens: list[Token]) -> list[Token]:
    """``f(a -> 'b')`` reads a member in Postgres, and sqlglot takes it for a lambda, but not behind two parentheses."""
    if not any(token.token_type == TokenType.ARROW for token in tokens):
        return tokens
    made: list[Token] = []
    for position, token in enumerate(tokens):
        before, after = tokens[position - 1 : position], tokens[position + 1 : position + 2]
        if (
            before
            and after
            and before[0].token_type in (TokenType.L_PAREN, TokenType.COMMA)
            and after[0].token_type == TokenType.ARROW
            and token.token_type not in (TokenType.STRING, TokenType.NUMBER, TokenType.R_PAREN)
        ):
            made += [_beside(token, TokenType.L_PAREN, "("), _beside(token, TokenType.L_PAREN, "("), token]
            made += [_beside(token, TokenType.R_PAREN, ")"), _beside(token, TokenType.R_PAREN, ")")]
        else:
            made.append(token)
    return made


def _beside(token: Token, kind: TokenType, text: str) -> Token:
    return Token(kind, text, line=token.line, col=token.col, start=token.start, end=token.end)


def _without_intervals(tokens: list[Token]) -> list[Token]:
    """``interval '1 day -02:03'`` as a cast of a text that the engine reads: sqlglot keeps a number and its unit, and
    forgets what stands behind them."""
    if not any(token.token_type == TokenType.INTERVAL for token in tokens):
        return tokens
    made: list[Token] = []
    at = 0
    while at < len(tokens):
        token, following = tokens[at], tokens[at + 1 : at + 2]
        at += 1
        if token.token_type != TokenType.INTERVAL or not following or following[0].token_type not in _STRINGS:
            made.append(token)
            continue
        fields = [item.text for item in tokens[at + 1 : at + 4]]
        read = interval_text.with_fields(following[0].text, fields)
        if read is None:
            made.append(token)
            continue
        text, passed = read
        made += [_beside(following[0], TokenType.STRING, text), _beside(following[0], TokenType.DCOLON, "::")]
        made.append(token)
        at += 1 + passed
    return made


def read_postgres(text: str) -> exp.Expr:
    """The tree of one Postgres statement; sqlglot's ParseError or TokenError where it cannot read it.

    >>> read_postgres("SELECT date_part('day', x)").sql("duckdb")
    "SELECT DATE_PART('day', x)"
    """
    dialect = Dialect.get_or_raise("postgres")
    text = catalog_sql(separate_parameters(text))
    tokens = _without_intervals(dialect.tokenize(text))
    marked = False
    for token, following in pairwise(tokens):
        if (
            following.token_type == TokenType.L_PAREN
            and token.token_type not in _QUOTED
            and token.text.upper() in _MARKED
        ):
            token.text += _MARK
            token.token_type = TokenType.VAR
            marked = True
    wrapped = _without_lambdas(tokens)
    trees = dialect.parser().parse(wrapped, text)
    if len(trees) != 1 or trees[0] is None:
        raise ParseError("not one statement")
    tree = trees[0]
    if len(wrapped) != len(tokens):
        for paren in list(tree.find_all(exp.Paren)):
            if isinstance(paren.this, exp.Paren) and isinstance(paren.this.this, exp.Column):
                paren.replace(paren.this.this)
    if marked:
        for node in tree.find_all(exp.Anonymous, exp.Identifier, exp.Var):
            if isinstance(node.this, str) and node.this.endswith(_MARK):
                node.set("this", node.this[:-1])
    for bracket in tree.find_all(exp.Bracket):
        _as_written(bracket)
    sequence_names.plain(tree)
    return tree


def _as_written(bracket: exp.Bracket) -> None:
    """Subscripts count from 1, as written: sqlglot takes one away where it sees that they are whole numbers, and what
    it sees changes with the rules."""
    bracket.set("offset", 1)
    if len(bracket.expressions) != 1:
        return
    place = bracket.expressions[0]
    if isinstance(place, exp.Literal) and place.is_int:
        place.replace(exp.Literal.number(int(place.name) + 1))
    elif isinstance(place, exp.Neg) and isinstance(place.this, exp.Literal) and place.this.is_int:
        number = 1 - int(place.this.name)
        literal = exp.Literal.number(abs(number))
        place.replace(exp.Neg(this=literal) if number < 0 else literal)
    elif isinstance(place, exp.Add) and place.type is None:
        # what was written has a type by now, be it unknown
        taken = place.expression
        if isinstance(taken, exp.Neg) and taken.this == exp.Literal.number(1):
            place.replace(place.this)
        else:
            place.replace(exp.Add(this=exp.Paren(this=place.copy()), expression=exp.Literal.number(1)))
