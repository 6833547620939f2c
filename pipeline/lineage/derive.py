"""Reads from a table's SQL which columns of which other tables each of its columns is made of.

A value's sources are the columns its expression computes with; what only joins, groups or orders rows is none.
What a name stands for is looked up, never guessed: a name that cannot be told adds nothing. Which statements are read,
and what is said of tables that Python makes, is in `tables.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import sqlglot
from sqlglot import exp

Columns = dict[str, frozenset[str]]
"""A relation: its columns in order, each with its sources as 'schema.table.column'."""

_NOTHING: frozenset[str] = frozenset()


def columns_of(text: str, tables: Mapping[str, tuple[str, ...]]) -> Columns:
    """Columns of the table or rows that an SQL file's first statement makes, each with its sources.

    `tables` holds the columns of the tables it may read, by 'schema.table'; every other table adds nothing.
    """
    made = _first(text)
    query = made.expression if isinstance(made, exp.Create) else made
    return _Reader(tables).relation(query, {})


def declared_columns(text: str) -> tuple[str, ...]:
    """Names of the columns of the table that an SQL file's first statement creates."""
    made = _first(text)
    if made.expression is not None:
        return tuple(made.expression.named_selects)
    return tuple(column.name for column in made.this.expressions if isinstance(column, exp.ColumnDef))


def _first(text: str) -> exp.Expr:
    return next(one for one in sqlglot.parse(text, dialect="duckdb") if one is not None)


class _Reader:
    """Follows names through the parts of one statement."""

    def __init__(self, tables: Mapping[str, tuple[str, ...]]) -> None:
        self.tables = tables

    def relation(self, query: exp.Expr, known: Mapping[str, Columns]) -> Columns:
        """Columns of a query; `known` holds the named queries (WITH) that it may use."""
        if with_ := query.args.get("with_"):
            known = dict(known)
            for named in with_.expressions:
                known[named.alias] = self.relation(named.this, known)
        if isinstance(query, exp.Subquery):
            return self.relation(query.this, known)
        if isinstance(query, exp.SetOperation):
            return _united(
                self.relation(query.left, known),
                self.relation(query.right, known),
                by_name=bool(query.args.get("by_name")),
            )
        if isinstance(query, exp.Pivot):
            return self._unpivoted(query, known)
        if isinstance(query, exp.Table):
            return self._table(query, known)
        if isinstance(query, exp.Select):
            return self._selected(query, known)
        return {}

    def _table(self, table: exp.Table, known: Mapping[str, Columns]) -> Columns:
        if not table.db:
            return known.get(table.name, {})
        name = f"{table.db}.{table.name}"
        return {column: frozenset([f"{name}.{column}"]) for column in self.tables.get(name, ())}

    def _unpivoted(self, pivot: exp.Pivot, known: Mapping[str, Columns]) -> Columns:
        """UNPIVOT ... ON ... INTO NAME ... VALUE ...: what is turned over feeds the value, the rest stays."""
        if not pivot.args.get("unpivot"):
            return {}
        inner = self.relation(pivot.this, known)
        turned: set[str] = set()
        for on in pivot.expressions:
            turned |= set(inner) - _excepted(on.this) if isinstance(on, exp.Columns) else {on.name}
        into = pivot.args["into"]
        value = _NOTHING.union(*(inner.get(name, _NOTHING) for name in turned))
        kept = {name: sources for name, sources in inner.items() if name not in turned}
        return kept | {into.this.name: _NOTHING} | {one.name: value for one in into.expressions}

    def _selected(self, select: exp.Select, known: Mapping[str, Columns]) -> Columns:
        seen: dict[str, Columns] = {}
        shared: set[str] = set()
        from_ = select.args.get("from_")
        joins = [join for join in select.args.get("joins") or () if not {join.kind, join.side} & {"SEMI", "ANTI"}]
        shared |= {column.name for join in joins for column in join.args.get("using") or ()}
        for place in [*([from_.this] if from_ else []), *(join.this for join in joins)]:
            seen[place.alias_or_name] = self._placed(place, seen, known, shared)
        scope = _Scope(seen, shared)
        made: Columns = {}
        for one in select.expressions:
            if one.is_star:
                made |= scope.star(one)
            else:
                # A value without a name still has its place in a union.
                name = one.alias_or_name if isinstance(one, exp.Alias | exp.Column) else f"#{len(made)}"
                made[name] = self._sources(one, scope, made, known)
        return made

    def _placed(
        self, place: exp.Expr, seen: Mapping[str, Columns], known: Mapping[str, Columns], shared: set[str]
    ) -> Columns:
        """Columns of what stands after FROM or JOIN; rows of VALUES may use what stands before them."""
        values = place.find(exp.Values) if isinstance(place, exp.Lateral | exp.Values) else None
        if values is None:
            return self.relation(place, known)
        names = [column.name for column in place.args["alias"].args.get("columns") or ()]
        rows = [row.expressions for row in values.expressions]
        scope = _Scope(dict(seen), shared)
        return {
            name: _NOTHING.union(*(self._sources(row[i], scope, {}, known) for row in rows))
            for i, name in enumerate(names)
        }

    def _sources(
        self, expression: exp.Expr, scope: _Scope, made: Columns, known: Mapping[str, Columns]
    ) -> frozenset[str]:
        found = _NOTHING
        for node in _values(expression):
            if isinstance(node, exp.Column):
                found |= scope.sources(node, made)
            else:
                found = found.union(*self.relation(node, known).values())
        return found


def _values(node: exp.Expr) -> Iterator[exp.Expr]:
    """Columns and queries that an expression computes with."""
    if isinstance(node, exp.Column | exp.Query):
        yield node
        return
    for name, part in node.args.items():
        if isinstance(node, exp.Order | exp.Window | exp.ArgMin | exp.ArgMax) and name != "this":
            continue
        for child in part if isinstance(part, list) else [part]:
            if isinstance(child, exp.Expr):
                yield from _values(child)


class _Scope:
    """What names mean inside one SELECT."""

    def __init__(self, seen: dict[str, Columns], shared: set[str]) -> None:
        self.seen = seen
        self.shared = shared

    def sources(self, column: exp.Column, made: Columns) -> frozenset[str]:
        """Sources of a column; of an alias of the same SELECT where no table has it."""
        if column.table:
            return self.seen.get(column.table, {}).get(column.name, _NOTHING)
        having = [relation[column.name] for relation in self.seen.values() if column.name in relation]
        if not having:
            return made.get(column.name, _NOTHING)
        return having[0] if len(having) == 1 or column.name in self.shared else _NOTHING

    def star(self, star: exp.Expr) -> Columns:
        """Columns of * or of table.*, without those excepted; what two tables share by USING is the first one's."""
        table = star.table if isinstance(star, exp.Column) else ""
        excepted = _excepted(star.this if isinstance(star, exp.Column) else star)
        found: Columns = {}
        for name, relation in self.seen.items():
            if not table or name == table:
                found |= {c: s for c, s in relation.items() if c not in excepted and c not in found}
        return found


def _excepted(star: exp.Expr) -> set[str]:
    return {column.name for column in star.args.get("except_") or ()}


def _united(left: Columns, right: Columns, *, by_name: bool) -> Columns:
    if by_name:
        names = list(dict.fromkeys([*left, *right]))
        return {name: left.get(name, _NOTHING) | right.get(name, _NOTHING) for name in names}
    padded = [*right.values(), *[_NOTHING] * len(left)]
    return {name: sources | padded[i] for i, (name, sources) in enumerate(left.items())}
