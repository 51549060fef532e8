#!/usr/bin/env python3
"""The console in Chromium on a processor four times slower, with 10,000 jobs, a folder of 10,000 files, 500
repositories, 500 tags and a log of 100 MB.

  load          compressed bytes and JavaScript of each page, layout shift and long tasks while it loads
  interaction   from the input to the next paint, by the Event Timing API; the longest of each
  scroll        the longest gap between two frames while a list rushes by

    sudo bench/console.py [--build build] [--slower 4] [--rounds 3] [--only frame,jobs,data,images,administration]

Wall-clock figures: on a busy machine they get worse, so each is the least disturbed one of three rounds. What took
less than 16 ms the browser tells as 0."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT / 'tests')

import argparse
import concurrent.futures
import json
import os
import sqlite3
import subprocess
import tempfile

from conftest import Strata

JOBS, FILES, REPOSITORIES = 10_000, 10_000, 500
LOG_BYTES = 100_000_000
PAINT_MS, SHIFT, FIRST_BYTES = 100, 0.02, 450_000


def log_job(s):
    line = 'epoch=1 step=& loss=0.123 accuracy=0.987 samples/s=10000 eta=00:10'
    job = s.run_job('bench', ['sh', '-c', f'seq 1 {LOG_BYTES // 72} | sed "s|.*|{line}|"'],
                    resources={'cpu': '1', 'memory': '256Mi'})
    assert job['state'] == 'succeeded', job
    return job


def many_jobs(s):
    """Rows like the one that ran, in the table of a server that is stopped: to run them all would be another bench."""
    for i in range(3):
        s.run_job('bench', ['sh', '-c', f'exit {i}'], name=f'model-{i}')
    s.stop()
    db = sqlite3.connect(s.state / 'state.db')
    columns = [c[1] for c in db.execute('PRAGMA table_info(jobs)')]
    row = dict(zip(columns, db.execute("SELECT * FROM jobs WHERE name = 'model-1'").fetchone()))
    first = row['seq'] + 10
    letters = 'abcdefghijklmnopqrstuvwxyz234567'
    for i in range(JOBS):
        name = ''.join(letters[(i >> (5 * n)) & 31] for n in range(4))
        row.update(seq=first + i, id=f'j-{name}aaaa', name=f'job-{i}', state=('succeeded', 'failed')[i % 7 == 0],
                   created_ms=row['created_ms'] + 1)
        db.execute(f'INSERT INTO jobs({", ".join(columns)}) VALUES({", ".join("?" * len(columns))})', [row[c] for c in columns])
    db.commit()
    db.close()
    s.start()


def many_files(s, pool):
    s.volume('bench', 'many')
    put = lambda i: s.api('PUT', f'/api/v1/projects/bench/volumes/many/files/sample-{i:05}.json', data=b'{"label": 1}').status_code
    assert set(pool.map(put, range(FILES))) == {201}


def many_images(s, pool):
    tags = s.api('GET', '/api/v1/projects/demo/repositories/busybox/tags').json()['items']
    text = s.api('GET', f'/v2/demo/busybox/manifests/{tags[0]["digest"]}')
    manifest = text.json()
    blobs = [manifest['config'], *manifest['layers']]

    def push(repository, tag):
        for blob in blobs:
            s.api('POST', f'/v2/bench/{repository}/blobs/uploads/?mount={blob["digest"]}&from=demo/busybox')
        r = s.api('PUT', f'/v2/bench/{repository}/manifests/{tag}', data=text.content,
                  headers={'Content-Type': manifest['mediaType']})
        assert r.status_code == 201, r.text
    list(pool.map(lambda i: push(f'repo-{i}', '1'), range(REPOSITORIES)))
    list(pool.map(lambda i: push('tagged', f't-{i}'), range(REPOSITORIES)))


def fill(s):
    s.project('bench')
    assert s.busybox
    job = log_job(s)
    assert len(s.api('GET', f'/api/v1/projects/bench/jobs/{job["id"]}/log').content) > 0.9 * LOG_BYTES
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        many_files(s, pool)
        many_images(s, pool)
    for i in range(50):
        s.user(f'user-{i}', 'bench', 'guest')
    many_jobs(s)
    return job['id']


def verdict(value, goal):
    return 'ok' if value <= goal else 'MISSED'


def tell(row):
    if 'page' in row:
        print(f'{row["page"] + ": ":<34} load {row["ms"]} ms, {row["bytes"] / 1000:.0f} kB, {row["js"] / 1000:.0f} kB of it JavaScript, '
              f'{row["long"]} long tasks, longest {row["longest"]:.0f} ms; shift {row["cls"]:.3f} <= {SHIFT}: {verdict(row["cls"], SHIFT)}', flush=True)
        return row['cls'] <= SHIFT and (row['page'] != 'overview' or row['bytes'] <= FIRST_BYTES)
    name = row.get('interaction') or 'scroll: ' + row['scroll']
    more = f'p95 {row["p95"]} ms of {row["frames"]} frames' if 'scroll' in row else f'longest task {row["longest"]:.0f} ms'
    print(f'{name + ": ":<42} {row["ms"]:>5.0f} ms ({more}) <= {PAINT_MS} ms: {verdict(row["ms"], PAINT_MS)}', flush=True)
    return row['ms'] <= PAINT_MS


def drive(s, job, args):
    """One round in a browser of its own: rows by what they are about, in order."""
    p = subprocess.run(['node', ROOT / 'web/flows/lib/measure.mjs', job, 'many', 'tagged'], stdout=subprocess.PIPE, text=True,
                       env={**os.environ, 'STRATA_URL': s.url, 'STRATA_PASSWORD': s.admin_password, 'SLOWER': args.slower,
                            'ONLY': args.only}, check=True)
    rows = [json.loads(line) for line in p.stdout.splitlines()]
    return {next(f'{kind} {r[kind]}' for kind in ('page', 'interaction', 'scroll') if kind in r): r for r in rows}


def least(rows):
    """The round that was disturbed least; layout shift is not a matter of speed, so there the worst counts."""
    best = dict(min(rows, key=lambda r: r['ms']))
    if 'cls' in best:
        best['cls'] = max(r['cls'] for r in rows)
    return best


def main():
    args = argparse.ArgumentParser()
    args.add_argument('--build', default='build')
    args.add_argument('--rounds', type=int, default=3)
    args.add_argument('--slower', default='4')
    args.add_argument('--only', default='')
    args = args.parse_args()
    ok = True
    with tempfile.TemporaryDirectory(prefix='strata-bench-console-') as folder:
        os.chmod(folder, 0o755)
        s = Strata(pathlib.Path(folder) / 'state', build=(ROOT / args.build).resolve()).start()
        try:
            job = fill(s)
            rounds = [drive(s, job, args) for _ in range(args.rounds)]
            for what in rounds[0]:
                ok &= tell(least([r[what] for r in rounds]))
        finally:
            s.stop()
    sys.exit(0 if ok else 1)


main()
