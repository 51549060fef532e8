#!/usr/bin/python3
"""Runs every bench and prints one table: claim, ratio, target, verdict, figures.

    sudo make bench                      or: sudo bench/all.py [--build build] [--only start,idle] [--quick] [--raw FILE]

A bench prints a line for each claim, `name: ... ratio 1.23 ... <= 2 ...`; what is not of this form is left out of
the table and kept in the raw output. CPU ratios survive other load on the machine, wall-clock figures do not: for
those the machine must be quiet. Ends with 1 when a bench fails or a target is missed."""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
QUICK = {'ml': ['--quick'], 'web': ['--rounds', '3', '--seconds', '2'], 'volume_upload': ['--rounds', '3'],
         'container_start': ['3', '20'], 'registry': ['--mib', '256', '--rounds', '3']}
TAKES_BUILD = ('start', 'idle', 'jobs', 'exporter')
ORDER = ('start', 'idle', 'exporter', 'container_start', 'jobs', 'web', 'volume_upload', 'ml')
LIMIT_SECONDS = 1800

RATIO = re.compile(r'ratio\s+([\d.]+)')
TIMES = re.compile(r'([\d.]+) x [a-z]')  # "1.44 x crun run"
TARGET = re.compile(r'(<=|>=|<)\s*([\d.]+)\s*(MB|ms|jobs/s|MiB)?')


def programs():
    found = {p.stem: p for p in (ROOT / 'bench').glob('*.py') if p.stem != 'all'}
    return {name: found[name] for name in sorted(found, key=lambda n: (ORDER.index(n) if n in ORDER else len(ORDER), n))}


def name_of(line):
    """What stands before the figures."""
    return re.split(r':\s|\s{2,}|\s+(?:CPU )?ratio\s', line.strip(), maxsplit=1)[0].strip()


def figure(line, unit):
    """The number that a target with a unit is about: the first with that unit before the target."""
    m = re.search(r'([\d.]+)\s*' + re.escape(unit or '') + r'\b', line)
    return float(m.group(1)) if m else None


def judge(line, ratio, target):
    if 'MISSED' in line:
        return 'missed'
    if target is None:
        return ''
    relation, bound, unit = target.group(1), float(target.group(2)), target.group(3)
    if 'ok' in line.split():
        return 'ok'
    value = ratio
    if unit == 'jobs/s':
        value = float(re.search(r'([\d.]+)', line.split('second', 1)[1]).group(1))
    elif unit:
        value = figure(line, unit)
    if value is None:
        return ''
    return 'ok' if (value >= bound if relation == '>=' else value <= bound) else 'missed'


def rows_of(bench, output):
    for line in output.splitlines():
        r, t = RATIO.search(line) or TIMES.search(line), TARGET.search(line)
        if not r and not t:
            continue
        ratio = float(r.group(1)) if r else None
        yield {'bench': bench, 'claim': name_of(line), 'ratio': f'{ratio:.2f}' if ratio is not None else '',
               'target': ' '.join(x for x in t.groups() if x) if t else '', 'verdict': judge(line, ratio, t),
               'line': ' '.join(line.split())}


def run(name, path, build, quick):
    args = (QUICK.get(name, []) if quick else []) + (['--build', str(build)] if name in TAKES_BUILD else [])
    print(f'{name} ...', file=sys.stderr, flush=True)
    began = time.monotonic()
    try:
        r = subprocess.run([sys.executable, str(path), *args], env={**os.environ, 'STRATA_BUILD': str(build)},
                           capture_output=True, text=True, timeout=LIMIT_SECONDS)
        output, failed = r.stdout, r.returncode != 0 and not list(rows_of(name, r.stdout))
        if failed:
            print(r.stdout + r.stderr, file=sys.stderr)
    except subprocess.TimeoutExpired as e:
        output, failed = (e.stdout or b'').decode(), True
        print(f'{name}: ended after {LIMIT_SECONDS} s', file=sys.stderr)
    print(f'{name}: {time.monotonic() - began:.0f} s', file=sys.stderr, flush=True)
    return output, failed


def table(rows):
    heads = ('bench', 'claim', 'ratio', 'target', 'verdict')
    widths = [max(len(h), *(len(r[h]) for r in rows)) for h in heads]
    for row in (dict(zip(heads, heads)), dict(zip(heads, ('-' * w for w in widths))), *rows):
        print('  '.join(row[h].ljust(w) for h, w in zip(heads, widths)).rstrip())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--build', default=os.environ.get('STRATA_BUILD', str(ROOT / 'build')))
    p.add_argument('--only', help='names, separated by commas')
    p.add_argument('--quick', action='store_true', help='fewer rounds')
    p.add_argument('--raw', help='a file for all that the benches print')
    o = p.parse_args()
    if os.geteuid() != 0:
        p.error('the benches start containers and need root: sudo make bench')
    build, rows, raw, broken = pathlib.Path(o.build).resolve(), [], '', []
    for name, path in programs().items():
        if o.only and name not in o.only.split(','):
            continue
        output, failed = run(name, path, build, o.quick)
        broken += [name] if failed else []
        raw += f'== {name}\n{output}\n'
        rows += rows_of(name, output)
    if o.raw:
        pathlib.Path(o.raw).write_text(raw)
    if rows:
        table(rows)
        print('\nFigures:')
        for r in rows:
            print(f'  {r["bench"]}: {r["line"]}')
    missed = [r for r in rows if r['verdict'] == 'missed']
    print(f'\nload of the machine now: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; '
          f'{len(rows)} claims, {len(missed)} missed, {len(broken)} benches failed {" ".join(broken)}'.rstrip())
    return 1 if missed or broken else 0


if __name__ == '__main__':
    sys.exit(main())
