"""The templates of jinja_cases.py: what a chat template may meet, feature by feature."""

MESSAGES = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": "你好"},
    {"role": "assistant", "content": "Hi <b>", "tool_calls": [{"name": "f", "arguments": {"x": 1}}]},
]
USERS = [
    {"name": "bob", "age": 31, "city": "Rome", "tags": ["a", "b"]},
    {"name": "Alice", "age": 25, "city": "oslo", "tags": []},
    {"name": "carl", "age": 31, "city": "Oslo", "tags": ["c"]},
]

# Rendered with an empty context.
PLAIN = r"""
plain text|你好 😀
{{ 1 }} {{ 1.5 }} {{ true }} {{ none }} {{ None }} {{ True }} {{ false }}
{{ 'a' "b" 'c' }}
{{ "\n\t\\\'\"\x41\u4f60\U0001F600\101\q\é你" }}
{{ 'a\\nb' }}{{ "\你" }}
{{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1_000 }} {{ 1e3 }} {{ 1.5e-7 }} {{ 2E5 }} {{ 00 }} {{ 1_0.5_0 }}
{{ [1, 'a', none, true, 1.0, [], {}, ()] }}
{{ {'a': 1, "b": [1, 2], 3: none, 1.5: (1,), true: 'x'} }}
{{ (1, 2) }} {{ (1,) }} {{ () }} {{ 1, 2 }}
{{ "it's" ~ 'say "hi"' }} {{ ["it's", 'say "hi"', "both ' and \"", 'a\nb\t\\', '你', '\x07', '\u200b'] }}
{{ 1 + 2 }} {{ 1 - 2 }} {{ 2 * 3 }} {{ 7 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 2 ** 10 }}
{{ 7.5 // 2 }} {{ -7.5 // 2 }} {{ 7.5 % 2 }} {{ -7.5 % 2 }} {{ 2 ** -1 }} {{ 2.0 ** 3 }} {{ 4 / 2 }} {{ 2 ** 3 ** 2 }}
{{ 1e16 }} {{ 1e15 }} {{ 1e-4 }} {{ 1e-5 }} {{ 123456789.123 }} {{ 0.1 + 0.2 }} {{ 1e100 }} {{ 100.0 }} {{ -0.0 }}
{{ -2 ** 2 }} {{ - 3 }} {{ +3 }} {{ --3 }} {{ -true }} {{ true + 1 }} {{ 3 - -3 }}
{{-1}} {{- 'x' -}} {{ +1 }}
{{ 'a' + 'b' }} {{ [1] + [2] }} {{ (1,) + (2,) }} {{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ [1] * 2 }} {{ 'x' * -1 }} {{ 'x' * true }}
{{ 'a' ~ 1 ~ none ~ [1] ~ 1.0 ~ missing }}
{{ '%s is %d' % ('x', 3) }} {{ '%5.2f|%-5s|%05d|%x|%X|%o|%e|%g|%%|%c|%r' % (3.14159, 'a', 42, 255, 255, 8, 12345.678, 0.0001, 'z', 'q') }}
{{ '%(a)s-%(b)03d' % {'a': 1, 'b': 2} }} {{ '%s' % [1] }} {{ '%s' % 5 }} {{ '%+d % d' % (5, 5) }} {{ '%*d' % (5, 3) }} {{ '%.3s' % 'abcdef' }}
{{ '%#x %#o' % (255, 8) }} {{ '%i' % 3.99 }} {{ '%5s|%-5s' % ('你', '好') }} {{ '%a' % '你' }} {{ '%08.3f' % -3.14159 }} {{ '%G' % 1e-10 }}
{{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' == 'a' }} {{ [1] == [1] }} {{ [1] == (1,) }} {{ {'a':1} == {'a':1.0} }} {{ none == false }} {{ a == b }}
{{ 1 < 2 }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ 'B' < 'a' }} {{ [1, 2] < [1, 3] }} {{ 1 <= 1 }} {{ 2 >= 3 }} {{ 2 != 3 }} {{ 1 < 2 == 2 }}
{{ 'a' in 'abc' }} {{ 'x' not in 'abc' }} {{ 1 in [1] }} {{ 'k' in {'k': 1} }} {{ 1.0 in (1,) }} {{ 5 in range(3, 9, 2) }} {{ 4 in range(3, 9, 2) }} {{ '' in '' }}
{{ not true }} {{ not not 1 }} {{ 1 and 0 }} {{ 0 or 'x' }} {{ '' or none or [] }} {{ 1 and 2 or 3 }} {{ not 1 == 2 }} {{ not 'a' in 'b' }}
{{ 'y' if true else 'n' }} {{ 'y' if false else 'n' }} [{{ 'y' if false }}] {{ 1 if 0 else 2 if 0 else 3 }} {{ (1 if true) is defined }} {{ ('a' if false) is defined }}
{{ 'abc'[0] }} {{ 'abc'[-1] }} {{ 'abc'[1:] }} {{ 'abc'[:-1] }} {{ 'abc'[::-1] }} {{ 'abcdef'[1:5:2] }} {{ 'abc'[5:] }} {{ 'abc'[-9:2] }} {{ '你好吗'[1] }} {{ '你好吗'[1:] }} {{ '你a好'[::-1] }}
{{ [1,2,3,4][1:3] }} {{ [1,2,3,4][::-2] }} {{ (1,2,3)[1:] }} {{ [1,2,3][-2] }} {{ range(10)[2:5] }} {{ range(10)[::-3] }} {{ range(10)[3] }} {{ [1,2,3][none:2] }} {{ [1,2][true] }}
{{ [1, 2][5] is defined }} {{ 'abc'[9] }}| {{ {'a': 1}.a }} {{ {'a': 1}['a'] }} {{ {'a': 1}.b }}| {{ {'items': 5}['items'] }} {{ [[1, 2], [3]].0.1 }} {{ {1: 'x'}[1] }} {{ {1: 'x'}[1.0] }}
{{ {'a': 1, 'a': 2} }} {{ {1: 'a', true: 'b', 1.0: 'c'} }} {{ {(1, 2): 3} }} {{ {none: 1} }}
{{ missing }}|{{ (missing.x is defined) if false else 'ok' }}|{{ missing is defined }}|{{ missing is undefined }}|{{ missing == other }}|{{ missing in [missing] }}|{{ missing or 'd' }}|{{ not missing }}|{{ missing|length }}|{{ [missing] }}
{% for x in missing %}a{% else %}empty{% endfor %}
{{ '  a b '.strip() }}|{{ '  a'.lstrip() }}|{{ 'a  '.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abcba'.strip('ab') }}|{{ '\u3000a\xa0'.strip() }}|{{ 'a'.strip('') }}|{{ 'aa'.strip(none) }}|{{ '你好你'.strip('你') }}
{{ 'a b  c'.split() }} {{ 'a,b,,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ ' a b c '.split(none, 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ '  a b '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'aXXb'.split(sep='XX') }} {{ 'a b c'.split(maxsplit=1) }} {{ 'a</think>b</think>c'.split('</think>')[-1] }}
{{ 'a\nb\r\nc\x0bd\u2028e'.splitlines() }} {{ 'a\nb\n'.splitlines(true) }} {{ ''.splitlines() }} {{ '\n'.splitlines() }} {{ 'a\n\nb'.splitlines(keepends=true) }}
{{ 'abc'.startswith('a') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.endswith('bc') }} {{ 'abc'.startswith('b', 1) }} {{ 'abc'.endswith('b', 0, 2) }} {{ 'abc'.startswith('') }} {{ 'abc'.startswith('', 5) }} {{ 'abc'.startswith('c', -1) }}
{{ 'abcabc'.find('c') }} {{ 'abcabc'.rfind('c') }} {{ 'abc'.find('x') }} {{ 'abcabc'.index('b', 2) }} {{ '你好你'.rindex('你') }} {{ 'aaa'.count('a') }} {{ 'aaaa'.count('aa') }} {{ 'abc'.count('') }} {{ 'abc'.find('') }} {{ 'abc'.find('', 3) }} {{ 'abc'.find('', 4) }} {{ 'abcabc'.find('a', 1, -1) }} {{ 'abcabc'.count('b', 2) }}
{{ 'abc'.replace('b', 'X') }} {{ 'aaa'.replace('a', 'b', 2) }} {{ 'abc'.replace('', '-') }} {{ 'abc'.replace('', '-', 2) }} {{ '你好'.replace('好', '们') }} {{ 'aXbX'.replace('X', '') }}
{{ 'Straße ÀÉ'.upper() }} {{ 'ÀÉ ΑΣ'.lower() }} {{ 'hello wORLD'.capitalize() }} {{ "they're bill's".title() }} {{ 'aBc'.swapcase() }} {{ 'ß'.casefold() }} {{ 'ﬁx'.capitalize() }} {{ 'ǆ'.title() }}
{{ 'a'.isalpha() }} {{ '12'.isdigit() }} {{ '²'.isdigit() }} {{ '²'.isdecimal() }} {{ '一'.isnumeric() }} {{ '½'.isnumeric() }} {{ 'a1'.isalnum() }} {{ ' \t'.isspace() }} {{ ''.isspace() }} {{ 'AB'.isupper() }} {{ 'ab1'.islower() }} {{ 'Ab Cd'.istitle() }} {{ 'a b'.isidentifier() }} {{ 'é'.isascii() }} {{ 'a\n'.isprintable() }} {{ ''.isprintable() }} {{ '1'.isupper() }}
{{ '-'.join(['a', 'b']) }} {{ ', '.join({'a': 1, 'b': 2}) }} {{ '-'.join('abc') }} {{ ''.join([]) }}
{{ 'a'.center(5) }}| {{ 'ab'.center(5, '*') }} {{ 'a'.ljust(3, '.') }} {{ 'a'.rjust(3) }} {{ '42'.zfill(5) }} {{ '-42'.zfill(5) }} {{ 'abc'.center(6, '-') }} {{ 'abc'.zfill(2) }} {{ 'ab'.center(7, '*') }}
{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.py'.removesuffix('.py') }} {{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'abc'.partition('x') }} {{ 'abc'.rpartition('x') }} {{ 'a\tb'.expandtabs(4) }} {{ 'a\tbc\td'.expandtabs() }}
{{ '{} {}'.format(1, 'a') }} {{ '{0}{1}{0}'.format('a', 'b') }} {{ '{x:>5}|{y:<5}|{z:^5}'.format(x=1, y='a', z='b') }} {{ '{:05.1f}'.format(3.14159) }} {{ '{:,}'.format(1234567) }} {{ '{:x} {:#x} {:b}'.format(255, 255, 5) }} {{ '{!r}'.format('a') }} {{ '{{}}'.format() }} {{ '{:%}'.format(0.25) }} {{ '{:*^9}'.format('mid') }}
{{ '{a[0]} {a[k]} {b.real}'.format(a={'k': 1, 0: 2}, b=3) }} {{ '{:{w}}|'.format('x', w=4) }} {{ '{:+d} {: d} {:e} {:g} {:.3}'.format(1, 2, 1234.5, 1e-7, 'abcdef') }} {{ '{:_}'.format(1234567) }} {{ '{:c}'.format(65) }} {{ '{}'.format(none) }} {{ '{}'.format([1]) }} {{ '{:,.2f}'.format(1234567.891) }} {{ '{:.2%}'.format(0.12345) }} {{ '{:n}'.format(5) }} {{ '{:<4}|'.format(true) }} {{ '{}'.format(true) }} {{ '{:.0f}'.format(2.5) }} {{ '{!s:>4}'.format(1) }} {{ '{!a}'.format('é') }}
{{ '{a}'.format_map({'a': 1}) }} {{ '{:.3f}'.format(2) }} {{ '{:10.3}|'.format(3.14159) }} {{ '{:}'.format(1e20) }} {{ '{:.1}'.format(1234.5) }} {{ '{:o} {:X}'.format(8, 255) }} {{ '{:=+6d}'.format(3) }} {{ '{:06}'.format(-3) }} {{ '{:0>4}'.format(7) }}
{{ {'a': 1}.items() }} {{ {'a': 1}.keys() }} {{ {'a': 1}.values() }} {{ {'a': 1}.items()|list }} {{ {'a': 1}.get('a') }} {{ {'a': 1}.get('b') }} {{ {'a': 1}.get('b', 2) }} {{ {'a': 1}.copy() }} {{ {'a': 1}.items()|length }} {{ 'a' in {'a': 1}.keys() }} {{ 1 in {'a': 1}.values() }} {{ ('a', 1) in {'a': 1}.items() }}
{{ [1, 2, 1].count(1) }} {{ [1, 2].index(2) }} {{ (1, 2, 1).count(1) }} {{ (1, 2).index(1) }} {{ [1, 2].copy() }} {{ [1, 2, 1].index(1, 1) }} {{ range(3).index(2) }} {{ (5).bit_length() }} {{ (2.0).is_integer() }} {{ (1).real }} {{ (1.5).imag }}
{{ range(3) }} {{ range(1, 3) }} {{ range(5, 0, -2)|list }} {{ range(3)|length }} {{ range(0)|list }} {{ range(1, 10, 3) }} {{ range(3).start }} {{ range(3) == range(0, 3) }}
{{ dict(a=1, b=2) }} {{ dict({'x': 1}, y=2) }} {{ dict([('a', 1), ('b', 2)]) }} {{ dict() }} {{ dict(['ab', 'cd']) }}
{% set ns = namespace(x=1) %}{% set ns.x = ns.x + 1 %}{% set ns.y = 'n' %}{{ ns.x }}{{ ns.y }}{{ ns }}{{ ns.z is defined }} {{ namespace({'a': 1}).a }}
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set _ = c.reset() %}{{ c.current }}
{% set j = joiner('|') %}{% for x in 'abc' %}{{ j() }}{{ x }}{% endfor %} {% set k = joiner() %}{{ k() }}{{ k() }}
{% for i in range(3) %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}
{% for i in [1,2,3] %}[{{ loop.previtem }}|{{ i }}|{{ loop.nextitem }}]{% endfor %}
{% for i in [1,2,3,4] %}{{ loop.cycle('odd', 'even') }} {% endfor %}
{% for i in [1,1,2,2,1] %}{{ loop.changed(i) }} {% endfor %}
{% for a, b in [(1, 2), [3, 4], 'xy'] %}{{ a }}-{{ b }};{% endfor %}
{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for k, v in {'x': 1, 'y': 2}.items() %}{{ k }}={{ v }},{% endfor %} {% for k in {'x': 1} %}{{ k }}{% endfor %} {% for c in '你好' %}{{ c }}.{% endfor %}
{% for i in range(10) if i % 3 == 0 %}{{ i }}({{ loop.index }}/{{ loop.length }}){% endfor %}
{% for i in [] %}x{% else %}none{% endfor %} {% for i in [1] if i > 1 %}x{% else %}filtered{% endfor %}
{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in [1] %}{% continue %}{% else %}else-after-continue{% endfor %} {% for i in [1, 2] %}{% break %}{% else %}else-after-break{% endfor %}
{% for i in [1, 2] %}{% for j in 'ab' %}{{ i }}{{ j }}{{ loop.index }}{% if j == 'a' %}{% continue %}{% endif %}!{% endfor %}{{ loop.index }};{% endfor %}
{% for n in [{'v': 1, 'c': [{'v': 2, 'c': []}]}, {'v': 3, 'c': []}] recursive %}{{ loop.depth }}:{{ n.v }}{% if n.c %}({{ loop(n.c) }}){% endif %} {% endfor %}
{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}
{% for i in [1, 2] %}{{ y }}{% set y = i %}{{ y }};{% endfor %}[{{ y }}]
{% if true %}{% set z = 1 %}{% endif %}{{ z }} {% if false %}{% set w = 1 %}{% endif %}[{{ w }}]
{% set x = 1 %}{% for i in [1, 2] %}{% if i == 2 %}{% set x = 9 %}{% endif %}{{ x }}{% endfor %}{{ x }} {% if x %}{% for i in [1] %}{% if i %}{% set fresh = 1 %}{% else %}{% set other = 1 %}{% endif %}{{ fresh }}{{ other }}{% endfor %}[{{ fresh }}]{% endif %}
{{ "\x1f\x10\x00\x0b\x7f\u2028"|tojson }} {{ "\x1f\u2028\x85"|list }}
{% set a, b = 1, 2 %}{{ a }}{{ b }} {% set (c, d) = 'xy' %}{{ c }}{{ d }} {% set t = 1, %}{{ t }}
{% set x %}block {{ 1 + 1 }}{% endset %}{{ x }}|{{ x|length }} {% set y | upper %}abc{% endset %}{{ y }} {% set q | replace('a', 'b') | title %}a cat{% endset %}{{ q }}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}[{{ a }}] {% set a = 5 %}{% with a = a + 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }} {% with %}{% set inner = 1 %}{{ inner }}{% endwith %}[{{ inner }}]
{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c=5) }} {{ m(c=1, a=2) }} {{ m() }}| {{ m.name }} {{ m }}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, a=3) }} {% macro n(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ n(1, 2) }}
{% macro m(x) %}<{{ caller() }}{{ x }}>{% endmacro %}{% call m(1) %}body{% endcall %} {% macro k() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) k() %}{{ a }}+{{ b }}{% endcall %}
{% macro m(a=x) %}{{ a }}{% endmacro %}{% set x = 5 %}{{ m() }} {% macro r(n) %}{{ n }}{% if n > 0 %}{{ r(n - 1) }}{% endif %}{% endmacro %}{{ r(3) }}
{% macro m() %}{% set inside = 1 %}{{ outside }}{% endmacro %}{% set outside = 'o' %}{{ m() }}[{{ inside }}]
{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }} {% macro p(items) %}{% for i in items %}{{ i }}{% endfor %}{% endmacro %}{{ p([1, 2])|upper }}{{ p('ab') ~ 'c' }}
{% for i in [1, 2] %}{% macro inner() %}{{ i }}{% endmacro %}{{ inner() }}{% endfor %}
{% filter upper %}abc {{ 'd' }}{% endfilter %} {% filter replace('a', 'b')|upper %}aXa{% endfilter %}
{% raw %}{{ not }} {% rendered %}{# x #}{% endraw %} {%- raw -%} a {%- endraw -%} b
{# comment #}a{#- strip -#} b {# multi
line #}c
a {%- if true -%} b {%- endif -%} c
{{ 'x' -}}   y {{- 'z' }}
{% print 1, 2 %} {% if 1: %}colon{% endif %} {% for i in [1]: %}{{ i }}{% endfor %}
{% block b %}in block {{ 1 }}{% endblock %} {% block c %}c{% endblock c %}
{% set v = 1 %}{% block b %}{{ v }}{% set w = 2 %}{{ w }}{% endblock %}[{{ w }}]
{% generation %}gen {{ 1 }}{% set g = 1 %}{% endgeneration %}[{{ g }}]
{% autoescape true %}{{ '<a>' }}{{ '<b>'|safe }}{% set lt = '<' %}{{ lt ~ ('>'|safe) }}{% set q %}<i>{% endset %}{{ q }}{{ ['<', '>'|safe]|join(',') }}{{ '<a>'|replace('a', '<') }}{% endautoescape %}{{ '<a>' }}
{{ ('<a>'|safe) + '<b>' }} {{ '<b>' + ('<a>'|safe) }} {{ ('<%s>'|safe) % '<x>' }} {{ ('<a>'|safe) * 2 }} {{ ('{}'|safe).format('<') }} {{ ('a<'|safe).replace('a', '>') }} {{ ('<'|safe).join(['<', '>'|safe]) }} {{ ['<a>'|safe] }} {{ ('<a>'|safe).upper() }} {{ ('a b'|safe).split() }} {{ ('<a'|safe)[0] }} {{ '<a>'|safe is escaped }}
{{ '<a href="x">&\'</a>'|e }} {{ '<'|escape|escape }} {{ '<'|safe|forceescape }} {{ 5|e }} {{ '<'|e ~ '<' }}
{{ -3|abs }} {{ (-3)|abs }} {{ (-3.5)|abs }} {{ true|abs }}
{{ [1,2,3,4,5]|batch(2)|list }} {{ [1,2,3]|batch(2, 'x')|list }} {{ [1,2,3,4,5]|slice(2)|list }} {{ [1,2,3,4]|slice(3, 'f')|list }} {{ []|batch(2)|list }}
{{ 'hello World'|capitalize }} {{ 'a'|center(5) }}| {{ 'abc'|count }} {{ [1, 2]|length }} {{ {'a': 1}|length }} {{ '你好'|length }}
{{ missing|default('d') }} {{ missing|d }}| {{ ''|default('x') }}| {{ ''|default('x', true) }} {{ none|default('n') }} {{ none|default('n', true) }} {{ 0|d(1, boolean=true) }} {{ missing.a|default('x') if false else 'skip' }}
{{ {'b': 1, 'A': 2, 'c': 0}|dictsort }} {{ {'b': 1, 'A': 2}|dictsort(true) }} {{ {'b': 1, 'A': 2}|dictsort(by='value') }} {{ {'b': 1, 'a': 2}|dictsort(reverse=true) }}
{{ 1|filesizeformat }} {{ 999|filesizeformat }} {{ 1000|filesizeformat }} {{ 1500000|filesizeformat }} {{ 1024|filesizeformat(true) }} {{ '2048'|filesizeformat(binary=true) }} {{ 1e30|filesizeformat }} {{ 5e9|filesizeformat }}
{{ [1, 2]|first }} {{ 'abc'|first }} {{ []|first }}| {{ [1, 2]|last }} {{ 'abc'|last }} {{ []|last }}| {{ {'a': 1, 'b': 2}|first }} {{ {'a': 1, 'b': 2}|last }} {{ range(3)|last }}
{{ '1.5'|float }} {{ 'x'|float }} {{ 'x'|float(2.5) }} {{ 3|float }} {{ ' 1e3 '|float }} {{ 'inf'|float }} {{ '-nan'|float }} {{ '1_0.5'|float }} {{ none|float }} {{ '.5'|float }} {{ '5.'|float }}
{{ '42'|int }} {{ '42.9'|int }} {{ 'x'|int }} {{ 'x'|int(7) }} {{ '0x1F'|int(0, 16) }} {{ '101'|int(base=2) }} {{ 3.99|int }} {{ -3.99|int }} {{ none|int }} {{ true|int }} {{ [1]|int }} {{ ' 7 '|int }} {{ '1_000'|int }} {{ '-5'|int }} {{ ''|int }} {{ '0b11'|int(0, 0) }} {{ 'ff'|int(0, 16) }} {{ '1e3'|int }}
{{ '%s-%s'|format(1, 2) }} {{ '%(a)s'|format(a=1) }} {{ 'x'|format }}
{{ 'a\nb\n\nc'|indent }} {{ 'a\nb'|indent(2, true) }} {{ 'a\n\nb'|indent(2, blank=true) }} {{ 'a\nb'|indent('--') }} {{ ''|indent(first=true) }}| {{ 'a\n'|indent }}|
{{ [1, 2, 3]|join }} {{ [1, 2, 3]|join(', ') }} {{ 'abc'|join('-') }} {{ [{'a': 1}, {'a': 2}]|join('|', attribute='a') }} {{ [none, true, 1.0]|join(',') }} {{ []|join(',') }}| {{ {'a': 1, 'b': 2}|join(',') }} {{ range(3)|join(d='+') }}
{{ 'ABC'|lower }} {{ 5|lower }} {{ none|lower }} {{ 'abc'|upper }} {{ 'hello wORLD foo-bar (baz) x_y'|title }} {{ '  x '|trim }}| {{ 'xxaxx'|trim('x') }} {{ 'ÀÉß'|title }} {{ ['A']|lower }}
{{ ['a', 'b']|map('upper')|list }} {{ [{'a': 1}, {}]|map(attribute='a')|list }} {{ [{'a': 1}, {}]|map(attribute='a', default=0)|list }} {{ [{'a': {'b': 2}}]|map(attribute='a.b')|list }} {{ [[1, 2], [3, 4]]|map(attribute=1)|list }} {{ [[1, 2]]|map(attribute='0')|list }} {{ ['1', 'x']|map('int', 9)|list }} {{ none|map('upper')|list }} {{ [3, 1]|map('string')|join }} {{ ['ab']|map('replace', 'a', 'c')|first }}
{{ [3, 1, 2]|min }} {{ [3, 1, 2]|max }} {{ ['b', 'A']|min }} {{ ['b', 'A']|min(case_sensitive=true) }} {{ []|min }}| {{ [{'a': 2}, {'a': 1}]|max(attribute='a') }} {{ [1, 1.0]|max }} {{ 'hello'|max }}
{{ [1, 2, 3, 4]|select('odd')|list }} {{ [1, 2, 3]|reject('odd')|list }} {{ [0, 1, '', 'a', none]|select|list }} {{ [0, 1]|reject|list }} {{ [1, 5]|select('greaterthan', 3)|list }} {{ ['a', 1]|select('string')|list }} {{ [1, 2, 3]|select('in', [1, 3])|list }} {{ [1,2,3]|select('>=', 2)|list }} {{ [1, 4]|select('divisibleby', 2)|first }}
{{ [{'a': 1}, {'a': 0}, {}]|selectattr('a')|list }} {{ [{'a': 1}, {'a': 2}]|selectattr('a', 'equalto', 2)|list }} {{ [{'a': 1}, {}]|rejectattr('a')|list }} {{ [{'a': none}, {'a': 1}]|rejectattr('a', 'none')|map(attribute='a')|list }} {{ [{'a': {'b': 1}}]|selectattr('a.b', 'eq', 1)|list|length }} {{ [{'r': 'x'}]|selectattr('r', '==', 'x')|first }} {{ [{}]|selectattr('q', 'defined')|list }}
{{ [1, 2, 3]|reverse|list }} {{ 'abc'|reverse }} {{ (1, 2)|reverse|list }} {{ {'a': 1, 'b': 2}|reverse|list }} {{ range(3)|reverse|list }} {{ [1, 2]|map('string')|reverse|list }}
{{ 42.55|round }} {{ 42.55|round(1) }} {{ 42.55|round(1, 'floor') }} {{ 42.51|round(1, 'ceil') }} {{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 5|round }} {{ 15|round(-1) }} {{ 25|round(-1) }} {{ 1234.5|round(-2) }} {{ 7|round(0, 'floor') }} {{ -2.5|round }} {{ true|round }} {{ 42.7|round|int }}
{{ 'x'|safe }} {{ 5|string }} {{ none|string }} {{ [1]|string }} {{ 1.0|string ~ 'x' }} {{ '<b>a</b>  <i>b &amp; c</i> <!-- x > --> d &lt; &#65;&#x42;'|striptags }} {{ 'no tags'|striptags }} {{ 'a < b'|striptags }}
{{ [3, 1, 2]|sort }} {{ [3, 1, 2]|sort(reverse=true) }} {{ ['b', 'A', 'c']|sort }} {{ ['b', 'A', 'c']|sort(case_sensitive=true) }} {{ 'bca'|sort }} {{ {'b': 1, 'a': 2}|sort }} {{ [(2, 'a'), (1, 'b')]|sort }} {{ [1.5, 1, true]|sort }}
{{ [1, 2, 3]|sum }} {{ [{'a': 1}, {'a': 2}]|sum(attribute='a') }} {{ [1, 2]|sum(start=10) }} {{ []|sum }} {{ [[1], [2]]|sum(start=[]) }} {{ [0.1, 0.2, 0.3]|sum }}
{{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar baz qux'|truncate(11) }} {{ 'foo bar baz qux'|truncate(11, false, '...', 0) }} {{ '你好你好你好你好你好'|truncate(5, true, '…', 0) }} {{ 'abcdefghij klmnop'|truncate(8, leeway=0) }}
{{ [1, 1, 2, 'a', 'A', 1.0, true]|unique|list }} {{ ['a', 'A']|unique(case_sensitive=true)|list }} {{ [{'a': 1}, {'a': 1}]|unique(attribute='a')|list }}
{{ 'a b/c?d=é&你'|urlencode }} {{ {'a b': 'c/d', 'e': 1}|urlencode }} {{ [('a', 1), ('b', 'x y')]|urlencode }} {{ 5|urlencode }} {{ "~_.-!'()"|urlencode }}
{{ 'hello big world, it is'|wordcount }} {{ '你好 世界'|wordcount }} {{ ''|wordcount }} {{ "it's"|wordcount }}
{{ 'the quick brown fox jumps over'|wordwrap(10) }} {{ 'abcdefghijklmnop'|wordwrap(5) }} {{ 'abcdefghijklmnop qr'|wordwrap(5, false) }} {{ 'well-known self-made'|wordwrap(8) }} {{ 'well-known'|wordwrap(6, break_on_hyphens=false) }} {{ 'a b\n\nc d'|wordwrap(3, wrapstring='|') }} {{ '你好世界'|wordwrap(2) }} {{ 'a -- b--c'|wordwrap(4) }}
{{ {'a': 1, 'b': none, 'c': '<x>'}|xmlattr }} {{ {'a': missing}|xmlattr }}| {{ {'a': 1}|xmlattr(false) }}
{{ {'a': 1}|items|list }} {{ missing|items|list }} {{ 'abc'|list }} {{ {'a': 1}|list }} {{ (1, 2)|list }} {{ [1, [2]]|pprint }} {{ {'b': 1, 'a': 2}|pprint }} {{ 'x'|pprint }}
{{ {'k': ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'cccccccccccccccccccccc'], 'a': {'x': 1}}|pprint }} {{ range(40)|list|pprint }} {{ (['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'],)|pprint }}
{{ {'a': 1}|attr('get')('a') }} {{ 'x'|attr('upper')() }} {{ {'a': 1}|attr('a') is defined }} {{ 'a'|attr('nope') is defined }}
{{ {'a': [1, 2.0, none, true, 'é"\\\n\t\x01</x>&\'']}|tojson }} {{ [1, {'a': 2}]|tojson(indent=2) }} {{ {'b': 1, 'a': 2}|tojson(sort_keys=true) }} {{ '你😀\x7f'|tojson(ensure_ascii=true) }} {{ [1, {'a': 1}]|tojson(separators=(',', ':')) }} {{ []|tojson(indent=2) }}{{ {}|tojson }} {{ (1, 2)|tojson }} {{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }} {{ 1e16|tojson }} {{ 'inf'|float|tojson }} {{ 'nan'|float|tojson }} {{ {'a': []}|tojson(indent=4) }} {{ [1]|tojson(indent='\t') }} {{ [[1]]|tojson(true, 1) }} {{ [1, 2]|tojson(indent=2, separators=(';', '=')) }} {{ [1, 2]|tojson(indent=0) }}
{{ 1 is odd }} {{ 2 is even }} {{ 9 is divisibleby 3 }} {{ 1 is defined }} {{ none is none }} {{ 'a' is string }} {{ 1 is number }} {{ true is number }} {{ 1.0 is number }} {{ 1 is integer }} {{ true is integer }} {{ 1.0 is float }} {{ true is boolean }} {{ {} is mapping }} {{ [] is iterable }} {{ 'a' is iterable }} {{ 1 is iterable }} {{ [] is sequence }} {{ {} is sequence }} {{ range(2) is sequence }} {{ {}.items() is sequence }} {{ 'a' is sequence }}
{{ range is callable }} {{ 'a' is callable }} {{ 'a'.upper is callable }} {{ true is true }} {{ 1 is true }} {{ false is false }} {{ 0 is false }} {{ 1 is eq 1 }} {{ 1 is equalto(1) }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 2 is le 2 }} {{ 3 is gt 2 }} {{ 3 is ge 3 }} {{ 3 is greaterthan 2 }} {{ 1 is lessthan 2 }} {{ 1 is in [1] }} {{ 'a' is lower }} {{ 'A' is upper }} {{ none is sameas none }} {{ 1 is sameas true }} {{ 'upper' is filter }} {{ 'nope' is filter }} {{ 'odd' is test }} {{ 'x' is escaped }} {{ missing is iterable }} {{ missing is callable }} {{ missing is sequence }}
{{ 1 is not odd }} {{ not 1 is odd }} {{ 1 is odd and 2 is even }} {{ 1 is odd or x }} {{ (1 is odd)|string }} {{ 1 is divisibleby(1) }} {{ [1, 2] is in [[1, 2]] }} {{ 'a' ~ 'b' is string }} {{ 1 + 1 is number }} {{ 2 is not none and true }} {{ x is not defined }} {{ {'a': 1}.a is defined }}
{{ strftime_now('%Y-%m-%d %H:%M:%S') }} {{ strftime_now('%d %b %Y, %A %B %a %j %p %I %y %-d %% %e %U %w %f|%z|%Z|%F %T %D %R %s' if false else '%d %b %Y, %A %B %a %j %p %I %y %-d %% %e %U %w %f|%z|%Z|%F %T %D %R') }} {{ strftime_now('') }}|{{ strftime_now('年%m月') }}
{{ [1, 2, 3,] }} {{ {'a': 1,} }} {{ (1, 2,) }} {{ range(1, 3,)|list }} {{ [
  1,
  2
] }}
{{ dict(**{'a': 1}) }} {{ '{}{}'.format(*[1, 2]) }} {% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1], **{'b': 2}) }} {{ 'a,b'.split(*[',']) }}
{{ "a" if "a" in ["a"] else "b" }} {{ (["x"] + ["y"])[1] }} {{ ("a" ~ "b").upper() }} {{ [1, 2, 3][1:][0] }} {{ {'a': {'b': [10, 20]}}.a.b[1] }} {{ 'a-b'.split('-')[0].upper()|lower }} {{ ('a', 'b')[1] }} {{ "x"|upper ~ "y" }} {{ 1 + 2|string|int }} {{ -1|abs }}
{{ loop is defined }} {{ caller is defined }} {{ namespace is defined }} {{ nonexistent is defined }}
{{ [1, 2] is mapping }} {{ {'a': 1} is iterable and {'a': 1} is not string }} {{ "%.2f"|format(3.14159) }} {{ "%d%%"|format(50) }}
"""

