#!/usr/bin/env python3
"""Writes docs/manual/*.md and docs/formats/openapi.json from the program itself, so that they cannot drift from it.

Usage: tools/manual.py [--check]     --check: compare with what is committed instead of writing
"""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
STRATA = ROOT / os.environ.get('BUILD', 'build') / 'strata'
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


FILES = {'manual/commands.md': commands, 'manual/settings.md': settings, 'manual/routes.md': routes,
         'formats/openapi.json': openapi}


def main():
    wrong = []
    for name, make in FILES.items():
        text, path = make(), DOCS / name
        if '--check' not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            wrong.append(f'docs/{name} is not what the program says: run tools/manual.py')
    print('\n'.join(wrong))
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
