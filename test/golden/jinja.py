#!/usr/bin/env python3
"""Random templates, and the text that Jinja2 makes of them as transformers sets it up.

    python3 test/golden/jinja.py SEED COUNT   # one JSON object a line: template, variables, text or error

Wants jinja2 (3.1.6 was used).
"""
import json
import random
import sys

from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2 import nodes
import jinja2.exceptions


class Generation(Extension):
    """The tag that transformers adds; its body is written as it is."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.Scope(body, lineno=line)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


ENVIRONMENT = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
ENVIRONMENT.filters["tojson"] = tojson
ENVIRONMENT.globals["raise_exception"] = raise_exception

MESSAGES = [
    {"role": "system", "content": "  Be brief.\n"},
    {"role": "user", "content": "Hi <b>there</b>\r\n  été ☕ 😀 x"},
    {"role": "assistant", "content": "<think>\nhm, a,b\n</think>\n\nYes, 'ok' \"q\" \\ \t.", "tool_calls": [
        {"type": "function", "function": {"name": "lamp", "arguments": {"room": "küche", "level": 3, "dim": 0.5, "on": True, "x": None}}}]},
    {"role": "tool", "content": "", "name": "lamp"},
    {"role": "user", "content": "again"},
]
TOOLS = [{"type": "function", "function": {"name": "lamp", "description": "A lamp's \"switch\"\nin a room", "parameters": {
    "type": "object", "properties": {"room": {"type": "string"}, "level": {"type": "integer", "enum": [1, 2]}}, "required": ["room"], "items": []}}}]
VARIABLES = {"messages": MESSAGES, "tools": TOOLS, "words": ["b", "A", "c", "a", "b"], "numbers": [3, 1, 2, 2.5, -4], "none_value": None,
             "flag": True, "text": " ab-ab,Ab  c\n", "count": 7, "share": 0.25, "nested": {"b": {"c": [1, {"d": "e"}]}, "A": 1, "items": 5}}

R = random.Random()


def pick(*options):
    return R.choice(options)


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def literal():
    return quoted(pick("", "a", "ab", "b", ",", " ", "\n", "x y", "<think>", "</think>", "é", "😀", "A-b c", "1", "12.5", "%s|", "-"))


def string(depth):
    if depth <= 0:
        return pick(literal(), "text", "messages[1].content", "messages[2]['content']", "words[0]", "messages[0].role")
    s = lambda: string(depth - 1)
    return pick(
        lambda: s(), lambda: f"({s()} + {s()})", lambda: f"({s()} ~ {value(depth - 1)})", lambda: f"{s()}|{pick('upper', 'lower', 'trim', 'title', 'capitalize', 'string', 'length|string', 'list|join', 'reverse')}",
        lambda: f"{paren(s())}.{pick('strip', 'lstrip', 'rstrip')}({pick('', literal())})", lambda: f"{paren(s())}.{pick('upper', 'lower', 'title', 'capitalize', 'swapcase')}()",
        lambda: f"{paren(s())}.split({literal_nonempty()})[{pick('0', '-1')}]", lambda: f"{paren(s())}.replace({literal()}, {literal()}{pick('', ', 1', ', -1')})",
        lambda: f"{s()}|replace({literal()}, {literal()}{pick('', ', 1')})", lambda: f"{paren(s())}[{bound()}:{bound()}{pick('', ':' + bound(), ':-1', ':2')}]",
        lambda: f"{s()}|join({literal()})", lambda: f"{listing(depth - 1)}|join({pick('', literal())})", lambda: f"({s()} if {condition(depth - 1)} else {s()})",
        lambda: f"({s()} * {pick('0', '1', '2')})", lambda: f"{s()}|indent({pick('', '2', '2, true', 'first=true', 'width=3, blank=true')})",
        lambda: f"""{value(depth - 1)}|tojson{pick('', '(indent=2)', '(ensure_ascii=true)', '(sort_keys=true)', '(indent=1, separators=(",", ":"))')}""",
        lambda: f"{s()}|default({literal()}{pick('', ', true')})", lambda: f"({quoted('%s:%s')} % ({s()}, {value(depth - 1)}))", lambda: f"{quoted('{0}-{x}|{0!r:>6}')}.format({s()}, x={number(depth - 1)})",
        lambda: f"{quoted('%d %5.2f %-4s| %05d %x')}|format({number(0)}, {number(0)}, {s()}, 7, 255)", lambda: f"{paren(s())}.{pick('partition', 'rpartition')}({literal_nonempty()})[{pick('0', '1', '2')}]",
        lambda: f"{paren(s())}.{pick('removeprefix', 'removesuffix')}({literal()})", lambda: f"{paren(s())}.{pick('center', 'ljust', 'rjust')}({pick('5', '8')})", lambda: f"""{s()}|truncate({pick('5', '9, true', '6, false, ".."', '4, true, "", 0')})""",
        lambda: f"{paren(s())}.join({listing_of_strings(depth - 1)})", lambda: f"{s()}|{pick('first', 'last')}", lambda: f"{s()}|wordcount|string", lambda: f"{s()}|{pick('urlencode', 'center(9)')}",
        lambda: f"{paren(s())}.zfill(5)", lambda: f"{paren(s())}.splitlines({pick('', 'true')})|string",
    )()


def paren(text):
    return text if text.isidentifier() else f"({text})"


def bound():
    return pick("", "0", "1", "2", "-1", "-2", "5", "99", "-99")


def literal_nonempty():
    while True:
        found = literal()
        if found != "''":
            return found


def number(depth):
    if depth <= 0:
        return pick("0", "1", "2", "3", "-1", "10", "1.5", "2.0", "count", "share", "numbers[1]", "true")
    n = lambda: number(depth - 1)
    return pick(
        n, lambda: f"({n()} {pick('+', '-', '*', '/', '//', '%')} {n()})", lambda: f"{string(depth - 1)}|length", lambda: f"{listing(depth - 1)}|length", lambda: f"{string(depth - 1)}|int", lambda: f"{string(depth - 1)}|float",
        lambda: f"""{n()}|{pick('abs', 'int', 'float', 'round', 'round(1)', 'round(1, "floor")')}""", lambda: f"-{n()}", lambda: f"({n()} if {condition(depth - 1)} else {n()})", lambda: f"{pick('numbers', '[1, 2.5]', '[]')}|{pick('sum', 'max', 'min')}",
        lambda: f"{paren(string(depth - 1))}.{pick('find', 'rfind', 'count')}({literal()})", lambda: f"({n()} ** 2)",
    )()


def listing_of_strings(depth):
    return pick("words", f"[{literal()}, {literal()}]", f"{paren(string(depth - 1))}.{pick('split', 'rsplit')}({pick('', literal_nonempty(), literal_nonempty() + ', 1', 'none, 1')})")


def listing(depth):
    if depth <= 0:
        return pick("words", "numbers", "messages", "[]", "[1, 'a', none]", "tools", "(1, 2)", "range(3)|list")
    items = lambda: listing(depth - 1)
    return pick(
        items, lambda: listing_of_strings(depth), lambda: f"[{value(depth - 1)}, {value(depth - 1)}]", lambda: f"({value(depth - 1)}, {value(depth - 1)})", lambda: f"{paren(items())}[{bound()}:{bound()}{pick('', ':-1', ':2')}]", lambda: f"{items()}|list",
        lambda: f"""words|{pick('sort', 'sort(reverse=true)', 'sort(case_sensitive=true)', 'unique|list', 'map("upper")|list', 'select("equalto", "b")|list', 'reject("in", ["a"])|list', 'batch(2)|list', 'slice(2)|list')}""",
        lambda: f"""messages|{pick('map(attribute="role")', 'selectattr("role", "equalto", "user")', 'rejectattr("role", "eq", "user")', 'selectattr("tool_calls", "defined")', 'selectattr("content")', 'groupby("role")', 'map(attribute="name", default="-")')}|list""",
        lambda: f"nested{pick('.b.c', '|dictsort', '|items|list', '.keys()|list', '.values()|list', '.items()|list')}", lambda: f"{items()}|reverse|list", lambda: f"({paren(items())}|list + {paren(items())}|list)",
    )()


def value(depth):
    return pick(string, number, listing, lambda d: pick("none", "flag", "none_value", "nested", "tools[0]", "messages[2]", "{'a': 1, 'b': [true, none]}", "{}", "nested['items']", "nested.A", "missing"))(depth)


def condition(depth):
    if depth <= 0:
        return pick("flag", "true", "false", "tools", "none_value", "missing", "count > 3", "text", "[]")
    c = lambda: condition(depth - 1)
    s, n = (lambda: string(depth - 1)), (lambda: number(depth - 1))
    return pick(
        c, lambda: f"not {c()}", lambda: f"({c()} {pick('and', 'or')} {c()})", lambda: f"({s()} {pick('==', '!=', '<', '>=')} {s()})", lambda: f"({n()} {pick('==', '!=', '<', '>=')} {n()})", lambda: f"({s()} {pick('in', 'not in')} {s()})",
        lambda: f"({value(depth - 1)} in {listing(depth - 1)})", lambda: f"({value(0)} is {pick('', 'not ')}{pick('defined', 'none', 'string', 'mapping', 'number', 'iterable', 'sequence', 'boolean', 'true', 'false', 'integer', 'float', 'undefined', 'callable')})",
        lambda: f"({pick('count', '3', '4')} is {pick('odd', 'even', 'divisibleby(2)', 'divisibleby 3', 'eq 3', 'in [3]', 'gt(3)', 'sameas 3')})", lambda: f"{paren(s())}.{pick('startswith', 'endswith')}({pick(literal(), '(' + literal() + ', ' + literal() + ')')})",
        lambda: f"(1 < {n()} <= 7)", lambda: f"{paren(s())}.{pick('isdigit', 'isalpha', 'isspace', 'isupper', 'islower', 'isalnum')}()", lambda: f"('{pick('role', 'name', 'items')}' in {pick('messages[3]', 'nested', 'tools[0]')})",
    )()


def sign():
    return pick("", "", "-", "-", "+")


def end_sign():
    return pick("", "", "-", "-", "+")


def block(inside):
    return "{%" + sign() + " " + inside + " " + end_sign() + "%}"


def space():
    return pick("", " ", "\n", "\n  ", "\t", "x", "\n\n", "  \n ", "\r\n", "text ", "{ ", "}")


def statements(depth, loop=False):
    return "".join(space() + statement(depth, loop) + space() for _ in range(R.randint(1, 3)))


def statement(depth, loop):
    if depth <= 0:
        return "{{" + pick("", "-") + " " + value(1) + " " + pick("", "-") + "}}"
    inner = lambda l=loop: statements(depth - 1, l)
    options = [
        lambda: "{{ " + value(2) + " }}", lambda: "{{" + pick("", "-") + " " + string(3) + " " + pick("", "-") + "}}", lambda: "{#" + sign() + " note " + end_sign() + "#}",
        lambda: block("if " + condition(2)) + inner() + pick("", block("elif " + condition(1)) + inner()) + pick("", block("else") + inner()) + block("endif"),
        lambda: block("set x = " + value(2)) + "{{ x }}", lambda: block("set x" + pick("", "|upper", "|trim|length")) + inner(False) + block("endset") + "[{{ x }}]", lambda: block("set a, b = " + value(1) + ", " + value(1)) + "{{ b }}{{ a }}",
        lambda: block("set ns = namespace(n=0, s='')") + block("for i in " + pick("words", "range(2)")) + block("set ns.n = ns.n + 1") + block("set ns.s = ns.s ~ i") + block("set inner = i") + block("endfor") + "{{ ns.n }}{{ ns.s }}{{ inner is defined }}",
        lambda: block("for m in " + pick("messages", "messages[1:]", "messages if m.role != 'user'", "messages|rejectattr('role', 'in', ['tool'])", "[]")) + inner(True) + "{{ loop." + pick("index", "index0", "first", "last", "revindex", "length", "previtem.role", "nextitem is defined", "cycle('a', 'b')", "changed(m.role)", "depth") + " }}{{ m." + pick("role", "content", "name", "content|trim") + " }}" + pick("", block("else") + "none") + block("endfor"),
        lambda: block("for k, v in " + pick("nested.items()", "nested|items", "tools[0].function.items()", "nested|dictsort(reverse=true)", "{'x': 1}.items()")) + "{{ k }}={{ v" + pick("", "|tojson", "|string|length") + " }}" + inner(True) + block("endfor"),
        lambda: block("macro f(a, b=" + literal() + ")") + "<{{ a }}{{ b }}" + pick("", "{{ varargs|length }}", "{{ kwargs|length }}", "{{ caller() if caller else '' }}") + inner(False) + ">" + block("endmacro") + "{{ f(" + value(1) + pick("", ", b=" + literal(), ", " + literal()) + ") }}",
        lambda: block("macro g()") + "({{ caller() }})" + block("endmacro") + block("call g()") + inner(False) + block("endcall"), lambda: block("filter " + pick("upper", "trim", "replace('a', 'b')|trim")) + inner(False) + block("endfilter"),
        lambda: block("with y = " + value(1)) + "{{ y }}" + inner(False) + block("endwith") + "{{ y is defined }}", lambda: block("generation") + inner(False) + block("endgeneration"),
        lambda: pick("{% raw %}", "{%- raw -%}", "{% raw -%}\n ") + "{{ x }}{% if" + pick("{% endraw %}", "\n{%- endraw -%}", "{% endraw +%}\n"),
    ]
    if loop:
        options += [lambda: block("if loop.index > 1") + block(pick("break", "continue")) + block("endif")]
    return R.choice(options)()


def case():
    template = statements(R.randint(0, 3)) + pick("", "\n", "\n\n")
    try:
        return {"template": template, "text": ENVIRONMENT.from_string(template).render(**VARIABLES)}
    except Exception as error:  # noqa: BLE001: whatever it is, ours has to refuse it too
        return {"template": template, "error": f"{type(error).__name__}: {error}"[:200]}


def main():
    R.seed(int(sys.argv[1]))
    print(json.dumps({"variables": VARIABLES}))
    for _ in range(int(sys.argv[2])):
        print(json.dumps(case()))


if __name__ == "__main__":
    main()
