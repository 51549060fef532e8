#!/usr/bin/env python3
"""Writes docs/manual/*.md, docs/formats/openapi.json and the tables of docs/modules/*.md from the program itself, so that they cannot drift from it.

Usage: tools/manual.py [--check]     --check: compare with what is committed instead of writing
"""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
STRATA = ROOT / os.environ.get('BUILD', 'build') / 'strata'
ML = ROOT / os.environ.get('BUILD', 'build') / 'strata-ml'
DOCS = ROOT / 'docs'


def strata(*arguments):
    return subprocess.run([str(STRATA), *arguments], check=True, capture_output=True, text=True,
                          env={'HOME': '/nonexistent', 'PATH': '/usr/bin:/bin'}).stdout


def commands():
    """Every verb with its own help."""
    verbs = [line.split('|')[0] for line in strata('completion', 'bash').splitlines() if '|--' in line]
    text = '# Commands\n\nThe same as `strata help COMMAND`. Exit codes: [formats/api.md](../formats/api.md).\n'
    for verb in verbs:
        body = strata('help', *verb.split()).split('\nEverywhere:\n')[0].rstrip()
        text += f'\n## strata {verb}\n\n```\n{body}\n```\n'
    everywhere = strata('help', 'version').split('\nEverywhere:\n')[1].rstrip()
    return text + f'\n## Options of every command\n\n```\n{everywhere}\n```\n'


def settings():
    return ('# Settings\n\nAll keys of `strata.yaml` with their defaults, as `strata config` prints them. The file lies in the state\n'
            'directory (or `--config FILE`); `--set key=value` overrides it. Unknown keys are refused.\n\n```yaml\n'
            + strata('config', '--state', '/nonexistent').rstrip() + '\n```\n')


def routes():
    rows = json.loads(strata('debug', 'routes', '--json'))
    text = '# Routes\n\nEvery route with the permission it needs. Bodies and answers: [formats/api.md](../formats/api.md).\n\n'
    text += '| method | path | permission | what |\n|---|---|---|---|\n'
    for row in rows:
        permission = ' and '.join(row[k] for k in ('permission', 'also') if k in row)
        text += f'| {row["method"]} | `{row["path"]}` | {permission} | {row["summary"]} |\n'
    return text


def openapi():
    """A key a line, in order: a change of the API is a change of few lines."""
    return json.dumps(json.loads(strata('debug', 'openapi')), indent=1, sort_keys=True, ensure_ascii=False) + '\n'


FROM = '## Ports and parameters\n'


def cell(text):
    return str(text).replace('|', '\\|')


def module_tables(module):
    """The last chapter of a module's page; what stands before it is written by hand."""
    text = f'{FROM}\n`strata-ml help {module["name"]}` says the same. Version {module["version"]}.\n\n'
    text += '| port | type | |\n|---|---|---|\n'
    for way in ('inputs', 'outputs'):
        for port in module[way]:
            kind = port['type'] + (', optional' if port['optional'] else '')
            text += f'| {"in" if way == "inputs" else "out"} `{port["name"]}` | {kind} | {cell(port["help"])} |\n'
    if module['params']:
        text += '\n| parameter | type | default | |\n|---|---|---|---|\n'
    for p in module['params']:
        kind = ' '.join(f'`{c}`' for c in p['choices']) if 'choices' in p else p['type']
        if 'min' in p and p['type'] != 'ints':
            kind += f', {p["min"]:g} … {p["max"]:g}'
        value = p.get('default')
        default = 'needed' if p['required'] else f'`{value if isinstance(value, str) and value else json.dumps(value)}`'
        text += f'| `{p["name"]}` | {kind} | {cell(default)} | {cell(p["help"])} |\n'
    return text


def modules(check):
    """Tables of every module's page, and a list of them all."""
    wrong, listed = [], '# Modules\n\nThe algorithms of `strata-ml`, a page each: how they compute, and what they are tested against.\n'
    category = None
    for module in json.loads(subprocess.run([str(ML), '--manifest'], check=True, capture_output=True).stdout):
        path = DOCS / f'modules/{module["name"]}.md'
        if module['category'] != category:
            category = module['category']
            listed += f'\n## {category}\n\n'
        listed += f'- [{module["name"]}]({module["name"]}.md): {module["title"]}\n'
        old = path.read_text() if path.exists() else f'# {module["name"]}\n\n{module["description"]}\n\n'
        new = old.split(FROM)[0].rstrip() + '\n\n' + module_tables(module)
        wrong += put(path, new, check)
    return wrong + put(DOCS / 'modules/README.md', listed, check)


FILES = {'manual/commands.md': commands, 'manual/settings.md': settings, 'manual/routes.md': routes,
         'formats/openapi.json': openapi}


def put(path, text, check):
    if not check:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    elif not path.exists() or path.read_text() != text:
        return [f'{path.relative_to(ROOT)} is not what the program says: run tools/manual.py']
    return []


def main():
    check = '--check' in sys.argv
    wrong = [w for name, make in FILES.items() for w in put(DOCS / name, make(), check)] + modules(check)
    print('\n'.join(wrong))
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
