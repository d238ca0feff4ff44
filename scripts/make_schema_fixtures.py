#!/usr/bin/env python3
"""Schemas that output is held to, each with texts that are and that are not of it, judged by the jsonschema package (with rfc3339-validator).

    scripts/make_schema_fixtures.py [--check]

Writes tests/schemas/NAME.json and tests/schemas/texts/NAME.txt: lines "+TEXT" for valid instances in the library's spelling, "-TEXT" for
JSON that is not valid. The schemas are bounded: every text of them ends within a few hundred tokens."""

import argparse
import json
import random
import sys
from pathlib import Path

import jsonschema

ROOT = Path(__file__).resolve().parent.parent / "tests" / "schemas"


def obj(required=None, extra=None, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties) if required is None else required}
    return schema | {"additionalProperties": False} | (extra or {})


def text(most, least=0):
    return {"type": "string", "maxLength": most} | ({"minLength": least} if least else {})


def whole(low, high):
    return {"type": "integer", "minimum": low, "maximum": high}


def array(items, most, least=0):
    return {"type": "array", "items": items, "maxItems": most, "minItems": least}


def ref(name):
    return {"$ref": f"#/$defs/{name}"}


POINT = obj(x=whole(-10, 10), y=whole(-10, 10))
SCHEMAS = {
    "person": obj(name=text(20, 1), age=whole(0, 150), email={"type": "string", "format": "email"}),
    "optional-members": obj(required=[], a=whole(0, 9), b={"type": "boolean"}, c=text(5), d={"type": "null"}),
    "optional-then-required": obj(required=["c"], a=whole(0, 9), b={"type": "boolean"}, c=text(5), d=text(3)),
    "required-first": obj(required=["a"], a=whole(1, 3), b=whole(4, 6), c=whole(7, 9)),
    "map": {"type": "object", "additionalProperties": {"type": "boolean"}, "propertyNames": {"maxLength": 6}, "maxProperties": 3},
    "nested": obj(outer=obj(inner=obj(leaf=text(8)), n=whole(0, 99))),
    "points": array(POINT, 4, 1),
    "matrix": array(array(whole(-1, 1), 3, 3), 3, 3),
    "integers": array({"type": "integer"}, 5),
    "numbers": array({"type": "number"}, 5),
    "probability": obj(p={"type": "number", "minimum": 0, "maximum": 1}),
    "open-interval": obj(p={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
    "signed-interval": obj(p={"type": "number", "minimum": -12, "exclusiveMaximum": 34}),
    "range-wide": whole(-12345, 678901),
    "range-exclusive": {"type": "integer", "exclusiveMinimum": 99, "exclusiveMaximum": 1001},
    "range-low": {"type": "integer", "minimum": 1000},
    "range-high": {"type": "integer", "maximum": -7},
    "range-fraction": {"type": "integer", "minimum": 1.5, "maximum": 7.5},
    "enum-strings": {"enum": ["red", "green", "blue", "bluegreen", "re\"d", "\u00e9t\u00e9", "a\nb"]},
    "enum-mixed": {"enum": [1, 2.5, True, None, "x", [1, 2], {"k": "v", "n": [None]}]},
    "enum-typed": {"type": ["string", "null"], "enum": ["on", "off", None, 3]},
    "const": obj(version={"const": 2}, kind={"const": "item"}),
    "type-list": array({"type": ["string", "integer", "null"], "maxLength": 4}, 4),
    "nullable": obj(note={"anyOf": [text(6), {"type": "null"}]}, n={"type": ["integer", "null"]}),
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "string": text(12, 2),
    "string-empty": text(0),
    "string-long": text(60, 30),
    "pattern-anchored": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3,5}$"},
    "pattern-branches": {"type": "string", "pattern": "^(?:cat|dog|[xyz]{1,3})$"},
    "pattern-quotes": {"type": "string", "pattern": "^[\"\\\\\\n/a]{1,6}$"},
    "pattern-unicode": {"type": "string", "pattern": "^[\u00e0-\u00ff\u4e00-\u9fff]{1,5}$"},
    "formats": obj(d={"type": "string", "format": "date"}, t={"type": "string", "format": "time"}, dt={"type": "string", "format": "date-time"}),
    "identifiers": obj(id={"type": "string", "format": "uuid"}, ip={"type": "string", "format": "ipv4"}),
    "tuple": {"type": "array", "prefixItems": [text(3), whole(0, 9), {"type": "boolean"}], "minItems": 2, "items": False},
    "tuple-open": {"type": "array", "prefixItems": [{"type": "null"}], "items": whole(5, 6), "minItems": 1, "maxItems": 4},
    "any-of": {"anyOf": [whole(1, 3), text(3), obj(k={"type": "null"})]},
    "any-of-required": {"type": "object", "properties": {"a": whole(0, 3), "b": whole(4, 7)}, "additionalProperties": False,
                        "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    "one-of": {"oneOf": [obj(kind={"const": "circle"}, r=whole(1, 9)), obj(kind={"const": "square"}, side=whole(1, 9))]},
    "one-of-types": {"oneOf": [whole(0, 9), {"type": "null"}, text(4)]},
    "all-of": {"allOf": [{"type": "object", "properties": {"a": whole(0, 50)}, "required": ["a"]}, {"properties": {"a": whole(20, 99), "b": text(3)}, "required": ["b"]}]},
    "all-of-ref": {"allOf": [ref("base")], "properties": {"more": whole(0, 1)}, "required": ["more"],
                   "$defs": {"base": {"type": "object", "properties": {"id": whole(1, 9)}, "required": ["id"]}}},
    "refs": {"$ref": "#/$defs/pair", "$defs": {"pair": obj(left=ref("leaf"), right=ref("leaf")), "leaf": {"anyOf": [whole(0, 9), text(3)]}}},
    "refs-escaped": {"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": whole(3, 4)}},
    "tree": {"$ref": "#/$defs/n3", "$defs": {
        "n3": obj(required=["v"], v=whole(0, 9), l=ref("n2"), r=ref("n2")), "n2": obj(required=["v"], v=whole(0, 9), l=ref("n1"), r=ref("n1")),
        "n1": obj(v=whole(0, 9))}},
    "keys-escaped": obj(**{"a b": whole(0, 1), "q\"uote": whole(0, 1), "\u00fc": whole(0, 1)}),
    "weather": obj(city=text(16, 1), temperature={"type": "number", "minimum": -90, "maximum": 60}, unit={"enum": ["celsius", "fahrenheit"]},
                   days=array(obj(day={"enum": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}, rain={"type": "boolean"}), 3, 1)),
    "tool-call": obj(name={"enum": ["search", "open", "close"]}, arguments=obj(required=["query"], query=text(24, 1), limit=whole(1, 100))),
    "invoice": obj(number={"type": "string", "pattern": "^INV-[0-9]{6}$"}, lines=array(obj(item=text(12, 1), quantity=whole(1, 999), price={"type": "number", "minimum": 0, "maximum": 10000}), 3, 1),
                   paid={"type": "boolean"}, note={"type": ["string", "null"], "maxLength": 16}),
}
assert len(SCHEMAS) == 50, len(SCHEMAS)

FORMATS = {"date": "2024-03-31", "time": "23:59:07Z", "date-time": "1999-12-31T00:00:00.5+01:30", "email": "a.b@example.org",
           "uuid": "00112233-4455-6677-8899-aabbccddeeff", "ipv4": "192.168.0.255"}
PATTERNS = {"^[A-Z]{2}-[0-9]{3,5}$": ["AB-123", "ZZ-99999"], "^(?:cat|dog|[xyz]{1,3})$": ["cat", "zyx", "x"], "^[\"\\\\\\n/a]{1,6}$": ["\"", "\\\n/a"],
            "^[\u00e0-\u00ff\u4e00-\u9fff]{1,5}$": ["\u00e9", "\u4e2d\u6587\u00ff"], "^INV-[0-9]{6}$": ["INV-000123"]}
LETTERS = "abz AZ09\u00e9\u4e2d\U0001f600\"\\\n/{}[],:"


def resolve(schema, root):
    while "$ref" in schema:
        target = root
        for part in schema["$ref"][2:].split("/"):
            target = target[part.replace("%25", "%").replace("~1", "/").replace("~0", "~")]
        schema = target | {k: v for k, v in schema.items() if k != "$ref"}
    return schema


def number(schema, rng, is_integer):
    low, high = schema.get("minimum", schema.get("exclusiveMinimum", -10**6)), schema.get("maximum", schema.get("exclusiveMaximum", 10**6))
    if low > high:
        low, high = (high - 1000, high) if "maximum" in schema else (low, low + 1000)
    if is_integer:
        return rng.choice([int(low) + 1, int(high) - 1, rng.randint(int(low), int(high))])
    return rng.choice([round(rng.uniform(low, high), rng.randint(1, 6)), int((low + high) / 2), low])


def draw(schema, root, rng):
    """An instance that is probably valid, its members in the order of the schema."""
    schema = resolve(schema, root)
    if "allOf" in schema:
        merged = {"type": "object", "properties": {}, "required": []}
        for part in [{k: v for k, v in schema.items() if k != "allOf"}] * (schema["allOf"][0].get("$ref") is None) + schema["allOf"] + [schema] * ("$ref" in schema["allOf"][0]):
            part = resolve(part, root)
            merged["properties"] |= part.get("properties", {})
            merged["required"] += part.get("required", [])
        order = {}
        for part in ([schema] + schema["allOf"]):
            order |= resolve(part, root).get("properties", {})
        merged["properties"] = {k: merged["properties"][k] for k in order}
        return draw(merged, root, rng)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return draw({k: v for k, v in schema.items() if k != key} | resolve(rng.choice(schema[key]), root), root, rng)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return rng.choice(schema["enum"])
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = rng.choice(kind)
    if kind == "object":
        out = {}
        for name, part in schema.get("properties", {}).items():
            if name in schema.get("required", []) or rng.random() < 0.5:
                out[name] = draw(part, root, rng)
        if "propertyNames" in schema:
            for _ in range(rng.randint(0, 5)):
                out[draw(schema["propertyNames"] | {"type": "string"}, root, rng)] = draw(schema["additionalProperties"], root, rng)
        return out
    if kind == "array":
        least, most = schema.get("minItems", 0), schema.get("maxItems", 3)
        prefix = schema.get("prefixItems", [])
        count = rng.randint(least, most if schema.get("items") is not False else len(prefix))
        return [draw(prefix[i] if i < len(prefix) else schema.get("items", {}), root, rng) for i in range(count)]
    if kind == "string":
        if "format" in schema:
            return FORMATS[schema["format"]]
        if "pattern" in schema:
            return rng.choice(PATTERNS[schema["pattern"]])
        return "".join(rng.choice(LETTERS) for _ in range(rng.randint(schema.get("minLength", 0), schema.get("maxLength", 8))))
    if kind in ("integer", "number"):
        return number(schema, rng, kind == "integer")
    return {"boolean": rng.random() < 0.5, "null": None}.get(kind)


def mutate(value, rng):
    """Something near it."""
    choice = rng.randrange(6)
    if isinstance(value, dict) and value and choice < 5:
        out = dict(value)
        key = rng.choice(list(out))
        if choice == 0:
            del out[key]
        elif choice == 1:
            out["zz"] = 1
        else:
            out[key] = mutate(out[key], rng)
        return out
    if isinstance(value, list) and choice < 4:
        out = list(value)
        if choice == 0 and out:
            out.pop()
        elif choice == 1:
            out.append(out[0] if out else 1)
        elif out:
            at = rng.randrange(len(out))
            out[at] = mutate(out[at], rng)
        return out
    if isinstance(value, bool) or value is None:
        return rng.choice([0, "true", [], True, None])
    if isinstance(value, (int, float)):
        return rng.choice([value * 1000 + 1, -value - 1, value + 1, value - 1, value + 0.5, str(value)])
    if isinstance(value, str):
        return rng.choice([value + "x" * 50, value[:-1], value.upper(), value + "-", "", 7])
    return rng.choice([None, 0, "x"])


def spell(value, rng):
    comma, colon = rng.choice([",", ", "]), rng.choice([":", ": "])
    return json.dumps(value, ensure_ascii=False, separators=(comma, colon))


def valid(validator, line):
    return validator.is_valid(json.loads(line))


def make(name, schema):
    rng = random.Random(name)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    good, bad = {}, {}
    for _ in range(400):
        value = draw(schema, schema, rng)
        line = spell(value, rng)
        if "\n" not in line and valid(validator, line) and len(line) < 600 and not ("e" in line.lower() and "numbers" in name and "e-" in line):
            good[line] = None
        line = spell(mutate(value, rng), rng)
        if "\n" not in line and not valid(validator, line) and len(line) < 600:
            bad[line] = None
    return [f"+{g}" for g in list(good)[:12]] + [f"-{b}" for b in list(bad)[:12]]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what is there instead of writing it")
    args = parser.parse_args()
    (ROOT / "texts").mkdir(parents=True, exist_ok=True)
    wrong = 0
    for name, schema in SCHEMAS.items():
        files = {ROOT / f"{name}.json": json.dumps(schema, ensure_ascii=False, indent=1) + "\n", ROOT / "texts" / f"{name}.txt": "\n".join(make(name, schema)) + "\n"}
        for path, content in files.items():
            if not args.check:
                path.write_text(content, encoding="utf-8")
            elif not path.exists() or path.read_text(encoding="utf-8") != content:
                print(f"{path}: differs")
                wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
