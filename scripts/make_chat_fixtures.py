#!/usr/bin/env python3
"""Writes tests/chat/{features,expected,specials,generation}.json with Jinja2 as transformers configures it (made with transformers 5.24.0, Jinja2 3.1.6).

features.json: small templates, one construct each, and what they give, or null where Jinja2 raises.
expected.json: tests/chat/templates/*.jinja (written for this repository after the published formats) over tests/chat/conversations.json,
through a tokenizer's apply_chat_template(). test_jinja and test_chat compare every byte.
specials.json: who adds the special tokens: tokenizers with several post-processors, templates that write them and ones that do not.
generation.json: where {% generation %} blocks are in the text, in bytes, and the assistant masks of apply_chat_template().
    python scripts/make_chat_fixtures.py
"""
import copy
import datetime
import json
import pathlib
import tempfile

import tokenizers
import transformers
from transformers.utils import chat_template_utils

CHAT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "chat"
NOW = datetime.datetime(2024, 7, 4, 15, 6, 9, tzinfo=datetime.timezone.utc)


class FixedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW.replace(tzinfo=None)


chat_template_utils.datetime = FixedClock

VARS = {
    "t": True, "f": False, "none_": None, "zero": 0, "one": 1, "neg": -7, "big": 9007199254740993, "pi": 3.14159, "tiny": 1e-7, "huge": 1e22,
    "s": "Hello, World", "empty": "", "blank": "  a b  ", "uni": "Grüße, ñandú 日本語 🤗", "html": "<a href=\"x\">'&'</a>",
    "lines": "one\n  two\r\n\nthree\n", "words": "the quick-brown fox (jumps) over", "num": "42", "hexa": "0x1F", "real": "2.50",
    "l": [3, 1, 2], "ll": [[1, 2], [3, 4]], "mixed": [1, "a", None, True, 2.5, [1], {"k": "v"}], "names": ["bob", "Alice", "carol", "alice"],
    "d": {"b": 2, "a": 1, "C": 3}, "nested": {"x": {"y": [10, {"z": "deep"}]}, "items": "shadow", "get": 5},
    "users": [{"name": "Zoe", "age": 30, "tags": ["x"]}, {"name": "adam", "age": 25, "tags": []}, {"name": "Bea", "age": 30}],
    "tool": {"type": "function", "function": {"name": "f", "description": "d \"q\" é </s> \u2028", "parameters": {"type": "object", "properties": {}, "required": []}}},
}

