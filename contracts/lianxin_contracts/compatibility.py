"""Whether a new schema still reads everything that was written under an older one.

A change is additive, and passes, where every value that the old schema allowed is allowed by the new one and
means the same: a new type, a new field with a default, a new value of an enumeration, a wider type. Readers
are deployed before writers, so that a new value never meets a reader that doesn't know it.
Understood is the part of JSON Schema 2020-12 that msgspec writes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

# Keywords whose larger value lets less through, and those whose smaller value does.
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
# Keywords that let less through as soon as they are there, and whose values can't be compared.
_FORMS = ("pattern", "format", "multipleOf", "contentEncoding", "const")


@dataclass(frozen=True, slots=True)
class Break:
    """One thing that was allowed and no longer is: where (`due.policy`, `receivers[]`) and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where or 'payload'}: {self.what}"


def breaks(old: Schema, new: Schema) -> list[Break]:
    """What `new` no longer reads of that which was written under `old`; empty where the change is additive.

    Both are whole documents, with their definitions under `$defs`.
    """
    return _Comparison(old, new).compare(old, new, "")


class _Comparison:
    """Two documents side by side; remembers the pairs of definitions under way, as types may be recursive."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old_definitions: Schema = old.get("$defs", {})
        self._new_definitions: Schema = new.get("$defs", {})
        self._under_way: set[tuple[str, str]] = set()

    def compare(self, old: Schema, new: Schema, where: str) -> list[Break]:
        """The breaks between two schemas at the same place."""
        pair = (old.get("$ref", ""), new.get("$ref", ""))
        if all(pair):
            if pair in self._under_way:
                return []
            self._under_way.add(pair)
        try:
            found = self._changed_default(old, new, where)
            olds = _alternatives(_resolved(old, self._old_definitions))
            news = _alternatives(_resolved(new, self._new_definitions))
            for alternative in olds:
                found += self._accepted_by_any(alternative, news, where)
            return found
        finally:
            if all(pair):
                self._under_way.discard(pair)

    def _changed_default(self, old: Schema, new: Schema, where: str) -> list[Break]:
        """A record that leaves a field out means its default: another default changes what was said."""
        if "default" in old and "default" in new and old["default"] != new["default"]:
            return [Break(where, f"default changed from {old['default']!r} to {new['default']!r}")]
        return []

    def _accepted_by_any(self, old: Schema, news: Sequence[Schema], where: str) -> list[Break]:
        """Nothing where one of `news` takes all of `old`; else the breaks against the nearest of them."""
        resolved = _resolved(old, self._old_definitions)
        same_kind: list[list[Break]] = []
        for new in news:
            if not _takes_kind(resolved, _resolved(new, self._new_definitions)):
                continue
            found = self._same_kind(old, new, where)
            if not found:
                return []
            same_kind.append(found)
        if same_kind:
            return min(same_kind, key=len)
        return [Break(where, f"type narrowed: {_kind_name(resolved)} is no longer allowed")]

    def _same_kind(self, old: Schema, new: Schema, where: str) -> list[Break]:
        old, new = _resolved(old, self._old_definitions), _resolved(new, self._new_definitions)
        found = _removed_values(old, new, where) + _tighter_bounds(old, new, where)
        if old.get("type") == "object":
            found += self._object(old, new, where)
        if old.get("type") == "array":
            found += self._array(old, new, where)
        return found

    def _object(self, old: Schema, new: Schema, where: str) -> list[Break]:
        old_fields: Schema = old.get("properties", {})
        new_fields: Schema = new.get("properties", {})
        found: list[Break] = []
        for name, schema in old_fields.items():
            if name not in new_fields:
                found.append(Break(_inside(where, name), "field removed"))
            else:
                found += self.compare(schema, new_fields[name], _inside(where, name))
        for name in new.get("required", ()):
            if name not in old.get("required", ()):
                what = "field became required" if name in old_fields else "new field is required"
                found.append(Break(_inside(where, name), what))
        return found + self._further_fields(old, new, where)

    def _further_fields(self, old: Schema, new: Schema, where: str) -> list[Break]:
        old_rest, new_rest = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if isinstance(old_rest, Mapping) and isinstance(new_rest, Mapping):
            return self.compare(old_rest, new_rest, f"{where}{{}}")
        if old_rest is not False and new_rest is not True:
            return [Break(where, "unknown fields are no longer ignored")]
        return []

    def _array(self, old: Schema, new: Schema, where: str) -> list[Break]:
        found: list[Break] = []
        old_first, new_first = old.get("prefixItems", []), new.get("prefixItems", [])
        if len(old_first) != len(new_first):
            return [Break(where, f"{len(old_first)} fixed items became {len(new_first)}")]
        for number, (before, after) in enumerate(zip(old_first, new_first, strict=True)):
            found += self.compare(before, after, f"{where}[{number}]")
        old_items, new_items = old.get("items"), new.get("items")
        if isinstance(new_items, Mapping):
            before_items = old_items if isinstance(old_items, Mapping) else {}
            found += self.compare(before_items, new_items, f"{where}[]")
        return found


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _alternatives(schema: Schema) -> Sequence[Schema]:
    found: Sequence[Schema] = schema.get("anyOf") or (schema,)
    return found


def _kinds(schema: Schema) -> frozenset[str]:
    """The JSON types that `schema` may let through; empty means any."""
    if "type" in schema:
        return frozenset({schema["type"]})
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return frozenset(names[type(value)] for value in values)


def _takes_kind(old: Schema, new: Schema) -> bool:
    before, after = _kinds(old), _kinds(new)
    if not after:
        return True
    if "number" in after:
        after |= {"integer"}
    return bool(before) and before <= after


def _kind_name(schema: Schema) -> str:
    return " or ".join(sorted(_kinds(schema))) or "any value"


def _removed_values(old: Schema, new: Schema, where: str) -> list[Break]:
    if "enum" not in new:
        return []
    if "enum" not in old:
        return [Break(where, f"type narrowed to the values {new['enum']!r}")]
    return [Break(where, f"value {value!r} removed") for value in old["enum"] if value not in new["enum"]]


def _tighter_bounds(old: Schema, new: Schema, where: str) -> list[Break]:
    found = [
        Break(where, f"{name} raised from {old.get(name)} to {new[name]}")
        for name in _LOWER_BOUNDS
        if name in new and (name not in old or new[name] > old[name])
    ]
    found += [
        Break(where, f"{name} lowered from {old.get(name)} to {new[name]}")
        for name in _UPPER_BOUNDS
        if name in new and (name not in old or new[name] < old[name])
    ]
    found += [
        Break(where, f"{name} became {new[name]!r}")
        for name in _FORMS
        if name in new and new[name] != old.get(name)
    ]
    return found


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
