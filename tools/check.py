#!/usr/bin/env python3
"""Runs every gate and every test and closes with "N passed, N failed".

Usage: tools/check.py [--fast] [GATE...]      --fast: only what needs no server and no root
Each gate is a function below, a row in GATES; a gate counts its own passes and failures.
"""
import collections
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get('BUILD', 'build')
PYTHON = '/usr/bin/python3'
Result = collections.namedtuple('Result', 'passed failed text')
PRODUCT = ['all', 'strata', 'strata-exporter', 'strata-ml']
TEST_PROGRAMS = ['tests/http-test-server', 'tests/runtime-driver', 'tests/promql-driver', 'tests/libfake-nvml.so']

# strcpy and friends have no bound, gmtime and localtime are not thread-safe, system runs a shell.
BANNED = {'strcpy', 'strcat', 'strncpy', 'strncat', 'sprintf', 'vsprintf', 'strtok', 'atoi', 'atol',
          'gmtime', 'localtime', 'system', 'gets', 'tmpnam', 'mktemp', 'alloca'}


def run(*command, env=None, cwd=ROOT, timeout=1200):
    """(exit code, output) of a command. A file takes the output: what a test leaves running holds no pipe open."""
    with tempfile.TemporaryFile() as out:
        try:
            code = subprocess.run([str(c) for c in command], cwd=cwd, env={**os.environ, **(env or {})},
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                  timeout=timeout).returncode
        except subprocess.TimeoutExpired:
            code = 124
            out.seek(0, os.SEEK_END)
            out.write(f'\ntimed out after {timeout} s\n'.encode())
        out.seek(0)
        return code, out.read().decode(errors='replace')


def sources(*suffixes, under=('src', 'tests', 'tools')):
    files = [p for d in under for p in (ROOT / d).rglob('*') if p.suffix in suffixes]
    return sorted(p for p in files if 'build' not in p.parts[-2])


def one(code, text):
    return Result(int(code == 0), int(code != 0), '' if code == 0 else text)


def gate_format():
    return one(*run('clang-format', '--dry-run', '-Werror', *sources('.c', '.h')))


def gate_layers():
    return one(*run(PYTHON, 'tools/layers.py'))


def gate_comments():
    """`//` is for one's own desk: only /* */ stays."""
    wrong = []
    for path in sources('.c', '.h'):
        text = path.read_text()
        text = re.sub(r'"(\\.|[^"\\\n])*"|\'(\\.|[^\'\\\n])*\'', '""', text)
        text = re.sub(r'/\*.*?\*/', lambda m: '\n' * m.group().count('\n'), text, flags=re.S)
        for number, line in enumerate(text.splitlines(), 1):
            if '//' in line:
                wrong.append(f'{path}:{number}: // comment; write /* */')
    return one(len(wrong), '\n'.join(wrong))


def setup(directory, *options, env=None):
    """A build directory of its own kind; made once, kept for the next time."""
    if (ROOT / directory / 'build.ninja').exists():
        return 0, ''
    return run('meson', 'setup', directory, *options, env=env)


def build(directory, *options, env=None, targets=PRODUCT):
    """Sets up and builds; all mistakes at once, and only they are told."""
    code, text = setup(directory, *options, env=env)
    if code == 0:
        code, text = run('ninja', '-k', '0', '-C', directory, *targets)
        text = re.sub(r'^(\[\d+/\d+\]|cc |clang |gcc ).*\n', '', text, flags=re.M)[-20000:]
    return code, text


def gate_gcc():
    """The product and the programs that the black-box tests drive; warnings are errors."""
    return one(*build(BUILD, targets=[*PRODUCT, *TEST_PROGRAMS]))


def gate_clang():
    return one(*build('build-clang', '-Dtests=false', env={'CC': 'clang'}))


def gate_banned():
    """No object asks the linker for a banned function. Built so that none is turned into another."""
    code, text = build('build-banned', '-Dtests=false', '-Doptimization=0', '-Dc_args=-fno-builtin -U_FORTIFY_SOURCE')
    if code != 0:
        return one(code, text)
    wrong = []
    objects = sorted((ROOT / 'build-banned').rglob('*.c.o'))
    for obj, name in re.findall(r'^(\S+):\s+U (\w+)', run('nm', '-A', '-u', *objects)[1], re.M):
        if name in BANNED:
            wrong.append(f'{pathlib.Path(obj).name}: calls {name}')
    return one(len(wrong), '\n'.join(wrong))


def gate_analyzer():
    """gcc's analyser. too-complex says only that it gave up on a function."""
    return one(*build('build-analyzer', '-Dtests=false', '-Dc_args=-fanalyzer -Wno-analyzer-too-complex'))