# name of a group: templates; several hundred, each on its own
FEATURES = {
    "literals": [
        "{{ 1 }} {{ 1.0 }} {{ 1.50 }} {{ 'a' }} {{ \"b\" }} {{ true }} {{ True }} {{ false }} {{ none }} {{ None }}", "{{ [1, 'a', 2.0, true, none] }}", "{{ (1, 2) }} {{ (1,) }} {{ () }}",
        "{{ {'a': 1, 'b': [1, {'c': 2}]} }}", "{{ [] }}{{ {} }}", "{{ 1_000 }} {{ 0x1f }} {{ 0o17 }} {{ 0b101 }} {{ 1e3 }} {{ 1.5e-7 }} {{ 1_0.5 }}", "{{ 'a' 'b' \"c\" }}",
        r"{{ 'tab\tnl\\n\n q\' \x41 \u00e9 \U0001F917 \101 \q' }}", r"{{ ['tab\t', \"it's\", 'q\"', 'b\'q\"', '\x00\x7f\u200b\u00a0é'] }}", "{{ 1.0e16 }} {{ 123456789012345678.0 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1e15 }} {{ 0.1 + 0.2 }} {{ -0.0 }}",
        "{{ 9223372036854775807 }}", "{{ 1, 2 }}", "{{ 1,\n }}", "{{ [1, 2,] }} {{ {'a': 1,} }}", "{{ 012 }}", "{{ 1.e5 }}", "{{ 'a }}", "{{ {1: 2, true: 3, 'x': 4} }}", "{{ {[]: 1} }}", "{{ 00 }}", "{{ [1,2,3].0 }}{{ ll.0.1 }}",
        "{{ 3.14|string ~ 1e100 ~ 5e-324 ~ 1.7976931348623157e308 }}", "{{ pi }} {{ tiny }} {{ huge }} {{ big }}", "{{ 1e400 }} {{ -1e400 }}", "{{ 'line\\\ncontinued' }}", "{{ \"\\N{DASH}\" }}{# unknown #}",
    ],
    "arithmetic": [
        "{{ 1 + 2 }} {{ 3 - 5 }} {{ 2 * 3 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** -1 }}",
        "{{ 7.5 // 2 }} {{ -7.5 // 2 }} {{ 7.5 % 2 }} {{ -7.5 % 2 }} {{ 7.5 % -2 }} {{ 1.5 + 1 }} {{ 2 ** 0.5 }}", "{{ true + 1 }} {{ true * 3 }} {{ -true }} {{ true / 2 }}", "{{ 'a' + 'b' }} {{ 'ab' * 3 }} {{ 2 * 'x' }} {{ 'x' * -1 }}|",
        "{{ [1] + [2] }} {{ [0] * 3 }} {{ (1,) + (2,) }} {{ 2 * (1,) }}", "{{ 1 ~ 'a' ~ none ~ 2.0 ~ true ~ [1] ~ nope }}", "{{ 2 + 3 * 4 - 1 }} {{ (2 + 3) * 4 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 10 - 3 - 2 }} {{ 2 * 3 % 4 }}",
        "{{ 'a' ~ 1 + 2 }}", "{{ 1 + 'a' }}", "{{ 'a' + 1 }}", "{{ [1] + (2,) }}", "{{ 1 / 0 }}", "{{ 1 // 0 }}", "{{ 1 % 0 }}", "{{ 1.0 / 0 }}", "{{ none + 1 }}", "{{ nope + 1 }}", "{{ 'a' + nope }}", "{{ -'a' }}", "{{ +5 }} {{ - 5 }} {{ -neg }} {{ --5 }}",
        "{{ 5 - -5 }}", "{{ 'a' - 'b' }}", "{{ {} + {} }}", "{{ 0 ** 0 }} {{ 0.0 ** 0 }} {{ (-2) ** 3 }} {{ (-2) ** -3 }}", "{{ 0 ** -1 }}", "{{ 10 // 3 * 3 + 10 % 3 }} {{ -10 // 3 * 3 + -10 % 3 }}", "{{ 1e308 * 10 }} {{ 1e308 * 10 - 1e308 * 10 }}",
        "{{ 5 % 3.5 }} {{ -0.0 % 5 }} {{ 5 // 0.3 }} {{ -1 // 4.0 }}", "{{ 3 * 0.1 }} {{ 1 / 3 }} {{ 100 / 7 }} {{ 2 / 3 * 3 }}",
    ],
    "comparison": [
        "{{ 1 == 1.0 }} {{ 1 == true }} {{ '1' == 1 }} {{ none == none }} {{ [1] == [1.0] }} {{ {'a': 1} == {'a': 1} }} {{ (1,) == [1] }}", "{{ 1 < 2 }} {{ 2 <= 2 }} {{ 3 > 2 }} {{ 2 >= 3 }} {{ 1 != 2 }} {{ 'a' < 'b' }} {{ 'B' < 'a' }} {{ [1, 2] < [1, 3] }} {{ (1,) < (1, 0) }}",
        "{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 < 2 == 2 }} {{ 3 > 2 > 1 != 0 }}", "{{ 'a' in 'abc' }} {{ '' in 'abc' }} {{ 1 in [1, 2] }} {{ 'a' in d }} {{ 'z' not in d }} {{ not 1 in [2] }} {{ 1.0 in [1] }} {{ 3 in range(5) }} {{ true in [1] }}",
        "{{ 1 in 'abc' }}", "{{ nope in 'abc' }}", "{{ 'a' in nope }}", "{{ 'a' in 5 }}", "{{ 1 < 'a' }}", "{{ none < 1 }}", "{{ {} < {} }}", "{{ nope < 1 }}", "{{ nope == nope2 }} {{ nope == none }} {{ nope != 1 }}", "{{ [] in ll }} {{ [1, 2] in ll }}", "{{ [1] in d }}",
        "{{ big == 9007199254740992.0 }} {{ big > 9007199254740992.0 }} {{ 'é' > 'z' }} {{ '🤗' > 'ﬁ' }}", "{{ 1e400 == 1e400 }} {{ (1e400 - 1e400) == (1e400 - 1e400) }}", "{{ {'a': 1, 'b': 2} == {'b': 2, 'a': 1} }}", "{{ 'b' in d.keys() }} {{ 2 in d.values() }} {{ ('a', 1) in d.items() }}",
        "{{ range(3) == range(3) }} {{ range(0) == range(5, 5) }}", "{{ 'x' if 1 < 2 else 'y' }}",
    ],
    "logic": [
        "{{ 1 and 2 }} {{ 0 and 2 }} {{ 0 or 'x' }} {{ '' or [] }} {{ not 0 }} {{ not 'a' }} {{ not not 5 }}", "{{ true and not false or false }} {{ not true or true }}", "{{ nope and 1 }}|{{ nope or 1 }}|{{ not nope }}", "{{ 'y' if t else 'n' }}{{ 'y' if f else 'n' }}{{ 'y' if f }}|",
        "{{ 1 if f else 2 if f else 3 }}", "{{ (1 if f else 2) + 1 }}", "{{ ('a' if f).x }}", "{{ 'x' if nope is defined else 'z' }}", "{{ [1 if t else 2, 3] }}", "{{ 'a' if 0.0 else 'b' }}{{ 'a' if [] else 'b' }}{{ 'a' if {} else 'b' }}{{ 'a' if ' ' else 'b' }}{{ 'a' if range(0) else 'b' }}{{ 'a' if [0] else 'b' }}",
        "{{ t and 'a' or 'b' }}", "{{ 'a' or 1/0 }}", "{{ 1 == 1 and 2 == 2 or 1/0 }}", "{{ x if x is defined else 'no' }}",
    ],
    "access": [
        "{{ d.a }} {{ d['a'] }} {{ nested.x.y[1].z }} {{ nested['x']['y'][0] }}", "{{ nested.items is callable }} {{ nested['items'] }} {{ nested.get is callable }} {{ nested['get'] }}", "{{ d['keys'] is callable }} {{ d.nope is defined }} {{ d.nope }}|", "{{ d.nope.deeper }}", "{{ nope.x }}", "{{ nope['x'] }}", "{{ nope[0] }}",
        "{{ l[0] }} {{ l[-1] }} {{ l[5] }}|{{ l['x'] }}|{{ l.x }}|", "{{ s[0] }} {{ s[-1] }} {{ s[100] }}|{{ uni[1] }}{{ uni[2] }}{{ uni[-1] }}", "{{ (1, 2)[1] }} {{ range(5)[2] }} {{ range(10)[-1] }}", "{{ l[1:] }} {{ l[:-1] }} {{ l[::-1] }} {{ l[::2] }} {{ l[-2:] }} {{ l[5:] }} {{ l[:] }}", "{{ s[7:] }} {{ s[:5] }} {{ s[::-1] }} {{ s[::2] }} {{ s[-5:-1] }} {{ s[100:] }}|{{ uni[::-1] }} {{ uni[2:5] }} {{ uni[::3] }} {{ uni[-3::-2] }}",
        "{{ (1, 2, 3)[1:] }} {{ l[2:0:-1] }} {{ l[10::-1] }} {{ l[-100:100] }} {{ 'abc'[1:1] }}|", "{{ range(10)[2:8]|list }} {{ range(10)[::-3]|list }}", "{{ l[::0] }}", "{{ l['a':] }}", "{{ d[1:2] }}|{{ 5[1:] }}|", "{{ l[true] }} {{ l[none] }}|{{ l[1.0] }}|{{ d[none] }}|{{ d[l] }}|", "{{ none.x }}|{{ 5 .x }}|{{ none['x'] }}|{{ true.x }}|",
        "{{ 'abc'.upper }}{# #}" if False else "{{ s.nope }}|{{ s.nope is defined }}", "{{ ''.__class__ }}|{{ ''.__class__ is defined }}", "{{ ''.__class__.__mro__ }}", "{{ l.append }}|{{ l.append is defined }}", "{{ l.append(1) }}", "{{ d.update({'x': 1}) }}", "{{ d.pop('a') }}", "{{ l.__len__() }}", "{{ d['__class__'] }}|", "{{ d._x }}|{{ d.__x }}|", "{{ [].sort() }}", "{{ l.index }}" if False else "{{ l.index(2) }} {{ l.count(3) }}", "{{ l.index(9) }}", "{{ (1, 2, 1).count(1) }} {{ (1, 2).index(2) }}", "{{ ll[0, 1] }}|", "{{ d[('a')] }}",
        "{{ {1: 'one'}[1] }} {{ {1: 'one'}[1.0] }} {{ {1: 'one'}[true] }} {{ {'1': 'x'}[1] }}|", "{{ users[0].name }} {{ users[-1]['age'] }} {{ users[0].tags[0] }}", "{{ l[big] }}|",
    ],
    "methods": [
        "{{ blank.strip() }}|{{ blank.lstrip() }}|{{ blank.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abcba'.strip('ab') }}|{{ '\\n\\t a\\x1c\\x85'.strip() }}|{{ 'a'.strip(none) }}", "{{ s.split(', ') }} {{ s.split() }} {{ 'a,b,c'.split(',', 1) }} {{ ' a  b '.split() }} {{ 'a  b'.split(' ') }} {{ ''.split() }} {{ ''.split(',') }} {{ ' a b c '.split(none, 1) }} {{ 'a b c'.split(maxsplit=1) }}",
        "{{ 'a,b,c'.rsplit(',', 1) }} {{ ' a b c '.rsplit(none, 1) }} {{ 'a b'.rsplit() }} {{ 'abab'.rsplit('ab') }}", "{{ lines.splitlines() }} {{ lines.splitlines(true) }} {{ ''.splitlines() }} {{ 'a\\x0bb\\u2028c'.splitlines() }}", "{{ s.startswith('Hell') }} {{ s.startswith(('x', 'H')) }} {{ s.endswith('ld') }} {{ s.endswith('') }} {{ s.startswith('llo', 2) }} {{ s.endswith('Hel', 0, 3) }} {{ 'a'.startswith('', 2) }}", "{{ s.startswith(1) }}", "{{ s.startswith(nope) }}",
        "{{ s.upper() }} {{ s.lower() }} {{ words.title() }} {{ words.capitalize() }} {{ s.swapcase() }}", "{{ 'ß ﬁ ŉ ǆ İI ıi ΑΣ ΑΣΑ Σ'.upper() }} {{ 'ß ﬁ ŉ ǆ İI ıi ΑΣ ΑΣΑ Σ'.lower() }} {{ 'ßa ﬁn ǆx o\\'neil ΑΣ'.title() }} {{ 'ﬁX ÉCOLE'.capitalize() }} {{ 'ß Éa'.swapcase() }}", "{{ s.replace('l', 'L') }} {{ s.replace('l', 'L', 1) }} {{ s.replace('', '-') }} {{ s.replace('zz', '') }} {{ s.replace('Hello, World', '') }}| {{ 'aaa'.replace('aa', 'b') }} {{ 'é'.replace('', '.', 1) }}",
        "{{ s.find('o') }} {{ s.rfind('o') }} {{ s.find('zz') }} {{ uni.find('日') }} {{ s.find('o', 5) }} {{ s.index('W') }} {{ s.rindex('l') }} {{ s.find('') }} {{ s.rfind('') }} {{ 'abc'.find('', 4) }}", "{{ s.index('zz') }}", "{{ s.count('l') }} {{ s.count('') }} {{ 'aaa'.count('aa') }} {{ s.count('l', 3, 5) }}", "{{ ', '.join(['a', 'b']) }} {{ '-'.join('abc') }} {{ ''.join([]) }}|", "{{ ','.join([1]) }}", "{{ ','.join(none) }}",
        "{{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'abc'.partition('x') }} {{ 'abc'.rpartition('x') }}", "{{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }} {{ 'abc'.removeprefix('x') }}", "{{ 'a'.center(4, '*') }} {{ 'ab'.center(5) }}| {{ 'a'.ljust(3, '.') }} {{ 'a'.rjust(3) }} {{ '-5'.zfill(4) }} {{ 'abc'.zfill(2) }}", "{{ 'a\\tb\\n\\tc'.expandtabs(4) }}",
        "{{ 'abc'.isalpha() }} {{ 'ab1'.isalnum() }} {{ '12'.isdigit() }} {{ '²'.isdigit() }} {{ '½'.isnumeric() }} {{ '٣'.isdecimal() }} {{ ' \\t'.isspace() }} {{ 'AB'.isupper() }} {{ 'ab1'.islower() }} {{ 'Ab Cd'.istitle() }} {{ ''.isalpha() }} {{ 'é'.isascii() }} {{ '1'.isupper() }}", "{{ d.keys() }} {{ d.values() }} {{ d.items() }} {{ d.keys()|list }} {{ d.items()|list }}", "{{ d.get('a') }} {{ d.get('zz') }} {{ d.get('zz', 'def') }} {{ d.get(1) }}", "{{ d.copy() }} {{ l.copy() }}",
        "{{ s.nope() }}", "{{ s.upper(1) }}", "{{ s.split('') }}", "{{ s.replace('a') }}", "{{ d.get() }}", "{{ 'x'.strip(5) }}", "{{ nope.strip() }}", "{{ none.strip() }}", "{{ 'abc'() }}", "{{ nope() }}", "{{ 5() }}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{{ 'a b'.split()|length }} {{ 'a.b.c'.split('.')[-1] }} {{ 'x</think>y'.split('</think>')[-1].lstrip('\\n') }}", "{{ s.split(sep=',') }} {{ 'A-B'.split('-')[0].lower() }}",
    ],
    "formatting": [
        "{{ '%s and %s' % ('a', 1) }} {{ '%d' % 3.9 }} {{ '%05.2f|%-6s|%6s|%+d|% d' % (3.14159, 'ab', 'cd', 5, 7) }} {{ '%x %X %o %#x' % (255, 255, 8, 255) }} {{ '%e %g %G' % (12345.678, 0.00001, 1e20) }} {{ '%%' % () }} {{ '%r' % 'a' }} {{ '%(k)s' % {'k': 'v'} }} {{ '%c' % 'x' }}", "{{ '%s' % none }} {{ '%s' % true }} {{ '%s' % [1, 'a'] }} {{ '%.2s|%5.1s|' % ('abc', 'xyz') }} {{ '%*d' % (5, 3) }} {{ '%03d' % -5 }} {{ '%i' % true }}", "{{ '%d' % 'a' }}", "{{ '%s %s' % 'a' }}", "{{ '%s' % ('a', 'b') }}", "{{ 'a' % 1 }}", "{{ 'a' % [] }} {{ 'a' % {} }}", "{{ '%y' % 1 }}", "{{ '%(a)s' % 1 }}",
        "{{ '{} {}'.format(1, 'a') }} {{ '{1}{0}'.format('a', 'b') }} {{ '{x}'.format(x=5) }} {{ '{0.name}'.format(users[0]) }}|{{ '{0[a]}'.format(d) }} {{ '{{}}'.format() }} {{ '{!r}'.format('a') }} {{ '{!s:>4}'.format(1) }}", "{{ '{:>6}|{:<6}|{:^6}|{:*^7}|'.format('a', 'b', 'c', 'd') }} {{ '{:5d}|{:05d}|{:+d}|{:,}|{:_}|{:x}|{:#b}'.format(42, -42, 7, 1234567, 1234567, 255, 5) }} {{ '{:.2f}|{:8.3f}|{:e}|{:%}|{:g}|{:.3}'.format(3.14159, 2.5, 12345.678, 0.25, 1e10, 2.0) }}", "{{ '{:.2}|{:{}}|'.format('abc', 'x', 4) }} {{ '{:,.2f}'.format(1234567.891) }} {{ '{:>{w}}'.format('a', w=3) }} {{ '{}'.format(none) }} {{ '{}'.format([1]) }}", "{{ '{'.format() }}", "{{ '}'.format() }}", "{{ '{}'.format() }}", "{{ '{x}'.format() }}", "{{ '{:d}'.format('a') }}", "{{ '{} {0}'.format(1) }}",
        "{{ '%s-%s'|format('a', 2) }} {{ '%(x)s'|format(x=1) }}", "{{ 3.7|round|int }} {{ '{:.1f}'.format(2.25) }} {{ '%.0f' % 0.5 }} {{ '%.0f' % 1.5 }} {{ '%.3f' % 2.0005 }}", "{{ '%5s|%-5s|' % ('é', '日本') }} {{ '%s' % nope }}|",
    ],
    "filters text": [
        "{{ s|upper }} {{ s|lower }} {{ words|title }} {{ words|capitalize }} {{ 'aB-cD eF(gh) {ij}'|title }} {{ 5|upper }} {{ 'ﬁn ßa'|title }}", "{{ blank|trim }}|{{ 'xax'|trim('x') }}|{{ 5|trim }}|{{ nope|trim }}|{{ none|trim }}", "{{ s|replace('o', '0') }} {{ s|replace('o', '0', 1) }} {{ 12|replace(1, 3) }} {{ s|replace(old='l', new='_', count=2) }}", "{{ lines|indent }}\n{{ lines|indent(2, true) }}\n{{ lines|indent(2, blank=true) }}\n{{ 'a\\nb'|indent('> ') }}|{{ ''|indent(2, true) }}|{{ 'x\\n'|indent(first=true) }}|", "{{ html|e }} {{ html|escape }} {{ html|e|e }} {{ html|forceescape }} {{ 5|e }} {{ html|safe|e }} {{ html|string|e }}",
        "{{ ('<b>'|safe) + '<i>' }} {{ '<i>' + ('<b>'|safe) }} {{ ('<b>'|safe) ~ '<i>' }} {{ ('<%s>'|safe) % '<' }} {{ ['<b>'|safe] }} {{ ('a'|safe).upper() + '<' }}", "{{ 'abc'|center(7) }}|{{ 'ab'|center(5) }}|{{ 'abcd'|center(2) }}|", "{{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar baz qux'|truncate(11) }} {{ 'foo bar baz qux'|truncate(9, false, '~', 0) }} {{ 'short'|truncate(5) }}", "{{ words|wordcount }} {{ ''|wordcount }} {{ 'é日 a_b'|wordcount }}", "{{ 'a b/ü?&'|urlencode }} {{ {'a b': 1, 'c': '/&'}|urlencode }} {{ 5|urlencode }}",
        "{{ 5|string + '5' }} {{ none|string }} {{ [1, 'a']|string }} {{ nope|string }}| {{ true|string }} {{ 1.0|string }}", "{{ s|length }} {{ uni|length }} {{ l|length }} {{ d|length }} {{ nope|length }} {{ range(5)|length }} {{ ''|count }} {{ d.items()|length }}", "{{ 5|length }}", "{{ none|length }}", "{{ (l|map('string'))|length }}", "{{ s|first }}{{ s|last }} {{ l|first }} {{ l|last }} {{ []|first }}|{{ ''|last }}|{{ d|first }} {{ d|last }} {{ range(3)|last }}", "{{ [] | first | upper }}|", "{{ ([]|first).x }}", "{{ s|reverse }} {{ l|reverse|list }} {{ uni|reverse }} {{ (1, 2)|reverse|list }}", "{{ s|nope }}", "{{ s|upper(1) }}", "{{ s|replace('a') }}", "{{ s|upper|lower|title }}", "{{ (s|upper)[:3] }} {{ s|upper ~ 'x' }} {{ 'a' ~ s|upper }} {{ -5|abs }} {{ 1 + 2|string|length }}",
        "{{ 1024|filesizeformat }} {{ 1500000|filesizeformat }} {{ 1024|filesizeformat(true) }} {{ 1|filesizeformat }} {{ 999|filesizeformat }}", "{{ 'x'|default('d') }} {{ nope|default('d') }} {{ ''|default('d') }}|{{ ''|default('d', true) }} {{ none|default('d') }} {{ none|d('e', boolean=true) }} {{ nope|d }}|{{ d.zz|default('m') }} {{ d.zz|default(nope) }}|", "{{ nope.x|default('d') }}", "{{ d.zz.y|default('d') }}",
    ],
    "filters number": [
        "{{ '42'|int }} {{ '42.7'|int }} {{ 'x'|int }} {{ 'x'|int(5) }} {{ 3.9|int }} {{ -3.9|int }} {{ true|int }} {{ none|int }} {{ hexa|int(base=16) }} {{ '1f'|int(0, 16) }} {{ ' 7 '|int }} {{ '1_000'|int }} {{ '0b11'|int(0, 0) }} {{ []|int(9) }} {{ ''|int }} {{ '1e3'|int }}", "{{ '2.5'|float }} {{ 'x'|float }} {{ 'x'|float(1.5) }} {{ 3|float }} {{ true|float }} {{ 'inf'|float }} {{ 'nan'|float }} {{ ' 1e5 '|float }} {{ none|float }} {{ '1_0.5'|float }} {{ '.5'|float }} {{ '5.'|float }} {{ '1.e2'|float }} {{ '.'|float }}", "{{ nope|int }}", "{{ nope|float }}",
        "{{ -5|abs }} {{ -2.5|abs }} {{ true|abs }}", "{{ 'a'|abs }}", "{{ 2.5|round }} {{ 3.5|round }} {{ 2.567|round(2) }} {{ 2.5|round(0, 'ceil') }} {{ 2.5|round(method='floor') }} {{ 5|round }} {{ 1234|round(-2) }} {{ 1250|round(-2) }} {{ 1350|round(-2) }} {{ 2.675|round(2) }} {{ -2.5|round }} {{ 1234.5|round(-2) }} {{ true|round }}", "{{ 'x'|round }}", "{{ 2.5|round(method='x') }}", "{{ 1e20|int }}" if False else "{{ 1e15|int }}", "{{ l|sum }} {{ users|sum(attribute='age') }} {{ []|sum }} {{ [1.5, 2]|sum }} {{ ll|sum(start=[]) }} {{ l|sum(start=10) }}", "{{ ['a']|sum }}", "{{ l|max }} {{ l|min }} {{ names|max }} {{ names|min }} {{ names|max(case_sensitive=true) }} {{ []|max }}| {{ users|max(attribute='age') }} {{ 'hello'|max }}", "{{ [1, 'a']|max }}",
        "{{ 7 is odd }} {{ 7 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 7.0 is odd }}", "{{ 'a' is odd }}", "{{ 5 is divisibleby(0) }}",
    ],
    "filters sequence": [
        "{{ ['a', 'b']|join }} {{ ['a', 'b']|join(', ') }} {{ [1, none, true]|join('-') }} {{ users|join(', ', attribute='name') }} {{ 'abc'|join('.') }} {{ d|join(',') }} {{ []|join(',') }}| {{ l|join(1) }} {{ nope|join }}|", "{{ 5|join }}", "{{ l|sort }} {{ l|sort(reverse=true) }} {{ names|sort }} {{ names|sort(case_sensitive=true) }} {{ users|sort(attribute='name')|map(attribute='name')|list }} {{ users|sort(attribute='age,name')|map(attribute='name')|list }} {{ d|sort }} {{ 'hello'|sort }} {{ users|sort(attribute='age', reverse=true)|map(attribute='name')|join(',') }}", "{{ mixed|sort }}", "{{ [none, 1]|sort }}", "{{ ll|sort(attribute=1, reverse=true) }}",
        "{{ [1, 2, 1, 'a', 'A']|unique|list }} {{ names|unique|list }} {{ names|unique(true)|list }} {{ users|unique(attribute='age')|map(attribute='name')|list }}", "{{ [[1], [1]]|unique|list }}", "{{ 'abc'|list }} {{ d|list }} {{ range(3)|list }} {{ nope|list }} {{ (1, 2)|list }}", "{{ 5|list }}", "{{ names|map('upper')|list }} {{ users|map(attribute='name')|list }} {{ users|map(attribute='tags.0')|list }} {{ users|map(attribute='tags', default='none')|list }} {{ l|map('string')|join('+') }} {{ names|map('replace', 'a', 'X')|list }} {{ ll|map('first')|list }} {{ ll|map(attribute=0)|list }} {{ l|map('round', 1)|list }} {{ names|map('default', 'x')|list }} {{ ll|map('join', '-')|list }}", "{{ l|map }}" if False else "{{ l|map('nope')|list }}", "{{ l|map(attribute='x', foo=1)|list }}", "{{ users|map(attribute='zz.y')|list }}",
        "{{ l|select('odd')|list }} {{ l|select|list }} {{ [0, 1, '', 'a']|select|list }} {{ l|reject('odd')|list }} {{ [0, 1]|reject|list }} {{ l|select('gt', 1)|list }} {{ l|select('in', [1, 2])|list }} {{ l|select('equalto', 2)|list }} {{ l|select('==', 2)|list }} {{ names|select('string')|list }}", "{{ users|selectattr('age', 'eq', 30)|map(attribute='name')|list }} {{ users|selectattr('tags')|map(attribute='name')|list }} {{ users|rejectattr('tags')|map(attribute='name')|list }} {{ users|selectattr('tags', 'defined')|list|length }} {{ users|rejectattr('tags', 'defined')|list|length }} {{ users|selectattr('name', 'in', ['Zoe'])|first }}", "{{ users|selectattr|list }}", "{{ l|select('nope')|list }}", "{{ users|selectattr('zz.y')|list }}",
        "{{ d|dictsort }} {{ d|dictsort(true) }} {{ d|dictsort(by='value') }} {{ d|dictsort(reverse=true) }} {{ d|dictsort(false, 'value', true) }}", "{{ d|dictsort(by='x') }}", "{{ l|dictsort }}", "{{ d|items|list }} {% for k, v in d|items %}{{ k }}{{ v }}{% endfor %} {{ nope|items|list }}", "{{ l|items|list }}", "{{ range(7)|batch(3)|list }} {{ range(7)|batch(3, 'x')|list }}", "{{ range(7)|slice(3)|list }} {{ range(7)|slice(3, 'x')|list }}", "{% for g in users|groupby('age') %}{{ g.grouper if false else g[0] }}:{{ g[1]|map(attribute='name')|join(',') }};{% endfor %} {% for k, v in names|groupby(0) %}{{ k }}={{ v|join }} {% endfor %}",
        "{{ [nope, nope]|sort|length }} {{ blank|sort(attribute='name') }} {{ [none, none]|sort }}", "{{ l|indent }}", "{{ [1]|truncate(5) }} {{ {'a': 1}|truncate(5) }}", "{{ range(9)|list|truncate(3) }}", "{{ 'a' % nope }}", "{{ 5|indent }}", "{{ (nope|truncate(5)).x }}",
        "{{ d|attr('a') }}|{{ s|attr('upper') is callable }} {{ d|attr('items') is callable }}", "{% set it = l|map('string') %}{{ it|list }}{{ it|list }}", "{{ (l|select)|first }} {{ l|map('string')|last }}" if False else "{{ (l|select)|first }}", "{{ (l|select) is iterable }} {{ (l|select) is sequence }} {{ (l|select)[0] }}|", "{{ ([]|select) and 'truthy' }}"[:0] + "{{ 'truthy' if ([]|select) else 'falsy' }}", "{{ 3 in (l|select) }}", "{{ l|select('odd')|map('string')|join(',')|upper }}", "{% for x in l|reverse %}{{ x }}{{ loop.last }}{{ loop.length }}{% endfor %}",
    ],
    "tojson": [
        "{{ tool|tojson }}", "{{ tool|tojson(indent=2) }}", "{{ tool|tojson(indent=4, sort_keys=true) }}", "{{ mixed|tojson }} {{ s|tojson }} {{ 5|tojson }} {{ 1.0|tojson }} {{ none|tojson }} {{ true|tojson }} {{ (1, 2)|tojson }}", "{{ uni|tojson }} {{ uni|tojson(ensure_ascii=true) }} {{ html|tojson }}", "{{ d|tojson(separators=(',', ':')) }} {{ d|tojson(indent=0) }} {{ d|tojson(indent='\\t') }} {{ d|tojson(sort_keys=true) }} {{ d|tojson(indent=none) }} {{ d|tojson(indent=2, separators=(';', '=')) }}", r"{{ 'a\"b\\c\n\t\r\x08\x0c\x01\x7f/' | tojson }}", "{{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}", "{{ {(1, 2): 3}|tojson }}", "{{ [[], {}, [[]], {'a': {}}]|tojson(indent=1) }}", "{{ nope|tojson }}", "{{ [nope]|tojson }}", "{{ range(3)|tojson }}", "{{ d.items()|tojson }}", "{{ l.index|tojson }}" if False else "{{ (l|map('string'))|tojson }}", "{{ namespace(a=1)|tojson }}", "{{ 1e22|tojson }} {{ 1e-7|tojson }} {{ 1e400|tojson }} {{ (1e400-1e400)|tojson }}", "{{ {1: 1, 'a': 2}|tojson(sort_keys=true) }}", "{{ 'é'|tojson(true) }}", "{{ (html|safe)|tojson }}",
    ],
    "tests": [
        "{{ t is true }} {{ 1 is true }} {{ f is false }} {{ t is boolean }} {{ 1 is boolean }} {{ 1 is integer }} {{ t is integer }} {{ 1.0 is integer }} {{ 1.0 is float }} {{ 1 is number }} {{ t is number }} {{ '1' is number }}", "{{ s is string }} {{ 1 is string }} {{ l is sequence }} {{ s is sequence }} {{ d is sequence }} {{ 5 is sequence }} {{ d is mapping }} {{ l is mapping }} {{ l is iterable }} {{ s is iterable }} {{ 5 is iterable }} {{ none is none }} {{ nope is none }} {{ (1,) is sequence }} {{ range(2) is sequence }}", "{{ nope is defined }} {{ nope is undefined }} {{ s is defined }} {{ none is defined }} {{ d.zz is undefined }} {{ d.zz is not defined }} {{ s is not string }} {{ not s is string }}",
        "{{ range is callable }} {{ s.upper is callable }} {{ s is callable }} {{ nope is iterable }} {{ nope is sequence }} {{ nope is string }} {{ nope is callable }} {{ nope is mapping }}", "{{ 'abc' is lower }} {{ 'ABC' is upper }} {{ 'aBc' is lower }} {{ 1 is lower }}", "{{ 1 is eq 1 }} {{ 1 is equalto(2) }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 1 is gt 2 }} {{ 1 is le 1 }} {{ 1 is ge 1 }} {{ 1 is lessthan 2 }} {{ 1 is greaterthan 0 }} {{ 1 is == 1 }}", "{{ 1 is eq 1 }} {{ 'a' is in ['a'] }} {{ 'a' is in 'abc' }} {{ 1 is not in [2] }} {{ none is sameas none }} {{ 1 is sameas 1.0 }} {{ t is sameas true }}", "{{ 'upper' is filter }} {{ 'nope' is filter }} {{ 'odd' is test }} {{ 'nope' is test }}",
        "{{ 1 is nope }}", "{{ 1 is eq }}", "{{ 3 is odd and 4 is even }} {{ 'yes' if 3 is odd else 'no' }} {{ 1 + 1 is even }} {{ (1 + 1) is even }}", "{{ l|length is gt 2 }} {{ l is defined and l[0] is number }}", "{{ (html|safe) is escaped }} {{ html is escaped }}", "{{ 1 is defined is true }}", "{{ x is defined and x }}|{{ x is undefined or x }}", "{% if nope is nope2 %}x{% endif %}", "{% if f %}{{ 1 is nope2 }}{% endif %}ok", "{% if f %}{{ 1|nope2 }}{% endif %}ok", "{{ 1|nope2 if f else 'ok' }}", "{% for x in [] %}{{ x|nope2 }}{% endfor %}", "{% if t %}{% for x in [] %}{{ x|nope2 }}{% endfor %}{% endif %}", "{% macro m() %}{{ 1|nope2 }}{% endmacro %}",
    ],
    "if": [
        "{% if t %}a{% endif %}{% if f %}b{% else %}c{% endif %}{% if f %}d{% elif t %}e{% else %}g{% endif %}{% if f %}{% elif f %}{% endif %}", "{% if l and d.a == 1 %}x{% endif %}", "{% if not nope %}u{% endif %}", "{% if 1, %}tuple{% endif %}", "{% if t: %}colon{% endif %}", "{% if %}{% endif %}", "{% if t %}", "{% endif %}", "{% if t %}{% else %}{% elif t %}{% endif %}", "{% if f %}{% set x = 1 %}{% endif %}{{ x is defined }}{% if t %}{% set x = 2 %}{% endif %}{{ x }}", "{% if t %}{% if f %}a{% else %}b{% endif %}{% endif %}", "{% else %}", "{% if (t) %}p{% endif %}{% if(t) %}q{% endif %}", "{% if t if f else t %}x{% endif %}",
    ],
    "for": [
        "{% for x in l %}{{ x }}{% endfor %} {% for x in [] %}{{ x }}{% else %}none{% endfor %} {% for c in 'añ' %}[{{ c }}]{% endfor %} {% for k in d %}{{ k }}{% endfor %}", "{% for x in l %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ loop.depth }}/{{ loop.depth0 }};{% endfor %}", "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {{ loop.previtem is defined }}{{ loop.nextitem is undefined }};{% endfor %}", "{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }};{% endfor %}", "{% for a, b in ll %}{{ a }}-{{ b }};{% endfor %}{% for (a, b) in ll %}{{ a }}{% endfor %}{% for k, (a, b) in [(1, (2, 3))] %}{{ k }}{{ a }}{{ b }}{% endfor %}", "{% for a, b in l %}{% endfor %}", "{% for a, b in [[1]] %}{% endfor %}", "{% for a, b in ['xy'] %}{{ a }}{{ b }}{% endfor %}", "{% for x in 5 %}{% endfor %}", "{% for x in none %}{% endfor %}", "{% for x in nope %}{{ x }}{% else %}empty{% endfor %}", "{% for x in nope.x %}{% endfor %}",
        "{% for x in l if x > 1 %}{{ loop.index }}:{{ x }}/{{ loop.length }}{{ loop.last }} {% else %}none{% endfor %}{% for x in l if x > 9 %}{% else %}none{% endfor %}", "{% for x in range(3) %}{% for y in range(2) %}{{ loop.index }}{{ x }}{{ y }} {% endfor %}{{ loop.index }};{% endfor %}", "{% for x in range(5) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% break %}{% else %}else{% endfor %} {% for x in l %}{% continue %}{% else %}else{% endfor %} {% for x in l %}{{ x }}{% if x == 1 %}{% break %}{% endif %}{% else %}else{% endfor %}", "{% break %}", "{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}", "{% for x in l %}{% else %}{% break %}{% endfor %}",
        "{% set x = 0 %}{% for i in l %}{{ x }}{% set x = x + i %}{% endfor %}{{ x }}", "{% set ns = namespace(x=0) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}", "{% for i in l %}{% set y = i %}{% endfor %}{{ y is defined }}", "{% for x in l %}{{ x }}{% endfor %}{{ x is defined }}", "{% for item in [{'v': 1, 'c': [{'v': 2, 'c': [{'v': 3}]}]}, {'v': 4}] recursive %}{{ item.v }}@{{ loop.depth }}{% if item.c %}[{{ loop(item.c) }}]{% endif %}{% endfor %}", "{% for x in l %}{{ loop(l) }}{% endfor %}", "{{ loop }}", "{% for x in l %}{% set loop = 1 %}{% endfor %}", "{% for loop in l %}{% endfor %}", "{% for x in l %}{% set outer = loop %}{% for y in [1] %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}", "{% for k, v in d.items() %}{{ k }}:{{ v }}{{ ', ' if not loop.last }}{% endfor %}", "{% for x in l|sort %}{{ x }}{% endfor %}", "{% for x in l[::-1] %}{{ x }}{% endfor %}", "{% for x in (1, 2) %}{{ x }}{% endfor %}{% for x in 1, 2 %}{{ x }}{% endfor %}", "{% for x in l %}{{ loop }}{% endfor %}", "{% for x in l %}{% if loop.index is divisibleby 2 %}{{ x }}{% endif %}{% endfor %}", "{% for x in [1,2,3,4] if x is even %}{{ x }}{% endfor %}", "{% for x in y %}{% endfor %}{% endfor %}", "{% for x l %}{% endfor %}", "{% for 1 in l %}{% endfor %}", "{% for x in l recursive %}{{ x }}{% endfor %}", "{% for x in l if x in l if x %}{{ x }}{% endfor %}", "{% for x in l if loop is defined %}{{ x }}{% else %}e{% endfor %}", "{% for m in users %}{% if loop.nextitem is defined and loop.nextitem.age == 30 %}{{ m.name }}{% endif %}{% endfor %}", "{% for x in d.items() %}{{ x }}{{ x[0] }}{% endfor %}", "{% for x in range(3) %}{% set l2 = [x] %}{% for y in l2 %}{{ y }}{% endfor %}{% endfor %}",
    ],
    "set": [
        "{% set x = 1 %}{{ x }}{% set x, y = 1, 2 %}{{ x }}{{ y }}{% set a = (1, 2) %}{{ a }}{% set b = 1, 2 %}{{ b }}", "{% set x %}block {{ 1 + 1 }}{% endset %}[{{ x }}]", "{% set x | upper | trim %}  abc {% endset %}[{{ x }}]", "{% set x | replace('a', 'b') %}aaa{% endset %}{{ x }}", "{% set ns = namespace() %}{% set ns.a = 1 %}{{ ns.a }}{{ ns.b }}|{{ ns.b is defined }}", "{% set ns = namespace(a=1, b=[1]) %}{{ ns.a }}{{ ns.b }}{% set ns.a = ns.b + [2] %}{{ ns.a }} {{ ns }}", "{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns['b'] }}", "{% set d2 = {} %}{% set d2.x = 1 %}", "{% set nope.x = 1 %}", "{% set ns = namespace() %}{% set ns._x = 1 %}", "{{ namespace(_x=1) }}", "{% set 1 = 2 %}", "{% set x.y.z = 1 %}", "{% set x = %}", "{% set x %}", "{% set x = 1 if f %}{{ x }}|", "{% set x = [] %}{% set _ = x.append(1) %}", "{% set x = nope %}{{ x is defined }}", "{% set true = 1 %}", "{% set (a, b) = (1, 2) %}{{ a }}{{ b }}", "{% set a, b = [1, 2, 3] %}", "{% set x = 'a' ~ 1 %}{{ x }}{% set x = x ~ x %}{{ x }}", "{% set ns = namespace(v='') %}{% set ns.v %}captured{% endset %}{{ ns.v }}", "{% set messages = [1] + l %}{{ messages }}", "{% set ns = namespace(x=1) %}{{ ns|string }}", "{% set x %}{% for i in l %}{{ i }}{% if i == 1 %}{% break %}{% endif %}{% endfor %}{% endset %}{{ x }}", "{% for i in l %}{% set x %}{{ i }}{% break %}{% endset %}{% endfor %}x",
        "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}", "{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}", "{% filter upper %}abc{{ s }}{% endfilter %}", "{% filter replace('a', 'b')|upper %}aaa{% endfilter %}", "{% filter nope %}{% endfilter %}", "{% print 1, 'a' %}", "{% generation %}abc{% set z = 1 %}{% endgeneration %}{{ z is defined }}", "{% for x in l %}{% generation %}{{ x }}{% endgeneration %}{% endfor %}", "{% generation %}{{ loop }}{% endgeneration %}|",
    ],
    "macro": [
        "{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c='z') }}{{ m(b=5, a=4) }}{{ m() }}", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(x=2) }}", "{% macro m(a) %}{% endmacro %}{{ m(1, a=2) }}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1, 2, 3) }}", "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}in{{ s }}{% endcall %}", "{% macro m(x) %}[{{ caller(x, 2) }}]{% endmacro %}{% call(a, b=5) m(1) %}{{ a }}{{ b }}{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}", "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}{% call m() %}{% endcall %}", "{% macro m(x=none, y=x) %}{{ x }}{{ y }}{% endmacro %}{{ m(1) }}", "{% macro m(x, y=x) %}{{ x }}{{ y }}{% endmacro %}{{ m(1) }}{{ m('a', y='b') }}", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}", "{{ m() }}{% macro m() %}{% endmacro %}", "{% macro m() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}", "{% set x = 1 %}{% macro m() %}{{ x }}{% set x = 2 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}", "{% for i in l %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m(a, b) %}{{ a }}|{{ b }}|{{ b is defined }}{% endmacro %}{{ m(1) }}", "{% macro m(a, a) %}{% endmacro %}", "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m %}{% endmacro %}", "{% macro m() %} a {% endmacro %}[{{ m()|trim }}]{{ m().strip() }}|{{ m()|length }}", "{{ m.name if m is defined }}{% macro m(a) %}{% endmacro %}{{ m.name }}", "{% macro m(items) %}{% for k, v in items|dictsort %}{{ k }}={{ v }}{% if not loop.last %}, {% endif %}{% endfor %}{% endmacro %}{{ m(d) }}", "{% macro t(x) %}{% if x is mapping %}{% for k in x %}{{ k }}:{{ t(x[k]) }} {% endfor %}{% else %}{{ x }}{% endif %}{% endmacro %}{{ t({'a': {'b': 1}, 'c': 2}) }}", "{% call s.upper() %}{% endcall %}", "{% call 5 %}{% endcall %}", "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}{% set n = namespace(i=0) %}{% call m() %}{% set n.i = n.i + 1 %}{{ n.i }}{% endcall %}", "{% macro m(*args) %}{% endmacro %}", "{{ dict(a=1, *[[('b', 2)]]) }}" , "{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1, 2]) }}{{ m(**{'a': 3, 'b': 4}) }}{{ m(1, **{'b': 5}) }}", "{% macro m(caller) %}{{ caller }}{% endmacro %}{{ m(1) }}", "{% macro m() %}{{ kwargs.x }}{% endmacro %}{{ m(x=1) }}{{ m() }}|", "{% set ns = namespace(o='') %}{% macro m(x) %}{% set ns.o = ns.o ~ x %}{% endmacro %}{{ m('a') }}{{ m('b') }}{{ ns.o }}", "{% macro m(b) %}{{ b if b is defined else 'none' }}{% endmacro %}{% set b = 1 %}{{ m() }}", "{{ m }}{% macro m() %}{% endmacro %}{{ m }}",
    ],
    "globals": [
        "{{ range(3)|list }} {{ range(1, 4)|list }} {{ range(5, 0, -2)|list }} {{ range(0)|list }} {{ range(3) }} {{ range(1, 5, 2) }}", "{{ range() }}", "{{ range('a') }}", "{{ range(1, 2, 0) }}", "{{ range(1.5) }}", "{{ range(100001) }}", "{{ range(100000)|length }}", "{{ range(10 ** 12) }}", "{{ dict(a=1, b='x') }} {{ dict({'a': 1}, b=2) }} {{ dict([('a', 1), ['b', 2]]) }} {{ dict() }}", "{{ dict(5) }}", "{{ dict([(1,)]) }}", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}", "{% set j = joiner('; ') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}{% set k = joiner() %}{{ k() }}a{{ k() }}b", "{{ raise_exception('boom ' ~ 1) }}", "{{ raise_exception() }}", "{{ strftime_now('%Y-%m-%d') }} {{ strftime_now('%d %b %Y') }} {{ strftime_now('%A, %B %d, %Y %H:%M:%S %p %I') }} {{ strftime_now('%y %j %a %e %F %T %D %R') }} {{ strftime_now('%-d %-m %%') }} {{ strftime_now('') }}|{{ strftime_now('é %H') }}", "{{ strftime_now('%U %W %V %G %u %w %C %g %h %n%t %c|%x|%X|%r|%s'[:43]) }}", "{{ strftime_now(5) }}", "{{ range is defined }} {{ namespace is defined }} {{ raise_exception is defined }} {{ strftime_now is callable }} {{ nope is callable }}", "{% set range = 5 %}{{ range }}", "{{ namespace(a=1).a }}", "{{ lipsum is defined }}"[:0] + "x", "{{ dict(a=1)|length }} {{ dict(a=1).a }}", "{{ range(3, stop=5) }}", "{{ range(5)|sum }} {{ 2 in range(0, 5, 2) }} {{ 3 in range(0, 5, 2) }}",
    ],
    "whitespace": [
        "a\n{% if t %}\nb\n{% endif %}\nc\n", "a\n  {% if t %}\n  b\n  {% endif %}\n c", "a {%- if t -%} b {%- endif -%} c", "a\n\n{%- if t %}\n\nb{% endif -%}\n\n c", "  {{ 1 }}\n  {{- 2 -}}  \n3", "a\n   {#- comment -#}\n  b", "a\n   {# comment #}\n  b\n", "  {%+ if t %}x{%+ endif %}", "{% if t +%}\nx{% endif %}", "x\n\n", "x\n", "\n", "", "\n\n{% set a = 1 %}\n\n{{ a }}\n\n", "{% for x in l %}\n  {{ x }}\n{% endfor %}\n", "{% for x in l -%}\n  {{ x }}\n{%- endfor %}\n", "a\t {% if t %} b{% endif %}\t\nc", "a {% if t %}\n b {% endif %} c\n", "line\r\n  {% if t %}\r\nx\r\n{% endif %}\ry\r\n", "{{ 'a' }}\n{{ 'b' }}\n", "{{ 'a' -}}\n\n{{ 'b' }}", "  {% raw %}  {{ x }} {% if %}\n{% endraw %}\n z", "{% raw -%}\n  a  {%- endraw %} b", "{%- raw %} a {% endraw -%}  b", "{% raw %}{% endraw %}x", "{% raw %}", "{# a", "{#", "{{", "{%", "{{ }}", "{% %}", "{}{ {a} }}%}#}", "{{ '}}' }} {{ \"%}\" }} {{ {'a': {'b': 1}} }}", "{{ {'a': 1}}}", "{% set x = '%}' %}{{ x }}", "\u00a0{%- if t %} a{% endif %}", "a\n \t {%- set b = 1 %}\n c", "a\n {# x #} {# y #}\n b", "a\n {% set b = 1 %} {% set c = 2 %}\n b", "{% if t %} {% if t %} x {% endif %} {% endif %}\n\n", "   {% set a = 1 %}   \nx", "{{- 1 }} {{ 2 -}}\n\n", "x {{+ 1 }} y", "{% set x %}\n  a\n{% endset %}\n[{{ x }}]", "{% macro m() %}\n  a\n  {% endmacro %}\n[{{ m() }}]", "{#- a -#}\n\n b", "a{#+ x +#}\nb", "  {#+ x #}\n b", "a {{ 1 }} {# c #} {{ 2 }}\n", "\n  {%- for x in l %}\n    {{- x }}\n  {%- endfor %}\n end", "{%- if t %}\n{{- 'x\n' }}\n{%- endif %}\n\n", "a{% if t %}\n\n\nb{% endif %}", "  {% if t %}x\n  {% endif %}  y\n  {{ 1 }}\n", "{{1}}{{-1}}{{- 1}}", "{%if t%}x{%endif%}", "{%-if t-%}x{%-endif-%}", "{% if t\n%}x{%\nendif %}", "{{ 1 # comment\n }}",
    ],
    "syntax": [
        "{{ 1 + }}", "{{ (1 }}", "{{ 1) }}", "{{ [1 }}", "{{ a b }}", "{{ a. }}", "{{ a.1b }}", "{{ 'a'|  }}", "{{ a is }}", "{{ a|b.c }}", "{{ f(1, a=2, 3) }}", "{{ f(a=1, a=2) }}", "{{ f(*a, *b) }}", "{{ f(,) }}", "{{ f(1,) }}", "{% unknown %}", "{% if t %}{% endfor %}", "{% for x in l %}{% endif %}", "{% set %}", "{% 5 %}", "{{ a ? b }}", "{{ a $ b }}", "{{ a ; b }}", "{{ a := 1 }}", "{{ not }}", "{{ a in }}", "{{ lambda x: x }}", "{{ [x for x in l] }}", "{{ {a} }}", "{{ {a: 1, } }}", "{% block a %}{% endblock %}"[:0] + "{% block %}", "{% include 'x' %}"[:0] + "{% include %}", "{{ a ~ }}", "{{ ~a }}", "{{ a[ }}", "{{ a[] }}", "{{ a[1:2:3:4] }}", "{{ 'a' 1 }}", "{{ if }}", "{{ for }}|", "{{ and }}", "{% endmacro %}", "{{ \"a' }}", "{{ f(x for x in y) }}", "{{ **a }}", "{{ a** }}", "{{ @a }}", "{{ é }}|{{ été is defined }}", "{{ a!b }}", "{{ `a` }}", "{{ a.b.c is defined }}", "{% do x %}", "{% if t %}{% else %}{% else %}{% endif %}", "{% for x in l %}{% elif %}{% endfor %}", "{% call %}{% endcall %}", "{% macro %}{% endmacro %}", "{% macro 1() %}{% endmacro %}", "{% set x = 1 %}{% endset %}", "{% filter %}{% endfilter %}", "{{ x|upper() }}|{{ x|default(1) }}", "{{ 1 if 2 else }}", "{{ 1 if }}", "{% else if %}", "{{ [1, 2][0] }}{{ {'a': 1}['a'] }}{{ 'abc'[0] }}{{ (1, 2)[0] }}{{ 'a'.upper() }}", "{{ 1.5.real }}|", "{{ l.0 }}{{ l.0.x }}|", "{{ none }}{{ nonexistent }}{{ Null }}", "{{ s | upper | replace ( 'H' , 'J' ) }}", "{{ (s|upper).lower() }} {{ s|upper.lower }}", "{{ not t == f }} {{ not (t == f) }}", "{{ t is not none and l is not string }}", "{{ - l|length }}", "{{ -1|abs }} {{ (-1)|abs }}", "{{ 'a' in ['a'] == true }}", "{{ 1 not in l }} {{ not 1 in l }} {{ 1 not 2 }}", "{{ 'x' ~ ('y' if f else 'z') ~ 'w' }}", "{{ 'x' + 'y' if f else 'z' }}", "{{ {'a': 1}.a }} {{ [1, 2].0 }} {{ {'a': 'b'}['a'] ~ 'c' }}", "{{ ('a', 'b')|join('-') }} {{ 'a', 'b' }}", "{{ true is true }} {{ True is true }} {{ TRUE is defined }}",
    ],
}


