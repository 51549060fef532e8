#!/usr/bin/env python3
"""The sentences of the server that a user of the console can meet, and whether each is translated.

    tools/server_texts.py            prints them, one format a line
    tools/server_texts.py --check    fails when web/src/i18n/server/LANGUAGE.ts lacks one, has one too many, or lost a place

A sentence is a format of printf as it stands in the C source. `err_wrap` and `err_sys` put ": <what was said before>" behind theirs, so
there the format ends with ": %s". Places stand in a translation as {1}, {2} in the order of the format; texts (%s) without a
letter between them are one place. Left out: what only roles at their start, the root helper's protocol, the exporter (a process of
its own, which answers scrapers) and the command line say."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CATALOGUES = ROOT / 'web/src/i18n/server'
LANGUAGES = ('zh-TW', 'zh-CN')

UNDER = ('src/control', 'src/foundation', 'src/studio', 'src/net', 'src/state', 'src/base', 'src/main')
# Start of a role, protocol between roles, programming mistakes: nobody reads these in a browser.
LEFT_OUT = re.compile(r'_test\.c$|_fuzz\.c$|src/control/metrics/exporter/|src/main/(cli/|up\.c|statedir|confine|helper\.c|server\.c|openapi|boot|settings|console)'
                      r'|src/base/(cfg|err|fs)\.c|src/state/migrate|src/net/(server|tls|route|schema|relay|worker|proxy)\.c'
                      r'|src/foundation/helper/(frame|fork|wire|server)\.c|/confine\.c$|pipeline/(image|pipeline)\.c|agent_wire|seccomp_profile|secrets/key'
                      r'|control/harbor/'  # the console asks our own API only
                      r'|metrics/exporter/'  # says it in its log and to scrapers
                      r'|volume/(agents|agent_end|agent|volume_helper)\.c|rootfs/(stage|ops|unpack)\.c|runtime/(box|record|remove|shim|usage)\.c')
# function: the argument that is the format, and what follows it
SAYS = {'err_set': (2, ''), 'template_error': (1, ''), 'err_wrap': (1, ': %s'), 'err_sys': (1, ': %s'), 'err_list_add': (4, ''), 'mistake': (2, ''), 'mistakes_add': (4, ''), 'component_mistake': (3, ''),
        'doctor_found': (2, ''), 'doctor_mend': (1, ''), 'state_one_i64': (3, ''), 'promql_error': (3, '')}
# Files whose every literal with a space is said to users: tables of reasons, and parts that sentences are made of.
WHOLE = re.compile(r'jobs/(outcome|machine|view|adopt|cancel|starter|submit|spec|scheduler)\.c|pipeline/(step_key|step_spec|runner|node_start|node_job|node_made|importer|importer_try|node_import)\.c|access/(names|authorize)\.c'
                   r'|volume/(agent_path|agent_files)\.c|runtime/crun\.c|registry/(resolve|manifest|retention|fsck)\.c|content/digest\.c|labels/regex\.c')
NO_SENTENCE = re.compile(r'^[^a-z\'%]|SELECT|INSERT|UPDATE|DELETE|jobs\.seq|seq, id|denied: unknown|directory: unknown|^%s:? %s$|not found$'
                         r'|^mount `|^mkdir `|^openat2 `|^the target `|file `|format error|dynamic library|^open executable|mode not supported'
                         r'|^command $|^exec container|^is a directory$|says nothing|^detail |^look at$|^rename to$|^%c|^bytes $')
# What libc says, and parts that are put together from pieces.
MORE = ['%s: %s', '%s (%s)', "; did you mean '%s'?", '; did you mean "%s"?', 'No such file or directory', 'Permission denied',
        'No space left on device', 'Disk quota exceeded', 'Read-only file system', 'Input/output error', 'Cannot allocate memory',
        'File exists', 'Not a directory', 'Is a directory', 'Directory not empty', 'Too many open files', 'Operation not permitted',
        'Device or resource busy', 'Invalid argument', 'Connection reset by peer', 'Broken pipe', 'File name too long',
        'Too many levels of symbolic links', 'Resource temporarily unavailable', 'Stale file handle', 'Connection timed out', 'started',
        'a text', 'an amount', 'a size', 'a time', 'a name', 'user', 'robot', 'group', 'project', 'a string', 'an object', 'a number',
        'true or false', 'a list', 'a map', 'a single value', 'there are: %s', 'it has none yet', ', but no room for more files', 'go on from Upload-Offset',
        'send the file again', ': command not found', ': the command cannot be executed', 'too many requests are',
        'four requests of yours are', 'minute', 'hour', 'day of month', 'month', 'day of week', '"[" without "]"', '"{" without "}"',
        '"}" without "{"', 'too many "{" inside each other', 'nothing behind "\\"']

LITERAL = r'"(?:\\.|[^"\\\n])*"'
CONVERSION = re.compile(r'%(?:%|[-#0 +]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh|h|ll|l|z|j|t)?[diouxXcsgefGpB])')


def words(text):
    """The text of literals that stand side by side."""
    joined = ''.join(part[1:-1] for part in re.findall(LITERAL, text))
    return joined.replace('\\"', '"').replace('\\\\', '\\').replace('\\n', '\n')


def alternatives(text):
    """The literals of an argument: one, or those of `a ? b : c`."""
    return [words(m.group()) for m in re.finditer(rf'{LITERAL}(?:\s*{LITERAL})*', text)]


def arguments(text, at):
    """Those of the call whose parenthesis opens before `at`."""
    depth, start, found, i = 1, at, [], at
    while depth and i < len(text):
        c = text[i]
        if c in '"\'':
            i = re.compile(rf'{c}(?:\\.|[^{c}\\])*{c}').match(text, i).end()
            continue
        depth += (c in '([{') - (c in ')]}')
        if depth == 0 or (c == ',' and depth == 1):
            found.append(text[start:i])
            start = i + 1
        i += 1
    return found


def settings(text):
    """The prose of settings, which the console shows."""
    for m in re.finditer(rf'\{{"[a-z0-9_.]+", CFG_\w+,\s*(?:{LITERAL}|\w+),\s*((?:{LITERAL}\s*)+)', text):
        yield words(m.group(1))


def formats():
    """format -> the file that says it first"""
    found = {}
    for path in sorted(p for d in UNDER for p in (ROOT / d).rglob('*.c')):
        name = path.relative_to(ROOT).as_posix()
        text = re.sub(r'/\*.*?\*/', '', path.read_text(), flags=re.S)
        if not re.search(r'_test\.c$|_fuzz\.c$|src/main/cli/', name):
            for prose in settings(text):
                found.setdefault(prose, name)
        if LEFT_OUT.search(name):
            continue
        text = re.sub(r'#include[^\n]*', '', text)
        for m in re.finditer(rf'\b({"|".join(SAYS)})\(', text):
            index, behind = SAYS[m.group(1)]
            args = arguments(text, m.end())
            for said in alternatives(args[index]) if len(args) > index else []:
                if ' ' in said if m.group(1) == 'state_one_i64' else re.search('[a-z]{2}', said):
                    found.setdefault(said + behind, name)
        if WHOLE.search(name):
            quiet = re.sub(r'\blog_\w+\((?:[^;"]|' + LITERAL + r')*\);', '', text)
            for said in alternatives(quiet):
                if ' ' in said and not NO_SENTENCE.search(said) and not any(said + b in found for b in ('', ': %s')):
                    found.setdefault(said, name)
    for path in sorted((ROOT / 'src/algorithms/modules').glob('*.c')):  # the console shows the titles of modules
        for title in re.findall(r'\.title = "([^"]+)"', path.read_text()):
            found.setdefault(title, path.relative_to(ROOT).as_posix())
    found = {f: n for f, n in found.items() if CONVERSION.sub('', f).strip(' :;,.()\'"%')}
    for said in MORE:
        found.setdefault(said, 'libc and parts')
    return found


def places(fmt):
    """How many places a format has: texts side by side are one; a number ends where its digits do."""
    kinds = CONVERSION.sub(lambda m: '%' if m.group() == '%%' else '\0' if m.group()[-1] in 'sc' else '\1', fmt)
    return len(re.findall('\0+|\1', kinds))


ENTRY = re.compile(r"^  ('(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"):\s*('(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"),$", re.M)


def unquote(text):
    return re.sub(r'\\(.)', lambda m: '\n' if m.group(1) == 'n' else m.group(1), text[1:-1])


def catalogue(language):
    path = CATALOGUES / f'{language}.ts'
    return {unquote(k): unquote(v) for k, v in ENTRY.findall(path.read_text())} if path.exists() else {}


def check():
    wanted, wrong = formats(), []
    for language in LANGUAGES:
        have = catalogue(language)
        for fmt, name in wanted.items():
            if fmt not in have:
                wrong.append(f'{language}.ts: not translated: {fmt!r} of {name}')
            elif sorted(re.findall(r'\{(\d+)\}', have[fmt])) != sorted(str(i + 1) for i in range(places(fmt))):
                wrong.append(f'{language}.ts: {have[fmt]!r} needs each of the {places(fmt)} places of {fmt!r} once')
        wrong += [f'{language}.ts: nobody says {fmt!r} any more' for fmt in have if fmt not in wanted]
    return wrong


if __name__ == '__main__':
    if sys.argv[1:] == ['--check']:
        mistakes = check()
        print('\n'.join(mistakes))
        sys.exit(1 if mistakes else 0)
    for one in formats():
        print(one.replace('\n', '\\n'))