def compiled(directory):
    """{source: the newest change of it and of all it includes}, as ninja noted it while building."""
    found = {}
    for block in run('ninja', '-C', directory, '-t', 'deps')[1].split('\n\n'):
        files = [(ROOT / directory / line.strip()).resolve() for line in block.splitlines()[1:]]
        if files and files[0].suffix == '.c':
            found[files[0]] = max(p.stat().st_mtime for p in files if p.exists())
    return found


def tidy_one(source, newest):
    """What clang-tidy finds in one source; nothing, when nothing has changed since it found nothing."""
    stamp = ROOT / 'build-clang' / 'tidy' / '_'.join(source.relative_to(ROOT).parts)
    newest = max(newest, (ROOT / '.clang-tidy').stat().st_mtime)
    if stamp.exists() and stamp.stat().st_mtime > newest:
        return ''
    began = time.time()
    code, text = run('clang-tidy', '--quiet', '-p', 'build-clang', source)
    if code != 0:
        return '\n'.join(sorted({l for l in text.splitlines() if ' error: ' in l or ' warning: ' in l})) or text
    stamp.parent.mkdir(exist_ok=True)
    stamp.touch()
    os.utime(stamp, (began, began))
    return ''


def gate_tidy():
    code, text = build('build-clang', '-Dtests=false', env={'CC': 'clang'})
    if code != 0:
        return one(code, text)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [f for f in pool.map(tidy_one, *zip(*compiled('build-clang').items())) if f]
    return one(len(found), '\n'.join(found))


def unit_tests(directory, *suites, env=None):
    arguments = [a for s in suites for a in ('--suite', s)]
    code, text = run('meson', 'test', '-C', directory, '--print-errorlogs', '--timeout-multiplier', '5', *arguments,
                     env=env)
    passed = re.search(r'^Ok:\s+(\d+)', text, re.M)
    failed = sum(int(n) for n in re.findall(r'^(?:Fail|Timeout|Unexpected Pass):\s+(\d+)', text, re.M))
    if code != 0 and not failed:
        failed = 1
    return Result(int(passed.group(1)) if passed else 0, failed, text[-6000:] if failed else '')


def gate_units():
    return unit_tests(BUILD)


SANITIZER_ENV = {'ASAN_OPTIONS': 'detect_leaks=1:abort_on_error=1', 'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1',
                 'TSAN_OPTIONS': f'halt_on_error=1:second_deadlock_stack=1:suppressions={ROOT}/tests/tsan.supp'}


def gate_units_asan():
    code, text = setup('build-asan', '-Db_sanitize=address,undefined', '-Db_lundef=false')
    return unit_tests('build-asan', env=SANITIZER_ENV) if code == 0 else one(code, text)


THREADED = ['base', 'net', 'state', 'helper', 'secrets', 'content', 'rootfs', 'volume', 'jobs', 'tsdb', 'access', 'registry']


def gate_units_tsan():
    code, text = setup('build-tsan', '-Db_sanitize=thread', '-Db_lundef=false')
    return unit_tests('build-tsan', *THREADED, env=SANITIZER_ENV) if code == 0 else one(code, text)


def pytest(*arguments, env=None):
    # One thread of BLAS: scikit-learn's threads spin for each other on a busy machine, four times as long.
    env = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', **(env or {})}
    code, text = run(PYTHON, '-m', 'pytest', '-c', 'tests/pytest.ini', '--rootdir', 'tests', *arguments, env=env, timeout=1500)
    counts = {word: int(n) for n, word in re.findall(r'(\d+) (passed|failed|error|errors)\b', text.splitlines()[-1] if text else '')}
    failed = counts.get('failed', 0) + counts.get('error', 0) + counts.get('errors', 0)
    if code not in (0, 5) and not failed:
        failed = 1
    skipped = '\n'.join(line for line in text.splitlines() if line.startswith('SKIPPED'))
    return Result(counts.get('passed', 0), failed, text[-20000:] if failed else skipped)


def memory():
    """An environment whose temporary files lie in memory, where there is enough of it: a test mostly waits for fsync."""
    place = '/dev/shm'
    return {'TMPDIR': place} if os.path.isdir(place) and shutil.disk_usage(place).free >= 8 << 30 else {}


def side_by_side(*runs):
    """Of each the arguments and the environment."""
    with concurrent.futures.ThreadPoolExecutor(len(runs)) as pool:
        results = list(pool.map(lambda one: pytest(*one[0], env=one[1]), runs))
    return Result(sum(r.passed for r in results), sum(r.failed for r in results), '\n'.join(r.text for r in results if r.text))