def features():
    rows = []
    for group, templates in FEATURES.items():
        for template in dict.fromkeys(templates):
            try:
                # a copy: `list|indent` changes the list it is given
                output = chat_template_utils._compile_jinja_template(template).render(**copy.deepcopy(VARS))
                output.encode()
            except Exception as error:
                output, why = None, f"{type(error).__name__}: {error}"
                rows.append({"group": group, "template": template, "output": None, "why": why[:120]})
                continue
            rows.append({"group": group, "template": template, "output": output})
    return {"now": int(NOW.timestamp()), "variables": VARS, "cases": rows}


def tokenizer():
    base = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=base, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>")


def conversations():
    reference = tokenizer()
    rows = []
    chats = json.loads((CHAT / "conversations.json").read_text())
    for path in sorted((CHAT / "templates").glob("*.jinja")):
        template = path.read_bytes().decode()
        for chat in chats:
            arguments = {k: chat[k] for k in ("tools", "documents") if k in chat}
            try:
                output = reference.apply_chat_template(
                    chat["messages"], chat_template=template, tokenize=False, add_generation_prompt=chat.get("add_generation_prompt", True),
                    continue_final_message=chat.get("continue_final_message", False), **arguments, **chat.get("variables", {}))
            except Exception as error:
                rows.append({"template": path.name, "chat": chat["name"], "output": None, "why": f"{type(error).__name__}: {error}"[:120]})
                continue
            rows.append({"template": path.name, "chat": chat["name"], "output": output})
    return {"now": int(NOW.timestamp()), "cases": rows}


