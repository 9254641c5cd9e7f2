#!/usr/bin/env python3
"""Expected values for the chat template engine, computed by Jinja2 itself.

Renders every case below in the environment that transformers builds for chat templates and writes
tests/data/jinja_cases.json: {"now", "contexts": {name: variables}, "cases": [{"template",
"context": name, "expected"} or {"template", "context": name, "error", "kind", "line"}]}, where
"line" is the one that Jinja2 names, absent where it names one of the code that it generates.

Usage: python tools/golden/jinja_cases.py [OUT.json]     (needs jinja2 3.1.6)
"""
import datetime
import json
import pathlib
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from jinja_case_list import CASES, CONTEXTS

NOW = datetime.datetime(2026, 11, 23, 9, 5, 7)


def _compile_jinja_template():  # the name shows in messages, as it does in transformers
    class AssistantTracker(jinja2.ext.Extension):
        tags = {"generation"}

        def parse(self, parser):
            lineno = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            call = self.call_method("_generation_support")
            return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(lineno)

        @jinja2.pass_eval_context
        def _generation_support(self, context, caller):
            return caller()

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    def strftime_now(format):
        return NOW.strftime(format)

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True,
        extensions=[AssistantTracker, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


def error_line(error):
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno
    line = 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def run(template, context):
    case = {"template": template, "context": context}
    try:
        case["expected"] = _compile_jinja_template().from_string(template).render(**CONTEXTS[context])
    except Exception as error:  # noqa: BLE001: every class is part of the contract
        message = error.msg if isinstance(error, SyntaxError) else str(error)
        if isinstance(error, jinja2.TemplateSyntaxError):
            message = error.message
        case.update(error=message, kind=type(error).__name__)
        if not isinstance(error, SyntaxError) and "non-namespace" not in message:
            case["line"] = error_line(error)
    return case


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "tests/data/jinja_cases.json"
    cases = [run(template, context) for template, context in CASES]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    contexts = json.dumps(CONTEXTS, ensure_ascii=False)
    head = f'"now": "{NOW.isoformat()}", "contexts": {contexts}'
    out.write_text(f'{{{head},\n"cases": [\n{lines}\n]}}\n', encoding="utf-8")
    failed = sum("error" in case for case in cases)
    print(f"{out}: {len(cases)} cases, {failed} of them errors")


if __name__ == "__main__":
    main()
