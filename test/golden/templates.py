"""Writes templates.json: constructs of chat templates, and what Jinja2 makes of them.

    pip install jinja2==3.1.6
    python test/golden/templates.py > test/golden/templates.json

`differences` are rows in which JavaScript's renderings of Jinja went wrong; `templates` are
whole chat templates of our own that use the constructs of public models' templates, each with
several conversations.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from jinja import ENVIRONMENT, MESSAGES, TOOLS  # noqa: E402

DIFFERENCES = {
    "lines end as \\r\\n": "a\r\n{% if true %}\r\nb\r\n{% endif %}\r\nc\r\n",
    "lines end as \\r": "a\r{% if true %}\rb\r{% endif %}\r",
    "a literal's own \\r\\n": "{{ 'a\r\nb' | length }}",
    "raw": "{% raw %}{{ x }}{% if %}{% endraw %}!",
    "raw keeps its line": "{% raw %}\n{{ x }}\n{%- endraw %}\nend",
    "strip of characters": "{{ 'xxaxbxx'.strip('x') }}|{{ 'xyab'.lstrip('yx') }}|{{ 'abyx'.rstrip('xy') }}",
    "strip of line ends only": "{{ '\\n\\n    if x:\\n'.lstrip('\\n') }}|{{ '  a \\n'.rstrip('\\n') }}|",
    "strip of none": "{{ '  a '.strip(none) }}|",
    "trim of characters": "{{ '--a--' | trim('-') }}",
    "split with a limit": "{{ 'a,b,c'.split(',', 1) }}{{ 'a b  c'.split(none, 1) }}{{ 'a,b,c'.rsplit(',', 1) }}",
    "split's maxsplit by name": "{{ 'a,b,c'.split(',', maxsplit=1) }}",
    "partition": "{{ 'k=v=w'.partition('=') }}{{ 'k=v=w'.rpartition('=') }}{{ 'k'.partition('=') }}",
    "splitlines": "{{ 'a\\nb\\r\\nc\\n'.splitlines() }}{{ 'a\\nb'.splitlines(true) }}",
    "capitalize lowers the rest": "{{ 'hELLO wORLD'.capitalize() }}{{ 'ABC' | capitalize }}",
    "two kinds of title": "{{ \"it's a-b\".title() }}|{{ \"it's a-b\" | title }}",
    "text is counted by characters": "{{ '😀é' | length }}{{ '😀é'[0] }}{{ '😀é'[::-1] }}{{ 'a😀b'.find('b') }}",
    "replace of nothing": "{{ 'ab'.replace('', '-') }}{{ 'aaa'.replace('a', 'b', 2) }}{{ 'ab' | replace('a', '$&') }}",
    "join of numbers": "{{ [1, none, true, 1.0] | join(',') }}",
    "str is printed as Python's": "{{ ['a', \"it's\", 'x\\n', 1.0, 1e20, none, true, (1,)] }}{{ {'a': {'b': []}} }}",
    "floats": "{{ 1.0 }} {{ 1e16 }} {{ 0.00001 }} {{ 10 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }}",
    "a chain of comparisons": "{{ 1 < 2 < 3 }}{{ 3 > 2 > 2 }}{{ 1 == 1.0 == true }}",
    "tests with arguments": "{{ 4 is divisibleby(2) }}{{ 4 is divisibleby 3 }}{{ 'a' is in ['a'] }}{{ 3 is gt(2) }}{{ 'a' is sameas 'a' }}{{ 1 is not none }}",
    "a test binds before and": "{{ true and none is none or false }}",
    "tojson is not HTML": "{{ {'a': '<é>', 'b': [1, 2.0]} | tojson }}{{ 'é' | tojson(ensure_ascii=true) }}",
    "tojson with indent": "{{ {'a': [1, {'b': none}], 'c': {}, 'd': []} | tojson(indent=2) }}",
    "tojson with separators": "{{ {'b': 1, 'a': 2} | tojson(separators=(',', ':'), sort_keys=true) }}",
    "an undefined text": "[{{ missing }}][{{ missing | default('d') }}][{{ '' | default('d', true) }}][{{ missing is defined }}]",
    "a missing attribute is undefined once": "{{ messages[0].nothing is defined }}{{ messages[0].nothing | default('x') }}",
    "a key that is a method's name": "{{ {'items': 5}['items'] }}{{ {'items': 5}.items() | list }}{{ 'items' in {'items': 5} }}",
    "get with a default": "{{ {'a': none}.get('a', 'x') }}{{ {}.get('a') }}{{ {}.get('a', 'x') }}",
    "what a loop sets stays in it": "{% set x = 1 %}{% for i in [1, 2] %}{% set x = i + x %}{{ x }}{% endfor %}{{ x }}",
    "what an if sets stays": "{% if true %}{% set x = 2 %}{% endif %}{{ x }}",
    "a loop's filter": "{% for m in messages if m.role == 'user' %}{{ loop.index }}/{{ loop.length }}{{ m.content[:2] }}{% else %}none{% endfor %}",
    "a loop's neighbours": "{% for m in messages %}{{ loop.previtem.role if not loop.first }}<{{ m.role }}>{{ loop.nextitem.role if not loop.last }},{% endfor %}",
    "break and continue": "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "a generator has no length": "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{% if messages | selectattr('role', 'equalto', 'nobody') %}always{% endif %}",
    "a generator ends": "{% set g = [1, 2] | map('string') %}{{ g | join }}|{{ g | join }}",
    "select, reject, map": "{{ [0, 1, 2] | select | list }}{{ [1, 2, 3] | reject('odd') | list }}{{ ['a'] | map('upper') | first }}{{ messages | map(attribute='role') | unique | join(',') }}",
    "a macro's scope": "{% set x = 1 %}{% macro f(a, b=a ~ x) %}{{ a }}{{ b }}{% endmacro %}{% for x in [5] %}{{ f(2) }}{% endfor %}",
    "a macro's caller": "{% macro m(x) %}<{{ caller(x) }}>{% endmacro %}{% call(y) m(3) %}{{ y + 1 }}{% endcall %}",
    "varargs and kwargs": "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, a=3) }}",
    "namespace": "{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
    "set of a block": "{% set x %}a{{ 1 }}{% endset %}{{ x | upper }}{% set y | trim %} b {% endset %}[{{ y }}]",
    "set of two": "{% set a, b = 1, 2 %}{{ b }}{{ a }}",
    "plus keeps white space": "a\n  {%+ if true %}\n b{% endif +%}\n c",
    "a block swallows its line's end": "a\n  {% if true %}\n  b\n  {% endif %}\n  {{ 1 }}\n  {# c #}\nd\n",
    "minus in a comment": "a  {#- x -#}  b",
    "braces in a literal": "{{ '}}' }}{{ '{%' }}{{ {'a': {'b': 1}} }}{% if '%}' %}x{% endif %}",
    "escapes": "{{ '\\x41\\u00e9\\t\\\\d' }}{{ '\\d' }}{{ \"a\\\"b\" }}",
    "neighbouring literals": "{{ 'a' 'b' ~ 'c' }}",
    "an if without else": "[{{ 'a' if false }}][{{ ('a' if false) is defined }}]",
    "if binds loosest": "{{ 1 if false else 2 if false else 3 }}{{ 'a' ~ 'b' if true }}",
    "not in": "{{ 'a' not in 'bc' }}{{ not 'a' in 'abc' }}{{ 1 not in [2] }}",
    "filters bind before arithmetic": "{{ 1 + '2' | int * 3 }}{{ -5 | abs }}{{ -(5) | abs }}",
    "percent formats": "{{ '%s=%d %5.1f %r' % ('a', 3, 2.25, 'x') }}{{ '%05d|%-4s|' | format(7, 'a') }}",
    "braces formats": "{{ '{} {:>5} {:.2f} {:,}'.format('a', 'b', 1.5, 12345) }}{{ '{x}{y[0]}'.format(x=1, y=[2]) }}",
    "indent": "{{ 'a\\nb\\n\\nc' | indent(2) }}|{{ 'a\\nb' | indent('> ', first=true) }}",
    "slices": "{{ messages[1:][0].role }}{{ messages[-1].role }}{{ messages[::-1][0].role }}{{ 'abc'[5:] }}{{ [1, 2, 3][:-1] }}",
    "items and dictsort": "{{ {'b': 1, 'A': 2} | dictsort }}{{ {'b': 1} | items | list }}{% for k, v in {'x': 1}.items() %}{{ k }}{{ v }}{% endfor %}",
    "sort is blind to case": "{{ ['b', 'A', 'c'] | sort | join }}{{ ['b', 'A'] | sort(case_sensitive=true) | join }}{{ [3, 1] | sort(reverse=true) }}",
    "int and float of texts": "{{ '42' | int }}{{ '42.7' | int }}{{ 'x' | int }}{{ '1.5' | float }}{{ '0x1f' | int(base=16) }}",
    "round": "{{ 2.5 | round }}{{ 3.5 | round }}{{ 1.25 | round(1) }}{{ 2.7 | round | int }}{{ 1.21 | round(1, 'ceil') }}",
    "generation": "{% for m in messages[:3] %}{% generation %}{{ m.role }}{%- endgeneration %};{% endfor %}",
    "with": "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}",
    "a filter's block": "{% filter upper %}abc{{ 'd' }}{% endfilter %}",
    "startswith of several": "{{ 'abc'.startswith(('x', 'a')) }}{{ 'abc'.endswith('bc') }}{{ 'abc'.startswith('b', 1) }}",
    "loop controls of a nested loop": "{% for i in [1, 2] %}{% for j in [1, 2] %}{% if j == 2 %}{% break %}{% endif %}{{ i }}{{ j }};{% endfor %}{% endfor %}",
    "recursive": "{% for n in [{'v': 1, 'c': [{'v': 2, 'c': []}]}] recursive %}{{ n.v }}{{ loop.depth }}{{ loop(n.c) }}{% endfor %}",
    "cycle and changed": "{% for i in [1, 1, 2] %}{{ loop.cycle('a', 'b') }}{{ loop.changed(i) }}{% endfor %}",
    "none is not text": "{{ none ~ 'x' }}{{ none | string }}{{ (none or 'y') }}",
    "true is one": "{{ true + 1 }}{{ true == 1 }}{{ true is number }}{{ true is integer }}{{ {1: 'a'}[true] }}",
    "a text is iterable and a sequence": "{{ 'ab' is iterable }}{{ 'ab' is sequence }}{{ {} is sequence }}{{ {} is mapping }}{{ 'ab' is string }}",
    # Refused there, so refused here.
    "text and none do not add": "{{ 'a' + none }}",
    "nothing of what is undefined": "{{ missing.attribute }}",
    "no sum with what is undefined": "{{ 'a' + missing }}",
    "lists do not change": "{% set l = [] %}{{ l.append(1) }}",
    "too many to unpack": "{% set a, b = [1, 2, 3] %}",
    "a filter that is not there": "{{ 1 | nothing }}",
    "raise_exception": "{{ raise_exception('roles must alternate') }}",
    "hidden attributes": "{{ ''.__class__.__mro__ }}",
    "generators have no length": "{{ [1] | map('string') | length }}",
}

# Parts from which whole templates are put together.
HEAD = {
    "none": "",
    "bos": "{{ bos_token }}",
    "bos in the loop": "{% if loop_messages is undefined %}{{- bos_token -}}{% endif %}",
    "default system": "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}{% endif %}",
    "system taken apart": "{%- if messages[0]['role'] == 'system' %}\n    {%- set system_message = messages[0]['content']|trim %}\n    {%- set messages = messages[1:] %}\n{%- else %}\n    {%- set system_message = '' %}\n{%- endif %}\n",
    "tools as lines": "{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n    {%- for tool in tools %}\n        {{- \"\\n\" }}\n        {{- tool | tojson }}\n    {%- endfor %}\n    {{- '<|im_end|>\\n' }}\n{%- endif %}\n",
    "tools as JSON": "{%- if tools is not none and tools|length > 0 %}{{ '[AVAILABLE_TOOLS] ' ~ (tools | tojson(indent=4)) ~ '[/AVAILABLE_TOOLS]' }}{% endif %}",
    "tools one by one": "{% for tool in tools or [] %}{%- set tool = tool.function %}{{ '## ' ~ tool.name }}\n{% for name, p in tool.parameters.properties.items() %}{{ '- ' ~ name ~ ': ' ~ p.type }}{% if p.enum %}{{ ' = ' ~ p.enum | join('|') }}{% endif %}{% if name in tool.parameters.required %} (required){% endif %}\n{% endfor %}{% endfor %}",
    "alternation": "{%- set ns = namespace(index=0) %}\n{%- for message in messages %}\n    {%- if message['role'] in ['user', 'assistant'] and message.tool_calls is not defined %}\n        {%- set ns.index = ns.index + 1 %}\n    {%- endif %}\n{%- endfor %}\n{{- ns.index }}",
    "last question": "{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}\n{%- for message in messages[::-1] %}\n    {%- set index = (messages|length - 1) - loop.index0 %}\n    {%- if ns.multi_step_tool and message.role == 'user' and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}\n        {%- set ns.multi_step_tool = false %}\n        {%- set ns.last_query_index = index %}\n    {%- endif %}\n{%- endfor %}\n{{- ns.last_query_index }}",
}
BODY = {
    "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}",
    "header ids": "{%- for message in messages %}\n    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}\n{%- endfor %}\n",
    "instructions": "{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'].strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'].strip() + eos_token }}{% else %}{{ '<<SYS>>\\n' + message['content'] + '\\n<</SYS>>\\n\\n' }}{% endif %}{% endfor %}",
    "turns": "{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}",
    "role as a token": "{% for message in messages %}{{'<|' + message['role'] + '|>' + '\\n' + message['content'] + '<|end|>\\n' }}{% endfor %}",
    "thoughts cut off": "{%- for message in messages %}\n    {%- set content = message.content %}\n    {%- if message.role == 'assistant' and '</think>' in content %}\n        {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}\n        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}\n        {%- if loop.last %}{{- '<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' }}{%- endif %}\n    {%- endif %}\n    {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}\n{%- endfor %}\n",
    "calls": "{%- for message in messages %}{%- if message.tool_calls %}{%- for tool_call in message.tool_calls %}{%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}{{- '\\n<tool_call>\\n{\"name\": \"' + tool_call.name + '\", \"arguments\": ' + (tool_call.arguments if tool_call.arguments is string else tool_call.arguments | tojson) + '}\\n</tool_call>' }}{%- endfor %}{%- elif message.role == 'tool' %}{%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}{{- '\\n<tool_response>\\n' ~ message.content ~ '\\n</tool_response>' }}{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}{%- else %}{{ message.role ~ ':' ~ (message.content or '') }}\n{%- endif %}{%- endfor %}",
    "macro": "{%- macro turn(message, first=false) -%}\n{{ '' if first else '\\n' }}{{ message.role | upper }}: {% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}\n{%- endmacro -%}\n{% for message in messages %}{{ turn(message, loop.first) }}{% endfor %}",
    "pretty": "{% for message in messages %}\n  {% if message.role == 'system' %}\nSystem: {{ message.content }}\n  {% elif message.role == 'user' %}\nUser: {{ message.content }}\n  {% else %}\nBot: {{ message.content }}{{ eos_token }}\n  {% endif %}\n{% endfor %}",
    "generation": "{% for message in messages %}{% if message.role == 'assistant' %}{% generation %}{{ message.content + eos_token }}{% endgeneration %}{% else %}{{ message.content }}{% endif %}{% endfor %}",
}
TAIL = {
    "open": "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "thinking": "{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n    {%- if enable_thinking is defined and enable_thinking is false %}\n        {{- '<think>\\n\\n</think>\\n\\n' }}\n    {%- endif %}\n{%- endif %}",
    "by the last": "{% if messages[-1]['role'] == 'user' and add_generation_prompt %}{{ '<|assistant|>\\n' }}{% elif add_generation_prompt is not defined or not add_generation_prompt %}{{ eos_token }}{% endif %}",
}

PLAIN = [{"role": "user", "content": "  Hi <|im_end|> there\n"}]
TALK = [{"role": "system", "content": " Rules \n"}, {"role": "user", "content": "a</think>b"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\n  code\n"}, {"role": "user", "content": "été 😀"}]


def rendered(template, **variables):
    try:
        return {"text": ENVIRONMENT.from_string(template).render(**variables)}
    except Exception:  # noqa: BLE001
        return {"refused": True}


def differences():
    return [{"name": name, "template": template, **rendered(template, messages=MESSAGES, tools=TOOLS)} for name, template in DIFFERENCES.items()]


CONVERSATIONS = [PLAIN, TALK, MESSAGES]
MORE = [{"tools": None}, {"tools": TOOLS, "enable_thinking": False}]
ALWAYS = {"add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>"}


def cases(template):
    return [rendered(template, messages=messages, **more, **ALWAYS) for messages in CONVERSATIONS for more in MORE]


def templates():
    rows = []
    for i, (head, first) in enumerate(HEAD.items()):
        for j, (body, middle) in enumerate(BODY.items()):
            if (i + j) % 10 > 6:
                continue
            tail, last = list(TAIL.items())[(i + j) % len(TAIL)]
            template = first + middle + last
            rows.append({"name": f"{head}, {body}, {tail}", "template": template, "cases": cases(template)})
    return rows


def lines(rows):
    return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]"


if __name__ == "__main__":
    variables = [{"messages": messages, **more, **ALWAYS} for messages in CONVERSATIONS for more in MORE]
    print('{"variables":' + json.dumps({"messages": MESSAGES, "tools": TOOLS}, ensure_ascii=False))
    print(',"differences":' + lines(differences()))
    print(',"cases":' + lines(variables))
    print(',"templates":' + lines(templates()) + "}")