# Rendered with messages, users and a few more variables; separated by lines of "===".
BLOCKS = r"""
{%- for m in messages %}
<|{{ m.role }}|>
{{ m['content'] }}
{%- if m.tool_calls %}
{{ m.tool_calls[0].arguments | tojson }}
{%- endif %}
{%- endfor %}
===
{% if a %}
  x
{% elif b %}
  y
{% else %}
  z
{% endif %}
end
===
  {% if true %}
    indented
  {% endif %}
  {{ 'v' }}
  {# c #}
tail
===
  {%+ if true %}
    kept
  {%+ endif +%}

after
===
a
{%- for i in [1, 2] -%}
  {{ i }}
{%- endfor %}

b


===
x {% if true %} y {% endif %} z
===
{% for i in [1] %}

{{ i }}

{% endfor %}

===
{% raw %}
  {{ raw }}
{% endraw %}
tail
===
	{% set x = 1 %}	
{{ x }}
===
{% if messages[0]['role'] == 'system' %}{% set sys = messages[0].content %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{{ sys }}|{% for m in rest %}{{ loop.index0 }}{{ m.role }}{% if not loop.last %},{% endif %}{% endfor %}
===
{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{{ ns.last }}
===
{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join(', ') }} {{ messages | map(attribute='role') | list }}
===
{{ users | sort(attribute='name') | map(attribute='name') | join(' ') }} {{ users | sort(attribute='age,name') | map(attribute='name') | join(' ') }} {{ users | sort(attribute='age', reverse=true) | map(attribute='name') | join(' ') }}
===
{% for city, group in users | groupby('city') %}{{ city }}: {{ group | map(attribute='name') | join(',') }}; {% endfor %}{% for g in users | groupby('age') %}{{ g.grouper }}{{ g.list | length }} {% endfor %}{{ users | groupby('city', case_sensitive=true) | map('first') | list }}
===
{{ users | sum(attribute='age') }} {{ users | max(attribute='age') | tojson }} {{ (users | min(attribute='name')).name }} {{ users | map(attribute='tags') | map('length') | list }} {{ users | groupby('zip', default='none') | length }}
===
{% macro render(x, depth=0) -%}
  {%- if x is mapping -%}
    {%- for k, v in x.items() %}{{ '  ' * depth }}{{ k }}: {{ render(v, depth + 1) }};{% endfor -%}
  {%- elif x is iterable and x is not string -%}
    {%- for v in x %}{{ render(v, depth) }},{% endfor -%}
  {%- else -%}{{ x }}{%- endif -%}
{%- endmacro %}{{ render({'a': [1, {'b': 2}], 'c': 'd'}) }}
===
{% for m in messages if m.role != 'system' %}{{ loop.index }}/{{ loop.length }} {{ loop.previtem.role if loop.previtem else '-' }} {% endfor %}
===
{% for m in messages %}{% set content = m.content %}{% if loop.first %}{% set content = content ~ '!' %}{% endif %}{{ content }}{% endfor %}
===
{% set ns = namespace(seen=[]) %}{% for u in users %}{% if u.age not in ns.seen %}{% set ns.seen = ns.seen + [u.age] %}{% endif %}{% endfor %}{{ ns.seen }}
===
{% for i in [3, 1] if i > 2 %}{{ i }}{% else %}none{% endfor %}
===
{%- set x = 1 -%}
{%- macro show() -%}{{ x }}{{ bos_token }}{%- endmacro -%}
{{ show() }}{%- set x = 2 -%}{{ show() }}
===
{% set bos_token = 'B' %}{{ bos_token }}{% for i in [1] %}{{ bos_token }}{% set bos_token = 'C' %}{{ bos_token }}{% endfor %}{{ bos_token }}
===
{% if add_generation_prompt is defined and add_generation_prompt %}P{% endif %}{{ tools is none }}{{ tools is defined }}{{ documents is defined }}
===
{% for i in range(3) %}{% filter upper %}a{% if i == 1 %}{% continue %}{% endif %}{% endfilter %}{{ i }}{% endfor %}
===
{% for u in users recursive %}{{ u.name }}{% if u.tags %}[{% for t in u.tags %}{{ t }}{{ loop.depth }}{% endfor %}]{% endif %}{% else %}nobody{% endfor %}
===
{% call(m) show_all() %}{{ m.role }}{% endcall %}{% macro show_all() %}{% for m in messages %}{{ caller(m) }}{% endfor %}{% endmacro %}
===
{% macro show_all() %}{% for m in messages %}{{ caller(m) }},{% endfor %}{% endmacro %}{% call(m) show_all() %}{{ m.role }}{% endcall %}
===
{% macro outer() %}{% macro inner(y) %}{{ y }}{{ messages | length }}{% endmacro %}{{ inner('q') }}{% endmacro %}{{ outer() }}
===
{{ messages[2].tool_calls[0]['arguments'].x + 1 }}{{ messages[-1]['nope'] }}{{ messages[9] }}|{{ messages[1].content[:1] }}{{ messages | last | tojson(indent=1) }}
===
{% for k, v in messages[2] | items %}{{ k }}{{ loop.index }} {% endfor %}{% for k in messages[2] | dictsort %}{{ k[0] }} {% endfor %}
===
{% for i in gen if false %}{% endfor %}{% set it = [1, 2, 3] | map('string') %}{{ it | first }}{{ it | list }}{{ it | list }}
===
{% for x in [1, 2, 3] | select('odd') %}{{ x }}{{ loop.last }}{{ loop.length }} {% endfor %}
===
{%- if messages[0].role == "system" %}{{- "<s>" + messages[0].content + "</s>" }}{%- endif %}{% set loop_messages = messages[1:] if messages[0].role == 'system' else messages %}{{ loop_messages | length }}
===
line1
line2 {{ 'a
b' }}
{{ "x" }}
===
{% set msg %}
multi
  line {{ bos_token }}
{% endset %}
[{{ msg }}][{{ msg | trim }}]
===
{% with messages = users %}{{ messages[0].name }}{% endwith %}{{ messages[0].role }}
===
{{ '' if x else 'no' }}{{ ('a' if users else 'b') ~ '!' }}{{ users[0].name if users else '' }}{{ (users | first).age // 10 }}
===
{% if users | length > 2 and not missing %}yes{% endif %}{% if users and users[0].tags %}tags{% endif %}{% if 'a' in users[0].tags or false %}in{% endif %}
"""

