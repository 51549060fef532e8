#!/usr/bin/env python3
"""Runs every gate and every test and closes with "N passed, N failed".

Usage: tools/check.py [--fast] [GATE...]      --fast: only what needs no server and no root
Each gate is a function below, a row in GATES; a gate counts its own passes and failures.
Tests mostly wait, compilers and checkers never do: while tests run, those take what is left of the machine.
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
import threading
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


def run(*command, env=None, cwd=ROOT, timeout=3000):
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
    """A build directory of its own kind; made once, kept for the next time, and made anew when its options are others."""
    mark = ROOT / directory / 'options'
    if mark.exists() and mark.read_text() == repr(options):
        return 0, ''
    if directory != BUILD:  # that one is of who builds by hand
        shutil.rmtree(ROOT / directory, ignore_errors=True)
    elif (BUILD / 'build.ninja').exists():
        return 0, ''
    code, text = run('meson', 'setup', directory, *options, env=env)
    if code == 0:
        mark.write_text(repr(options))
    return code, text


def build(directory, *options, env=None, targets=PRODUCT):
    """Sets up and builds; all mistakes at once, and only they are told."""
    code, text = setup(directory, *options, env=env)
    if code == 0:
        code, text = run('ninja', '-k', '0', '-C', directory, *targets)
        text = re.sub(r'^(\[\d+/\d+\]|cc |clang |gcc ).*\n', '', text, flags=re.M)[-20000:]
    return code, text


def gate_gcc():
    """The product with its console, and the programs that the black-box tests drive; warnings are errors."""
    code, text = run('tools/web')
    return one(*build(BUILD, targets=[*PRODUCT, *TEST_PROGRAMS])) if code == 0 else one(code, text)


def build_clang():
    """For its warnings and for what reads its objects and its list of commands: not optimised, so that no call is turned into another."""
    return build('build-clang', '-Dtests=false', '-Doptimization=0', env={'CC': 'clang'})


def gate_clang():
    return one(*build_clang())


def gate_banned():
    """No object asks the linker for a banned function."""
    code, text = build_clang()
    if code != 0:
        return one(code, text)
    wrong = []
    objects = sorted((ROOT / 'build-clang').rglob('*.c.o'))
    for obj, name in re.findall(r'^(\S+):\s+U (\w+)', run('nm', '-A', '-u', *objects)[1], re.M):
        if name in BANNED:
            wrong.append(f'{pathlib.Path(obj).name}: calls {name}')
    return one(len(wrong), '\n'.join(wrong))


def gate_analyzer():
    """gcc's analyser. too-complex says only that it gave up on a function."""
    return one(*build('build-analyzer', '-Dtests=false', '-Ddebug=false', '-Dc_args=-fanalyzer -Wno-analyzer-too-complex'))


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
    # Fewer steps a function than its analyser takes by itself: a fifth of the time; gcc's analyser goes as deep as it likes.
    steps = [f'--extra-arg={word}' for word in ('-Xclang', '-analyzer-config', '-Xclang', 'max-nodes=30000')]
    code, text = run('clang-tidy', '--quiet', '-p', 'build-clang', *steps, source)
    if code != 0:
        return '\n'.join(sorted({l for l in text.splitlines() if ' error: ' in l or ' warning: ' in l})) or text
    stamp.parent.mkdir(exist_ok=True)
    stamp.touch()
    os.utime(stamp, (began, began))
    return ''


def gate_tidy():
    code, text = build_clang()
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


# Half of the time to compile them, and faults are found as well; warnings are for the gates of the compilers.
ASAN = ['-Db_sanitize=address,undefined', '-Db_lundef=false', '-Doptimization=1', '-Dwerror=false']
TSAN = ['-Db_sanitize=thread', '-Db_lundef=false', '-Doptimization=1', '-Dwerror=false']
SANITIZER_ENV = {'ASAN_OPTIONS': 'detect_leaks=1:abort_on_error=1', 'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1',
                 'TSAN_OPTIONS': f'halt_on_error=1:second_deadlock_stack=1:suppressions={ROOT}/tests/tsan.supp'}