SPECIALS = ["<s>", "</s>", "[gMASK]", "<sop>"]
# name: post-processor, tokenizer_config.json, what the post-processor puts before a text and behind it
PROCESSORS = {
    "adds bos": (tokenizers.processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 0)]), {}, ["<s>"], []),
    "adds bos and eos": (tokenizers.processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 1)]), {}, ["<s>"], ["</s>"]),
    "adds bos, and the configuration too": (tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)]), {"add_bos_token": True, "add_eos_token": True}, ["<s>"], []),
    "adds bos, though add_bos_token is false": (tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)]), {"add_bos_token": False}, ["<s>"], []),
    "adds nothing, though add_bos_token is true": (tokenizers.processors.ByteLevel(), {"add_bos_token": True}, [], []),
    "there is none": (None, {"add_bos_token": False}, [], []),
    "bert's": (tokenizers.processors.BertProcessing(("</s>", 1), ("<s>", 0)), {}, ["<s>"], ["</s>"]),
    "roberta's": (tokenizers.processors.RobertaProcessing(("</s>", 1), ("<s>", 0), True, False), {}, ["<s>"], ["</s>"]),
    "adds two": (tokenizers.processors.TemplateProcessing(single="[gMASK] <sop> $A", special_tokens=[("[gMASK]", 2), ("<sop>", 3)]), {}, ["[gMASK]", "<sop>"], []),
}
MIDDLE = "{% for m in messages %} {{ m.role }} {{ m.content }}{% endfor %}"
TEMPLATES = {
    "writes neither": MIDDLE, "writes bos": "{{ bos_token }}" + MIDDLE, "writes eos": MIDDLE + " {{ eos_token }}",
    "writes both": "{{ bos_token }}" + MIDDLE + "{{ eos_token }}", "writes two": "[gMASK]<sop>" + MIDDLE, "writes the second of two": "<sop>" + MIDDLE,
    "writes bos twice": "{{ bos_token }}{{ bos_token }}" + MIDDLE, "writes bos within": MIDDLE + " {{ bos_token }} assistant",
}
TALKS = {
    "plain": [{"role": "user", "content": "hello"}], "text that looks like bos": [{"role": "user", "content": "<s> hello </s>"}],
    "an answer": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hello"}],
}