# Errors; the context is the same.
ERRORS = r"""
{{ x.y }}
{{ x.y.z }}
{{ x['y'] }}
{{ x() }}
{{ x + 1 }}
{{ 1 + x }}
{{ 'a' + x }}
{{ x < 1 }}
{{ -x }}
{{ x | int }}
{{ users[0].nope.more }}
{{ users.nope() }}
{{ none.split }}{{ none.split() }}
{{ none[0].x }}
{{ users[9].name }}
{{ 'abc'.nope() }}
{{ {}.a.b }}
{{ (1).x.y }}
{{ [].a.b }}
{{ namespace().q.r }}
{{ 'a' + 1 }}
{{ 'a' + none }}
{{ 1 + 'a' }}
{{ none + 'a' }}
{{ [1] + 'a' }}
{{ (1,) + [1] }}
{{ {} + {} }}
{{ 'a' - 1 }}
{{ 'a' * 'b' }}
{{ 'a' * 1.5 }}
{{ none * 2 }}
{{ 'a' / 2 }}
{{ 'a' // 2 }}
{{ none % 2 }}
{{ 'a' ** 2 }}
{{ -'a' }}
{{ +none }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ 1.0 / 0 }}
{{ 1.0 // 0 }}
{{ 1.0 % 0 }}
{{ 0 ** -1 }}
{{ 'a' < 1 }}
{{ 1 > 'a' }}
{{ none <= 1 }}
{{ {} >= {} }}
{{ [1, 'a'] < ['a', 1] }}
{{ 1 in 'abc' }}
{{ 1 in none }}
{{ 1 in 5 }}
{{ [1] in {} }}
{{ {[1]: 2} }}
{{ {{}: 2} }}
{{ tools[1:] }}
{{ (users | length)[1:] }}
{{ users[0][1:] }}
{{ bos_token['a':] }}
{{ 'abc'[::0] }}
{{ x[1:] }}
{{ 'a'() }}
{{ (1)() }}
{{ none() }}
{{ [].append(1) }}
{{ {}.update(a=1) }}
{{ {}.pop }}{{ {}.pop() }}
{{ 'a'.__class__ }}{{ 'a'.__class__.x }}
{{ [].__len__() }}
{{ ''.format.__self__ }}{{ users.sort() }}
{{ 'a'.upper(1) }}
{{ 'a'.split(1) }}
{{ 'a'.split('') }}
{{ 'a'.split(',', 'x') }}
{{ 'a'.split(',', 1, 2) }}
{{ 'a'.strip(1) }}
{{ 'a'.strip('a', 'b') }}
{{ 'a'.replace('a') }}
{{ 'a'.replace('a', 1) }}
{{ 'a'.replace(tools, 'b') }}
{{ 'a'.removeprefix(tools) }}
{{ 'a'.split(tools, tools) }}
{{ 'a' in tools }}
{{ 'a'.rjust(3, 5) }}
{{ 'a'.replace('a', 'b', 'c') }}
{{ 'a'.startswith(1) }}
{{ 'a'.startswith() }}
{{ 'a'.startswith((1,)) }}
{{ 'a'.startswith('a', 1, 2, 3) }}
{{ 'a'.find(1) }}
{{ 'a'.index('x') }}
{{ ''.join([1]) }}
{{ ''.join(1) }}
{{ ''.join() }}
{{ 'a'.center('x') }}
{{ 'a'.center(5, 'ab') }}
{{ 'a'.zfill() }}
{{ 'a'.upper(x=1) }}
{{ 'a'.split(foo=1) }}
{{ [1].index(2) }}
{{ (1,).index(2) }}
{{ {}.get() }}
{{ {}.items(1) }}
{{ 'a'.removeprefix(1) }}
{{ 'a'.partition('') }}
{{ '%d' % 'a' }}
{{ '%s %s' % 'a' }}
{{ '%s' % ('a', 'b') }}
{{ '%y' % 1 }}
{{ '%' % 1 }}
{{ '%(a)s' % 1 }}
{{ '%(a)s' % {} }}
{{ '%x' % 1.5 }}
{{ '%f' % 'a' }}
{{ '%c' % 'ab' }}
{{ '%*d' % ('a', 1) }}
{{ '{'.format() }}
{{ '}'.format() }}
{{ '{}'.format() }}
{{ '{a}'.format() }}
{{ '{} {0}'.format(1) }}
{{ '{0} {}'.format(1) }}
{{ '{:d}'.format('a') }}
{{ '{:s}'.format(1) }}
{{ '{:.2d}'.format(1) }}
{{ '{:5}'.format([1]) }}
{{ '{:5}'.format(none) }}
{{ '{!z}'.format(1) }}
{{ '{a.b}'.format(a=1) + 'x' }}
{{ range('a') }}
{{ range() }}
{{ range(1, 2, 3, 4) }}
{{ range(1, 2, 0) }}
{{ range(1000000) }}
{{ raise_exception('boom') }}
{{ raise_exception(5) }}
{{ raise_exception() }}
{{ cycler() }}
{{ dict(1) }}
{{ dict([1]) }}
{{ dict(['abc']) }}
{{ namespace(1, 2) }}
{{ strftime_now(1) }}
{{ strftime_now() }}
{% for a, b in [1] %}{% endfor %}
{% for a, b in [(1,)] %}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{% for a in 5 %}{% endfor %}
{% for a in none %}{{ loop.index }}{% endfor %}
{% set a, b = 1 %}
{% set a, b = [1, 2, 3] %}
{% set users.x = 1 %}
{% set nope.x = 1 %}
{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{% endmacro %}{{ m(b=1) }}
{% macro m(a) %}{{ a.b }}{% endmacro %}{{ m() }}
{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}
{% macro m() %}{% endmacro %}{% call m() %}{% endcall %}
{% for i in [1] %}{{ loop([]) }}{% endfor %}
{% for i in [1] %}{{ loop.cycle() }}{% endfor %}
{{ [1, 'a'] | sort }}
{{ [1, 'a'] | max }}
{{ ['a', 1] | sum }}
{{ ['a'] | sum(start='') }}
{{ 5 | length }}
{{ none | length }}
{{ 5 | list }}
{{ 5 | first }}
{{ 5 | last }}
{{ users | map('upper') | last }}
{{ 5 | join }}
{{ 5 | reverse }}
{{ users | map | list }}
{{ users | map('nope') | list }}
{{ users | map(attribute='a', foo=1) | list }}
{{ users | map(nope) | list }}
{{ users | selectattr | list }}
{{ users | selectattr('a', 'nope') | list }}
{{ 5 | map('upper') | list }}
{{ [[1]] | unique | list }}
{{ 'a' | abs }}
{{ x | abs }}
{{ 'a' | round }}
{{ 1.5 | round(1, 'up') }}
{{ 'a' | indent('x', 1, 2, 3) }}
{{ 5 | indent }}
{{ 'a' | replace('a') }}
{{ 'a' | replace }}
{{ 'a' | upper(1) }}
{{ 'a' | default(1, 2, 3) }}
{{ 'a' | trim(foo=1) }}
{{ 'a' | center(5, width=6) }}
{{ 'a' | truncate(2) }}
{{ [] | dictsort }}
{{ {} | dictsort(by='x') }}
{{ 5 | items | list }}
{{ {'a b': 1} | xmlattr }}
{{ 'a' | filesizeformat }}
{{ 'abc' | batch(0) | list }}{{ 'abc' | slice(0) | list }}
{{ '%s' | format(1, a=2) }}
{{ 'a' | wordwrap(0) }}
{{ x | tojson }}
{{ [x] | tojson }}
{{ users | map(attribute='a') | tojson }}
{{ {}.items() | tojson }}
{{ namespace() | tojson }}
{{ range(3) | tojson }}
{{ {(1, 2): 3} | tojson }}
{{ 'a' | tojson(foo=1) }}
{{ 1 | tojson(1, 2, 3, 4, 5) }}
{{ 'a' is divisibleby 2 }}
{{ 1 is divisibleby 0 }}
{{ 1 is divisibleby }}
{{ 'a' is odd }}
{{ none is odd }}
{{ 1 is lt 'a' }}
{{ 1 is eq }}
{{ 1 is in 5 }}
{{ 'a' | nope }}
{{ 'a' is nope }}
{% if true %}{{ 'a' | nope }}{% endif %}
{% if true %}{{ 'a' is nope }}{% endif %}
{% if false %}{{ 'a' | nope }}{% endif %}fine
{{ 1 if true else 'a' | nope }}
{{ ('a' if false).x }}
{{ ('a' if false) + 'b' }}
{% include 'x' %}
{% include 'x' ignore missing %}
{% import 'x' as y %}
{% from 'x' import y %}
{% extends 'x' %}
{% if true %}{% extends 'x' %}{% endif %}
{% for a in [1] %}{% extends 'x' %}{% endfor %}
{{ [] | min + 1 }}
{{ loop.index }}
{{ m(*5) }}{{ range(*5) }}
{{ dict(**5) }}
{{ 'a' | int(base='x') }}
{% set inf = 'inf' %}{{ inf | float | int }}
"""