def gate_units_asan():
    code, text = setup('build-asan', *ASAN)
    return unit_tests('build-asan', env=SANITIZER_ENV) if code == 0 else one(code, text)


THREADED = ['base', 'net', 'state', 'helper', 'secrets', 'content', 'rootfs', 'volume', 'jobs', 'tsdb', 'access', 'registry']


def gate_units_tsan():
    code, text = setup('build-tsan', *TSAN)
    return unit_tests('build-tsan', *THREADED, env=SANITIZER_ENV) if code == 0 else one(code, text)


def pytest(*arguments, env=None):
    # One thread of BLAS: scikit-learn's threads spin for each other on a busy machine, four times as long.
    env = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', **(env or {})}
    code, text = run(PYTHON, '-m', 'pytest', '-c', 'tests/pytest.ini', '--rootdir', 'tests', *arguments, env=env)
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
    """Of each the arguments and the environment; each has ports of its own."""
    share = (32000 - 12000) // len(runs)
    ports = [{'STRATA_PORTS': f'{first}-{first + share}'} for first in range(12000, 32000, share)]
    with concurrent.futures.ThreadPoolExecutor(len(runs)) as pool:
        results = list(pool.map(lambda one, own: pytest(*one[0], env={**one[1], **own}), runs, ports))
    return Result(sum(r.passed for r in results), sum(r.failed for r in results), '\n'.join(r.text for r in results if r.text))


# About how long a file of tests takes, in seconds, for the balance of the parts; what is not here is shorter than most.
SECONDS = {'c26_registry_faults': 270, 'c50_jobs': 120, 'c56_exec': 120, 'c70_faults': 110, 'c31_migrate': 95, 'c60_chaos': 90, 'c23_replication': 90,
           'e22_metrics_faults': 75, 'c26_power_loss': 70, 'c25_registry_fsck': 65, 'c24_supply': 65, 'c27_registry_large': 65, 'c22_webhooks': 50,
           'c42_archives': 50, 'c43_lists': 50, 'd20_manual': 45, 'b11_http_engine': 35, 'c20_registry': 35, 'c30_runtime': 35, 'c40_volumes': 35,
           'c52_job_files': 35, 'e20_metrics': 35, 'b30_access': 30, 'e25_metrics_moving': 30, 'b51_trees': 25, 'f12_pipeline_cli': 25, 'b52_linear': 15, 'b50_algorithms': 15,
           'f10_pipelines': 15, 'b52_parquet': 10, 'b53_unsupervised': 10, 'b55_judging': 10, 'f13_pipeline_limits': 10, 'b51_arrow': 5,
           'b54_transforms': 5, 'b56_shell': 5, 'f11_example_pipelines': 5, 'f14_imports': 25, 'f15_scripts': 40, 'f15_step_memory': 35, 'b56_memory': 20,
           'b57_learning_faults': 20}
# The flows of the browser that each part runs, without those of the parts before it. A walk is through every page.
FLOWS = ['walk and admin or live or replication or peers', 'walk or help', 'data or jobs or images', 'studio', '']


def deal(files, parts):
    """The files in as many parts that take about as long: the longest first, each to the part that has least so far."""
    dealt = [[] for _ in range(parts)]

    def seconds(*files):
        return sum(SECONDS.get(f.name.split('_', 1)[1].removesuffix('.py'), 15) for f in files)
    for f in sorted(files, key=seconds, reverse=True):
        min(dealt, key=lambda part: seconds(*part)).append(f)
    return [sorted(part) for part in dealt]


def clients(*left_out):
    """Parts for side_by_side with the tests of all clients but the browser. What is about volumes, jobs and full disks is on a disk."""
    files = [f for f in sorted((ROOT / 'tests').glob('test_*.py')) if not f.name.startswith(('test_d10', *left_out))]
    on_disk = [f for f in files if re.match('test_c(4|5|60|70)', f.name)]
    return [*((part, {}) for part in deal(on_disk, 2)), *((part, memory()) for part in deal([f for f in files if f not in on_disk], 3))]


