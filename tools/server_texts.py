#!/usr/bin/env python3
"""The sentences of the server that a user of the console can meet, and whether each is translated.

    tools/server_texts.py            prints them, one format a line
    tools/server_texts.py --check    fails when web/src/i18n/server/LANGUAGE.ts lacks one, has one too many, or lost a place

A sentence is a format of printf as it stands in the C source. `err_wrap` and `err_sys` put ": <what was said before>" behind theirs, so
there the format ends with ": %s". Places stand in a translation as {1}, {2} in the order of the format; texts (%s) without a
letter between them are one place. {1:word} is a place where words of ours stand, such as "text": elsewhere that may be a name somebody gave.
What modules say of themselves, their parameters and ports, of runs, and the names of parameters are in modules.LANGUAGE.ts. Left out: what only roles at their start, the root helper's protocol, the exporter (a process of
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
WHOLE = re.compile(r'jobs/(outcome|machine|view|adopt|cancel|starter|submit|spec|scheduler)\.c|pipeline/(step_key|step_memory|step_spec|runner|node_start|node_job|node_made|importer|importer_try|node_import)\.c|access/(names|authorize)\.c'
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
        '"}" without "{"', 'too many "{" inside each other', 'nothing behind "\\"', 'The server brought this itself: no container ran.']

# Words of reports that are put together.
BUILT = {'train rows': 'cross_validate.c', 'test rows': 'cross_validate.c', 'component 1': 'cluster_plot.c', 'component 2': 'cluster_plot.c'}

# Of what modules say of a run: parts that are put together. The rest is whole literals, with ": %s" where a sentence is wrapped.
ERROR_PARTS = (": did you mean '%s'?", 'not a number', 'not a whole number up to 2^53', 'not true or false', 'not a date: 2024-12-31',
               'not a time: 2024-12-31T23:59:59.5+08:00, from 1684 to 2255, no finer than a microsecond',
               "column '%s' holds text, and numbers are needed here: leave it out%s", "column '%s' holds numbers, and text is needed here: leave it out (@text)",
               *(f'columns %s{more} hold {what}' for more in ('', ' and others') for what in
                 ('text, and numbers are needed here: leave them out%s', 'numbers, and text is needed here: leave them out (@text)')))
# Files whose sentences are all translated: everybody who reads a table and learns from it meets them.
ERRORS_OF = re.compile(r'kernel/(csv\w*|table|param|labels|features|features_bind|select)\.c$|modules/training\.c$')

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


def modules():
    """The files that modules are described in: name, text without comments."""
    for path in sorted(p for p in (ROOT / 'src/algorithms').glob('*/*.[ch]') if not re.search('_test|_fuzz|_testing', p.name)):
        text = re.sub(rf'({LITERAL})|/\*.*?\*/', r'\1', path.read_text().replace('\\\n', '\n'), flags=re.S)
        yield path.relative_to(ROOT).as_posix(), text


def module_texts():
    """What modules say of themselves, their parameters and ports -> the file that says it first; then the same of names of parameters,
    and of the titles, axes and columns of reports."""
    helps, params, reports = {}, {}, {}
    for name, text in modules():
        for m in re.finditer(rf'(?:\.(?:description|help) =|#define \w+_HELP|\bIMPORT_SECRET\()\s*((?:{LITERAL}\s*)+)', text):
            helps.setdefault(words(m.group(1)), name)
        for m in re.finditer(r'\{\s*"([a-zA-Z0-9_]+)",\s*(PARAM|VALUE)_[A-Z]+,', text):
            said = arguments(text, text.index('{', m.start()) + 1)
            if m.group(2) == 'PARAM':
                params.setdefault(m.group(1), name)
            if len(said) == (7 if m.group(2) == 'PARAM' else 4) and said[-1].strip().startswith('"'):
                helps.setdefault(words(said[-1]), name)
        for m in re.finditer(r'\(struct chart\)\{|\breport_table(?:_of)?\(', text):
            said = arguments(text, m.end())[1:4 if m.group().startswith('(') else 3]
            for literal in (one.strip() for one in said if one.strip().startswith('"')):
                for word in words(literal).split('|'):
                    reports.setdefault(word, name)
    return helps, params, {**reports, **BUILT}


def module_errors():
    """What modules say of runs: every literal, and the formats that must be translated -> the file that says it"""
    said, wanted = set(ERROR_PARTS), {}
    for name, text in modules():
        literals = alternatives(text)
        said.update(literals, (one + ': %s' for one in literals))
        for m in re.finditer(r'\berr_set\(', text) if ERRORS_OF.search(name) else ():
            for fmt in alternatives(arguments(text, m.end())[2]):
                if not re.match('damaged|at most %d transforms', fmt):
                    wanted.setdefault(fmt, name)
    return said, wanted


def categories():
    """category of modules -> the file that names it first"""
    return {c: name for name, text in reversed(list(modules())) for c in re.findall(r'\.category = "(\w+)"', text)}


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
    for path, text in modules():  # the console shows the titles of modules
        for title in re.findall(r'\.title = "([^"]+)"', text):
            found.setdefault(title, path)
    found = {f: n for f, n in found.items() if CONVERSION.sub('', f).strip(' :;,.()\'"%')}
    for said in MORE:
        found.setdefault(said, 'libc and parts')
    return found


def places(fmt):
    """How many places a format has: texts side by side are one; a number ends where its digits do."""
    kinds = CONVERSION.sub(lambda m: '%' if m.group() == '%%' else '\0' if m.group()[-1] in 'sc' else '\1', fmt)
    return len(re.findall('\0+|\1', kinds))


ENTRY = re.compile(r"^  ('(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"):\s*('(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"),$", re.M)


def places_told(text):
    """The places that a translation fills, in order."""
    return sorted(int(n) for n in re.findall(r'\{(\d+)(?::word)?\}', text))


def unquote(text):
    return re.sub(r'\\(.)', lambda m: '\n' if m.group(1) == 'n' else m.group(1), text[1:-1])


def entries(text):
    return {unquote(k): unquote(v) for k, v in ENTRY.findall(text)}


def catalogue(language):
    path = CATALOGUES / f'{language}.ts'
    return entries(path.read_text()) if path.exists() else {}


def check_modules(language):
    """The lists of modules.LANGUAGE.ts, and the words of the console for categories."""
    file = f'modules.{language}.ts'
    lists = dict(re.findall(r'export const (\w+)[^{]*(\{.*?^\});', (CATALOGUES / file).read_text(), re.M | re.S))
    wrong = []
    for kind, wanted in zip(('helps', 'params', 'reports'), module_texts()):
        have = entries(lists.get(kind, ''))
        wrong += [f'{file}: {kind}: not translated: {one!r} of {name}' for one, name in wanted.items() if one not in have]
        wrong += [f'{file}: {kind}: no module says {one!r} any more' for one in have if one not in wanted]
    errors, (known, needed) = entries(lists.get('errors', '')), module_errors()
    wrong += [f'{file}: errors: not translated: {fmt!r} of {name}' for fmt, name in needed.items() if fmt not in errors]
    wrong += [f'{file}: errors: no module says {fmt!r} any more' for fmt in errors if fmt not in known]
    wrong += [f'{file}: errors: {to!r} needs each of the {places(fmt)} places of {fmt!r} once' for fmt, to in errors.items()
              if places_told(to) != list(range(1, places(fmt) + 1))]
    wrong += [f'{file}: errors: {one!r} may be a name somebody gave: put it into words' for one in errors if ' ' not in one]
    wrong += [f'{file}: words: no module says {one!r} any more' for one in entries(lists.get('words', '')) if one not in known]
    said = (CATALOGUES.parent / language / 'studio.ts').read_text()
    wrong += [f'{language}/studio.ts: no studio.category_{c} for {name}' for c, name in categories().items() if f"'studio.category_{c}':" not in said]
    return wrong


def check():
    wanted, wrong = formats(), []
    for language in LANGUAGES:
        have = catalogue(language)
        for fmt, name in wanted.items():
            if fmt not in have:
                wrong.append(f'{language}.ts: not translated: {fmt!r} of {name}')
            elif places_told(have[fmt]) != list(range(1, places(fmt) + 1)):
                wrong.append(f'{language}.ts: {have[fmt]!r} needs each of the {places(fmt)} places of {fmt!r} once')
        wrong += [f'{language}.ts: nobody says {fmt!r} any more' for fmt in have if fmt not in wanted]
        wrong += check_modules(language)
    return wrong


if __name__ == '__main__':
    if sys.argv[1:] == ['--check']:
        mistakes = check()
        print('\n'.join(mistakes))
        sys.exit(1 if mistakes else 0)
    for one in [*formats(), *module_texts()[0]]:
        print(one.replace('\n', '\\n'))