SYNTAX_ERRORS = r"""
{{ }}
{{ 1
{{ 1 + }}
{{ 1 2 }}
{{ 'abc }}
{{ a b }}
{{ a. }}
{{ a.'b' }}
{{ a[ }}
{{ a[1 }}
{{ (1 }}
{{ 1) }}
{{ (1] }}
{{ [1, 2 }}
{{ {1 2} }}
{{ {'a': } }}
{{ a | }}
{{ a | 1 }}
{{ a is }}
{{ a is 1 }}
{{ 1 is odd is even }}
{{ f(a=1, 2) }}
{{ f(**a, *b) }}
{{ f(a b) }}
{{ f(a=1, a=2) }}
{{ 'a' if }}
{{ ! }}
{{ a ! b }}
{{ $ }}
{{ a ? b }}
{{ "\x4" }}
{{ "\u123" }}
{{ "\U00110000" }}
{{ not }}
{{ 1 in }}
{{ 1 not 2 }}
{{ 007 }}
{{ 1.2.3 }}
{% %}
{% 1 %}
{% nope %}
{% endif %}
{% endfor %}
{% if %}{% endif %}
{% if x %}
{% if x %}{% else %}
{% if x %}{% endfor %}
{% if x %}{% elif %}{% endif %}
{% for %}{% endfor %}
{% for x %}{% endfor %}
{% for x in %}{% endfor %}
{% for x in y %}
{% for 1 in y %}{% endfor %}
{% for x.y in z %}{% endfor %}
{% for loop in x %}{{ loop }}{% endfor %}
{% for x in y %}{% set loop = 1 %}{% endfor %}
{% for x in y %}{% if x %}{% endfor %}{% endif %}
{% set %}
{% set x %}
{% set x = %}
{% set 1 = 2 %}
{% set true = 2 %}
{% set 'a' = 2 %}
{% set (a, 1) = 2 %}
{% set a.b.c = 1 %}
{% set [a] = 1 %}
{% macro %}{% endmacro %}
{% macro m %}{% endmacro %}
{% macro m( %}{% endmacro %}
{% macro m(a=1, b) %}{% endmacro %}
{% macro m(a, a) %}{% endmacro %}
{% macro m(1) %}{% endmacro %}
{% macro m() %}
{% macro m(caller) %}{{ caller() }}{% endmacro %}
{% call x %}{% endcall %}
{% call %}{% endcall %}
{% filter %}{% endfilter %}
{% filter nope %}{% endfilter %}
{% with x %}{% endwith %}
{% with x = 1 y = 2 %}{% endwith %}
{% block %}{% endblock %}
{% block a-b %}{% endblock %}
{% block a %}{% endblock %}{% block a %}{% endblock %}
{% block a required %}x{% endblock %}
{% raw %}
{# unclosed
{# closed #} {#
{% break %}
{% continue %}
{% for x in y %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}
{% for x in y %}{% else %}{% break %}{% endfor %}
{% if x
{% from 'a' import _b %}
{% from 'a' import %}
{% import 'a' %}
{% include %}
{% generation %}
{% do x %}
{% endgeneration %}
{{ x.0.1 }}{{ x.1a }}
"""


def _lines(text):
    """One template a line; a line that is not the first of a template opens with white space or
    follows an open tag, so join until the braces balance."""
    out, pending = [], ""
    for line in text.strip("\n").split("\n"):
        pending = pending + "\n" + line if pending else line
        closed = pending.count("{{") <= pending.count("}}") and pending.count(
            "{#") <= pending.count("#}")
        if closed:
            out.append(pending)
            pending = ""
    return out + ([pending] if pending else [])


CONTEXTS = {
    "empty": {},
    "chat": {"messages": MESSAGES, "users": USERS, "bos_token": "<s>", "tools": None,
             "add_generation_prompt": True},
}

CASES = (
    [(template, "empty") for template in _lines(PLAIN)]
    + [(template, "chat") for template in BLOCKS.lstrip("\n").split("\n===\n")]
    + [("line 1\n" + template, "chat") for template in ERRORS.strip("\n").split("\n")]
    + [("\n" + template, "empty") for template in SYNTAX_ERRORS.strip("\n").split("\n")]
    + [(template, "empty") for template in ("a\r\nb\rc\r\n", "a\n\n", "\n", "", "abc{#", "a{")]
)