def gate_blackbox():
    """The browser in five parts beside all other clients, each part with a server of its own: they wait most of the time."""
    flows = [' and '.join([f'({k})' if k else '', *(f'not ({other})' for other in FLOWS[:n])]).removeprefix(' and ') for n, k in enumerate(FLOWS)]
    return side_by_side(*((['tests/test_d10_console.py', '-k', k], memory()) for k in flows), *clients())


# Without these the sanitizers lose nothing: scikit-learn, a disk that loses power, 41 GiB through SHA-256, kills at random and again at each step;
# and what a program may take of memory is told of one without them.
LEFT_OUT = ('test_b50', 'test_c26_power', 'test_f18', 'test_c27_registry_large', 'test_c60')


def gate_blackbox_asan():
    """The programs under ASan and UBSan while real clients talk to them: all but the browser and what is left out above."""
    code, text = build('build-asan', *ASAN, targets=[*PRODUCT, *TEST_PROGRAMS])
    if code != 0:
        return one(code, text)
    # Steps of pipelines run in an image of one file, and a sanitizer needs shared libraries: there the plain program, in test_b50 ours.
    run('ln', '-sf', '../build/src/algorithms/strata-ml', 'build-asan/strata-ml')
    env = {**SANITIZER_ENV, 'STRATA_BUILD': 'build-asan'}
    env['PROMQL_QUERIES'] = '300'
    words = ' and '.join(f'not {name}' for name in ('dockerd', 'killed_at_each_step_of_a_replication', 'in_little_memory', 'wide_tables', 'what_a_source_takes', 'sparse_rows'))
    return side_by_side(*(([*files, '-k', words], {**env, **where}) for files, where in clients(*LEFT_OUT)))


def gate_web():
    """The console: types (those of the API are made from its description), units, and no text that a language lacks."""
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


GATES = [  # name, function, whether --fast runs it, whether it runs beside the others
    ('gcc', gate_gcc, True, False),
    ('web', gate_web, True, False),
    ('units', gate_units, True, False),
    ('units, ASan+UBSan', gate_units_asan, True, False),
    ('units, TSan', gate_units_tsan, True, False),
    ('black box', gate_blackbox, False, False),
    ('black box, ASan+UBSan', gate_blackbox_asan, False, False),
    ('format', gate_format, True, True),
    ('layers', gate_layers, True, True),
    ('comments', gate_comments, True, True),
    ('docs', gate_docs, True, True),
    ('texts', gate_texts, True, True),
    ('clang', gate_clang, True, True),
    ('banned functions', gate_banned, True, True),
    ('clang-tidy', gate_tidy, True, True),
    ('gcc -fanalyzer', gate_analyzer, True, True),
]


def tell(name, gate):
    """Runs one and says how it went: (passed, failed)."""
    began = time.monotonic()
    result = gate()
    print(f'{"FAIL" if result.failed else "ok  "} {name}: {result.passed} passed, {result.failed} failed '
          f'({time.monotonic() - began:.0f} s)' + (f'\n{result.text}' if result.text else ''), flush=True)
    return result.passed, result.failed


def run_beside(gates):
    """Those that compute, one after the other, with the time that the others leave: of what a thread starts, its priority is the thread's."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    return [tell(*g) for g in gates]


def main():
    names = [word for word in sys.argv[1:] if word != '--fast']
    unknown = [name for name in names if name not in [g[0] for g in GATES]]
    if unknown:
        print(__doc__ + 'Gates: ' + ' · '.join(g[0] for g in GATES))
        if unknown[0] in ('-h', '--help'):
            return 0
        print(f'tools/check.py: there is no gate "{unknown[0]}"', file=sys.stderr)
        return 64
    wanted = [g for g in GATES if g[0] in names or not names and (g[2] or '--fast' not in sys.argv)]
    before, beside = [[g[:2] for g in wanted if g[3] == b] for b in (False, True)]
    first = [tell(*before.pop(0))] if before[:1] == [GATES[0][:2]] else []  # what the others test
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        later = pool.submit(run_beside, beside)
        counts = [*first, *(tell(*g) for g in before), *later.result()]
    passed, failed = (sum(c) for c in zip(*counts))
    print(f'{passed} passed, {failed} failed')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main())