def clients(*left_out):
    """The tests of all clients but the browser, in three parts: what is about files, kills and full disks is on a disk."""
    files = [f for f in sorted((ROOT / 'tests').glob('test_*.py')) if not f.name.startswith(('test_d10', *left_out))]
    on_disk = [f for f in files if re.match('test_c(2[56]|4|50|52|60|70)', f.name)]
    metrics = [f for f in files if f.name.startswith('test_e')]
    return on_disk, metrics, [f for f in files if f not in (*on_disk, *metrics)]


def gate_blackbox():
    """The browser in two parts beside all other clients, each part with a server of its own: they wait most of the time."""
    console = 'tests/test_d10_console.py'
    on_disk, metrics, others = clients()
    return side_by_side((on_disk, {}), (metrics, memory()), (others, memory()),
                        ([console, '-k', 'walk or help'], memory()), ([console, '-k', 'not walk and not help'], memory()))


def gate_blackbox_asan():
    """The programs under ASan and UBSan while real clients talk to them: all but chaos, scikit-learn, the browser, and the disk that loses power."""
    code, text = build('build-asan', '-Db_sanitize=address,undefined', '-Db_lundef=false',
                       targets=[*PRODUCT, *TEST_PROGRAMS])
    if code != 0:
        return one(code, text)
    run('ln', '-sf', 'src/algorithms/strata-ml', 'build-asan/strata-ml')
    env = {**SANITIZER_ENV, 'STRATA_BUILD': 'build-asan'}
    on_disk, metrics, others = clients('test_b50', 'test_c26_power', 'test_c60')
    env['PROMQL_QUERIES'] = '300'
    return side_by_side(([*on_disk, '-k', 'not dockerd'], env), (metrics, {**env, **memory()}),
                        ([*others, '-k', 'not dockerd'], {**env, **memory()}))


def gate_web():
    """The console: types (those of the API are made from its description), units, and no text that a language lacks."""
    code, text = run('tools/web')
    if code == 0:
        code, text = run('npx', '--no-install', 'tsc', '--noEmit', cwd=ROOT / 'web')
    if code != 0:
        return one(code, text)
    code, text = run('npx', '--no-install', 'vitest', 'run', '--passWithNoTests', cwd=ROOT / 'web')
    passed = re.search(r'Tests .*?(\d+) passed', text)
    failed = re.search(r'Tests .*?(\d+) failed', text)
    return Result(int(passed.group(1)) if passed else 0, int(failed.group(1)) if failed else int(code != 0),
                  text if code else '')


def gate_texts():
    """What the server says to users of the console stands in each of its languages, with every place."""
    return one(*run(PYTHON, 'tools/server_texts.py', '--check'))


def gate_docs():
    """Links in the documents resolve; every setting, route, verb and option stands in the manual; its pages are true."""
    wrong = []
    for page in [*sorted(ROOT.glob('*.md')), *sorted((ROOT / 'docs').rglob('*.md'))]:
        for target in re.findall(r'\]\(([^)#\s]+)(?:#[^)]*)?\)', page.read_text()):
            if not re.match(r'[a-z]+:', target) and not (page.parent / target).exists():
                wrong.append(f'{page.relative_to(ROOT)}: link to {target} leads nowhere')
    for check in (['tools/manual.py', '--check'], ['tools/manual_pages.py']):
        code, text = run(PYTHON, *check)
        if code != 0:
            wrong.append(text)
    return one(len(wrong), '\n'.join(wrong))


GATES = [  # name, function, whether --fast runs it
    ('format', gate_format, True),
    ('layers', gate_layers, True),
    ('comments', gate_comments, True),
    ('gcc', gate_gcc, True),
    ('clang', gate_clang, True),
    ('banned functions', gate_banned, True),
    ('docs', gate_docs, True),
    ('texts', gate_texts, True),
    ('web', gate_web, True),
    ('units', gate_units, True),
    ('units, ASan+UBSan', gate_units_asan, True),
    ('units, TSan', gate_units_tsan, True),
    ('clang-tidy', gate_tidy, True),
    ('gcc -fanalyzer', gate_analyzer, True),
    ('black box', gate_blackbox, False),
    ('black box, ASan+UBSan', gate_blackbox_asan, False),
]


def main():
    fast = '--fast' in sys.argv
    wanted = [a for a in sys.argv[1:] if not a.startswith('-')]
    passed = failed = 0
    for name, gate, is_fast in GATES:
        if (wanted and name not in wanted) or (fast and not is_fast and not wanted):
            continue
        began = time.monotonic()
        result = gate()
        passed += result.passed
        failed += result.failed
        print(f'{"FAIL" if result.failed else "ok  "} {name}: {result.passed} passed, {result.failed} failed '
              f'({time.monotonic() - began:.0f} s)', flush=True)
        if result.text:
            print(result.text, flush=True)
    print(f'{passed} passed, {failed} failed')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main())