def specials():
    """ids: of apply_chat_template(). on: of the rendered text as the tokenizer takes any text. once: of the rendered text when what it
    begins or ends with itself is not added, written down here by the rule that cuddle.h states."""
    rows = []
    vocabulary = {token: i for i, token in enumerate(SPECIALS + ["[UNK]", "user", "assistant", "hello"])}
    for name, (processor, config, before, behind) in PROCESSORS.items():
        base = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
        base.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
        base.add_special_tokens(SPECIALS)
        if processor:
            base.post_processor = processor
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", **config}
        with tempfile.TemporaryDirectory() as folder:
            base.save(f"{folder}/tokenizer.json")
            (pathlib.Path(folder) / "tokenizer_config.json").write_text(json.dumps(config))
            reference = transformers.AutoTokenizer.from_pretrained(folder)
        number = {token: reference.convert_tokens_to_ids(token) for token in SPECIALS}
        chats = []
        for written, template in TEMPLATES.items():
            for talk, messages in TALKS.items():
                text = reference.apply_chat_template(messages, chat_template=template, tokenize=False)
                ids = reference.apply_chat_template(messages, chat_template=template)["input_ids"]
                first, last = [number[t] for t in before], [number[t] for t in behind]
                if first and ids[0] == first[0]:
                    first = []
                elif len(first) == 2 and ids[0] == first[1]:
                    first = first[:1]
                if last and ids[-1] == last[-1]:
                    last = []
                chats.append({"template": template, "messages": messages, "name": f"{written}, {talk}", "text": text, "ids": ids,
                              "on": reference(text)["input_ids"], "once": first + ids + last})
        rows.append({"name": name, "tokenizer": json.loads(base.to_str()), "config": config, "chats": chats})
    return {"cases": rows}


