#!/usr/bin/env python3
"""Checks the pages that people write in docs/manual against the program and against each other.

Usage: tools/manual_pages.py        prints what is wrong, a line each; ends with 1 when something is

A page is there in every language with the same headings and the same blocks of code; links and anchors lead somewhere
(anchors as git hosts and the console make them); every `strata …` is a command with such options; every route is in the
table of routes; the reference of a job has exactly the keys that the program reads.
"""
import functools
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
STRATA = ROOT / os.environ.get('BUILD', 'build') / 'strata'
MANUAL = ROOT / 'docs/manual'
LANGUAGES = ['', 'zh-TW', 'zh-CN']  # '': English
GENERATED = {'commands.md', 'settings.md', 'routes.md'}  # tools/manual.py; English only
FENCE = re.compile(r'^```([^\n]*)\n(.*?)^```$', re.M | re.S)


@functools.cache  # the program does not change meanwhile
def strata(*arguments):
    return subprocess.run([str(STRATA), *arguments], check=True, capture_output=True, text=True,
                          env={'HOME': '/nonexistent', 'PATH': '/usr/bin:/bin'}).stdout


def slug(heading):
    """The anchor of a heading: as GitHub, and web/src/help/manual.ts, make it."""
    text = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading).replace('`', '').replace('*', '').strip().lower()
    return re.sub(r'[^\w\- ]', '', text).replace(' ', '-')


class Page:
    def __init__(self, path):
        self.path, self.text = path, path.read_text()
        self.name = path.relative_to(MANUAL.parent.parent).as_posix()
        self.blocks = FENCE.findall(self.text)
        self.prose = FENCE.sub('', self.text)
        found = re.findall(r'^(#+) (.*)$', self.prose, re.M)
        self.levels = [len(marks) for marks, _ in found]
        self.anchors = [slug(heading) for _, heading in found]
        self.links = re.findall(r'\]\(([^)\s]+)\)', self.prose)
        self.spans = re.findall(r'`([^`\n]+)`', self.prose)
        self.code = self.spans + [text for info, text in self.blocks if not info.startswith('yaml')]


def pages(language):
    folder = MANUAL / language
    return {p.name: Page(p) for p in sorted(folder.glob('*.md')) if p.name not in GENERATED}


def check_languages(books):
    english = books['']
    for language, book in books.items():
        for name in sorted(english.keys() ^ book.keys()):
            yield f'docs/manual: {name} is not there in every language ({language or "en"})'
        for name in sorted(english.keys() & book.keys()):
            page, model = book[name], english[name]
            if page.levels != model.levels:
                yield f'{page.name}: its headings are not those of {model.name}: {page.levels} and {model.levels}'
            if page.blocks != model.blocks:
                yield f'{page.name}: its blocks of code are not those of {model.name}'
            if len(set(page.anchors)) != len(page.anchors):
                yield f'{page.name}: two headings have one anchor'


def check_links(page, anchors_of):
    for link in page.links:
        target, _, anchor = link.partition('#')
        if re.match(r'[a-z]+:', target):
            yield f'{page.name}: {link}: the manual is read where there is no internet'
            continue
        path = (page.path.parent / target).resolve() if target else page.path
        if not path.exists():
            yield f'{page.name}: link to {link} leads nowhere'
        elif anchor and anchor not in anchors_of(path):
            yield f'{page.name}: {link}: no heading there has that anchor'


def verbs():
    """{verb: its options with those of every command}"""
    everywhere = set(re.findall(r'(--[a-z-]+|(?<!\S)-[a-zA-Z]\b)', strata('help', 'version').split('\nEverywhere:\n')[1]))
    found = {}
    for line in strata('completion', 'bash').splitlines():
        if '|--' in line:
            verb = line.split('|')[0]
            found[verb] = everywhere | set(re.findall(r'(--[a-z-]+|(?<!\S)-[a-zA-Z]\b)', strata('help', *verb.split())))
    return found


def check_commands(page, known):
    for code in page.code:
        for command in re.findall(r'(?:^|[|;&($`\s])strata ((?:[^|;&<>\n\\)`]|(?<=\$)\()*)', code):
            words = command.split()
            verb = next((v for v in (' '.join(words[:n]) for n in (3, 2, 1)) if v in known), None)
            groups = {v.split()[0] for v in known}
            if verb is None:
                if words and not (len(words) == 1 and words[0] in groups):
                    yield f'{page.name}: there is no command "strata {command.strip()}"'
                continue
            for option in re.findall(r'(?:^|\s)(--?[a-z][a-z-]*)', command):
                if option not in known[verb]:
                    yield f'{page.name}: strata {verb} has no option {option}'


def route_patterns(rows):
    for row in rows:
        parts = [r'[^?]+' if p.endswith('...}') else r'[^/?]+' if p.startswith('{') else re.escape(p)
                 for p in re.split(r'(\{[^}]*\})', row['path']) if p]
        yield row['method'], re.compile(''.join(parts) + r'$')


def check_routes(page, patterns):
    said = [(m or 'GET', path) for code in page.code
            for m, path in re.findall(r'(?:\b(GET|HEAD|POST|PUT|PATCH|DELETE) )?(?<![\w.}])(/(?:api|v2|service|healthz)[^\s"\'`|)]*)', code)]
    for info, text in page.blocks:
        for line in text.splitlines():
            for path in re.findall(r'\$STRATA_SERVER(/[^\s"\']*)', line):
                method = re.search(r'-X (\w+)', line)
                said.append((method.group(1) if method else 'GET', path))
    for method, path in said:
        path = path.split('?')[0]
        if not any(m == method and p.match(path) for m, p in patterns):
            yield f'{page.name}: there is no route {method} {path}'


def spec_keys():
    """The keys that src/foundation/jobs/spec.c reads, as the reference writes them."""
    text = (ROOT / 'src/foundation/jobs/spec.c').read_text()
    table = lambda name: re.findall(r'\{"(\w+)", read_', re.search(name + r'\[\] = \{(.*?)\n\};', text, re.S).group(1))
    keys = [k for k in table('spec_keys') if k not in ('resources', 'volumes')]
    return {*keys, *(f'resources.{k}' for k in table('resource_keys')), *(f'volumes[].{k}' for k in table('volume_keys'))}


def check_reference(page, keys):
    said = set(re.findall(r'^\| `([\w.\[\]]+)` \|', page.text, re.M))
    for key in sorted(keys - said):
        yield f'{page.name}: the key {key} of a job is missing from the reference'
    for key in sorted(said - keys):
        yield f'{page.name}: the program reads no key {key} of a job'


def main():
    books = {language: pages(language) for language in LANGUAGES}
    known, keys = verbs(), spec_keys()
    patterns = list(route_patterns(json.loads(strata('debug', 'routes', '--json'))))
    cache = {}
    anchors_of = lambda path: cache.setdefault(path, Page(path).anchors)
    wrong = list(check_languages(books))
    for book in books.values():
        for page in book.values():
            wrong += [*check_links(page, anchors_of), *check_commands(page, known), *check_routes(page, patterns)]
        if 'jobs.md' in book:
            wrong += check_reference(book['jobs.md'], keys)
    print('\n'.join(wrong))
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