# name: template. g(x) below is a block that holds x.
def g(body):
    return "{% generation %}" + body + "{% endgeneration %}"


TURN = "<|{{ m.role }}|>"
GENERATION = {
    "around content": "{% for m in messages %}" + TURN + "{% if m.role == 'assistant' %}" + g("{{ m.content }}</s>") + "{% else %}{{ m.content }}{% endif %}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
    "lines and trimming": "{% for m in messages %}\n{{ m.role }}: \n  {% generation %}\n  {{ m.content }}\n  {% endgeneration %}\nend\n{% endfor %}",
    "dashes": "{% for m in messages %} {{ m.role }}  {%- generation -%}  {{ m.content }}  {%- endgeneration -%}  . {% endfor %}",
    "none": "{% for m in messages %}{{ m.content }}{% endfor %}", "all of it": g("{% for m in messages %}{{ m.content }}{% endfor %}"), "empty": "ñ" + g("") + "日" + g("{# nothing #}"),
    "at both ends": g("ä") + "{{ messages[0].content }}" + g("ö"), "side by side": g("a") + g("é") + g("c"), "of no text": g("{% set x = 1 %}"),
    "nested": "é" + g("ä" + g("bö") + "c") + "d", "nested twice": "<" + g("a" + g("b" + g("ccccc") + "d") + "e") + ">", "nested side by side": "é" + g("aa" + g("b") + "cc" + g("dddd") + "e") + "fghij",
    "not reached": "{% if false %}" + g("a") + "{% endif %}b",
    "in a macro": "{% macro say(m) %}" + TURN + g("{{ m.content }}") + ";{% endmacro %}{% for m in messages %}[{{ say(m) }}]{% endfor %}",
    "first in a macro": "{% macro say(m) %}" + g("{{ m.content }}") + ";{% endmacro %}{% for m in messages %}[{{ say(m) }}]{% endfor %}",
    "in a macro in a macro": "{% macro a(m) %}é" + g("{{ m.content }}") + "{% endmacro %}{% macro b(m) %}<<{{ a(m) }}>>{{ a(m) }}{% endmacro %}{% for m in messages %}-{{ b(m) }}{% endfor %}",
    "a macro in the block": "{% macro a(m) %}[{{ m.content }}]{% endmacro %}{% for m in messages %}é" + g("-{{ a(m) }}") + "{% endfor %}",
    "a macro in a macro's block": "{% macro a(m) %}ü" + g("{{ m.content }}") + "{% endmacro %}{% for m in messages %}é" + g("-{{ a(m) }}!") + "{% endfor %}",
    "a macro's default": "{% macro a() %}ü" + g("xy") + "{% endmacro %}{% macro b(x=a()) %}({{ x }})" + g("{{ x }}") + "{% endmacro %}..{{ b() }}..{{ b('z') }}",
    "two macros in one expression": "{% macro a(x) %}" + g("{{ x }}") + "{% endmacro %}é{{ a('ab') ~ a('cdé') }}{{ a('f') }}.", "two expressions": "{% macro a(x) %}" + g("{{ x }}") + "{% endmacro %}é{{ a('ab') }}{{ a('cdé') }}{% print a('x'), a('yz') %}.",
    "a macro whose text is dropped": "{% macro a(x) %}" + g("{{ x }}") + "{% endmacro %}é{% set y = a('ab') %}c{% if a('') %}{% endif %}d{{ a('longer than the rest')|length }}",
    "a macro in a condition": "{% macro a(x) %}" + g("{{ x }}") + "{% endmacro %}é{% if a('ab') == 'ab' %}{{ a('xyz') }}{% endif %}{% for c in a('qr') %}{{ c }}{% endfor %}",
    "beyond the text": "é{% set x %}" + g("four{{ messages[0].content }}") + "{% endset %}日本", "beyond nothing": "{% set x %}" + g("four") + "{% endset %}",
    "in a set block": "a{% set x %}é" + g("bcd") + "{% endset %}<<{{ x }}>>{{ x }}", "in a set block with a filter": "é{% set x | upper | trim %} " + g("straße") + " {% endset %}{{ x }}{{ x }}",
    "in a filter block": "é{% filter upper %}x" + g("straße") + "y{% endfilter %}z", "a filter block in it": "é" + g("x{% filter upper %}straße" + g("ß") + "{% endfilter %}y") + "z",
    "in a call block": "{% macro a() %}<{{ caller() }}|{{ caller() }}>{% endmacro %}é{% call a() %}x" + g("yé") + "{% endcall %}z", "a call block in it": "{% macro a() %}<{{ caller() }}>{% endmacro %}é" + g("{% call a() %}x" + g("y") + "{% endcall %}") + "z",
    "in a with block": "é{% with a = 'ö' %}x" + g("{{ a }}") + "{% endwith %}z", "in an else": "{% for m in [] %}{% else %}é" + g("ö") + "{% endfor %}z",
    "in a loop with a filter and jumps": "{% for m in messages if m.content %}{% if loop.index == 2 %}{% continue %}{% endif %}é" + g("{{ loop.index }}{{ m.content }}") + "{% if loop.index == 3 %}{% break %}{% endif %},{% endfor %}",
    "a loop with jumps in it": "é" + g("{% for m in messages %}{% if loop.index == 2 %}{% break %}{% endif %}{{ m.content }}{% endfor %}") + "z",
    "in a recursive loop": "é{% for x in [[1, [2]], [3]] recursive %}({% if x is iterable %}" + g("{{ loop.depth }}ö{{ loop(x) }}") + "{% else %}{{ x }}{% endif %}){% endfor %}z", "behind a recursive loop": "é{% for x in [[1], [2]] recursive %}{{ x }}{% endfor %}ab" + g("ö"),
    "a set block left by a jump": "é{% for m in messages %}{% set x %}long{% continue %}{% endset %}{% endfor %}a" + g("b") + "c", "a filter block left by a jump": "é{% for m in messages %}{% filter upper %}long{% break %}{% endfilter %}{% endfor %}a" + g("b") + "c",
    "what is set in it": "{% set n = namespace(x='a') %}" + g("{% set n.x = 'éé' %}{{ n.x }}") + "{{ n.x }}", "a block left out of order": g("a" + g("b")) + "{% macro m() %}cccccc" + g("d") + "{% endmacro %}{{ m() }}" + g("e"),
}
GENERATION_TALKS = [
    [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Grüße, 日本 🤗!"}, {"role": "user", "content": "é"}, {"role": "assistant", "content": "ok"}],
    [{"role": "assistant", "content": ""}],
]


def generation_tokenizer():
    """Bytes, and some pairs of them, so that tokens begin within characters and reach over the ends of blocks."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ã", "©"), (">", "G"), ("o", "k"), ("r", "Ã"), ("d", "e"), ("a", "Ã"), ("!", "<"), ("|", ">"), ("<", "|")]
    vocabulary = {token: i for i, token in enumerate(["</s>"] + alphabet + [a + b for a, b in merges])}
    base = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges))
    base.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    base.decoder = tokenizers.decoders.ByteLevel()
    base.add_special_tokens(["</s>"])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=base, eos_token="</s>", truncation_side="left"), json.loads(base.to_str())


def generation():
    reference, saved = generation_tokenizer()
    rows = []
    for name, template in GENERATION.items():
        for messages in GENERATION_TALKS:
            texts, spans = chat_template_utils.render_jinja_template([messages], chat_template=template, return_assistant_tokens_mask=True, add_generation_prompt=True)
            row = {"name": name, "template": template, "messages": messages, "output": texts[0], "ranges": [[len(texts[0][:i].encode()) for i in span] for span in spans[0]]}
            for key, options in {"": {}, "cut_": {"truncation": True, "max_length": 7}}.items():
                encoded = reference.apply_chat_template(messages, chat_template=template, add_generation_prompt=True, return_dict=True, return_assistant_tokens_mask=True, **options)
                row[key + "ids"], row[key + "mask"] = encoded["input_ids"], encoded["assistant_masks"]
            rows.append(row)
    return {"tokenizer": saved, "cases": rows}


def write(name, value):
    path = CHAT / name
    path.write_text(json.dumps(value, ensure_ascii=True, indent=0) + "\n")
    failing = sum(case.get("output", "") is None for case in value["cases"])
    print(f"{path.name}: {len(value['cases'])} cases, {failing} of them failures")


if __name__ == "__main__":
    write("features.json", features())
    if (CHAT / "conversations.json").exists():
        write("expected.json", conversations())
    write("specials.json", specials())
    write("generation.json", generation())
