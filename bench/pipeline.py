#!/usr/bin/env python3
"""What a step of a pipeline costs beside its work: chains of light steps on a table of a few rows, fused and each in a
container of its own, against a bare `crun run` of an equal bundle, in turns.

    sudo bench/pipeline.py [--build build] [--rounds 5] [--steps 16]

step     from the start of a run to its end, by the server's clock, divided by its steps (median of the rounds)
floor    `crun run` of the bundle of such a step until it has ended, /bin/true instead of strata-ml
work     the same steps by strata-ml in a shell, one process each: what no engine can spare
"""
import argparse
import datetime
import importlib.util
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT / 'tests')  # and not this folder, whose http.py would hide Python's own

from conftest import Strata, wait_for

P = '/api/v1/projects/demo'


def jobs_bench():
    spec = importlib.util.spec_from_file_location('jobs_bench', ROOT / 'bench' / 'jobs.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ms_of(text):
    return datetime.datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp() * 1e3


def chain(steps):
    nodes = {'n0': {'module': 'read_csv', 'params': {'path': 'data:small.csv'}}}
    for i in range(1, steps):
        nodes[f'n{i}'] = {'module': 'split', 'params': {'fraction': 0.9, 'seed': i},
                          'inputs': {'table': f'n{i - 1}.' + ('table' if i == 1 else 'train')}}
    return {'pipeline': 1, 'nodes': nodes}


def run(s, steps, fuse):
    begun = s.api('POST', f'{P}/pipelines/chain/runs', json={'cache': False, 'fuse': fuse}).json()

    def done():
        r = s.api('GET', f'{P}/runs/{begun["id"]}').json()
        return r if r['state'] in ('succeeded', 'failed', 'cancelled') else None
    r = wait_for(done, 120, 'the run ends')
    assert r['state'] == 'succeeded', json.dumps(r, indent=1)
    assert (len({n['job'] for n in r['nodes'].values()}) < steps) == (fuse and steps > 1)
    return (ms_of(r['finished_at']) - ms_of(r['created_at'])) / steps


def by_hand(program, folder, steps):
    began = time.monotonic()
    words = ['read_csv', '--param', f'path={folder}/small.csv', '--out', f'table={folder}/n0.arrow']
    for i in range(1, steps + 1):
        subprocess.run([program, '--progress', 'json', '--outputs', 'yes', *words], check=True, stdout=subprocess.DEVNULL)
        words = ['split', '--param', 'fraction=0.9', '--param', f'seed={i}', '--in', f'table={folder}/n{i - 1}.arrow',
                 '--out', f'train={folder}/n{i}.arrow', '--out', f'test={folder}/t{i}.arrow']
    return (time.monotonic() - began) * 1e3 / steps


def bare(jobs, bundles, n):
    began = time.monotonic()
    for i in range(n):
        jobs.crun_run(bundles[0], f'bench-pipeline-{i}')
    return (time.monotonic() - began) * 1e3 / n


def main():
    a = argparse.ArgumentParser()
    a.add_argument('--build', type=pathlib.Path, default=ROOT / 'build')
    a.add_argument('--rounds', type=int, default=5)
    a.add_argument('--steps', type=int, default=16)
    o = a.parse_args()
    jobs = jobs_bench()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix='strata-bench-'))
    scratch.chmod(0o755)
    table = b'a,b\n' + b''.join(b'%d,%d\n' % (i, i * i % 7) for i in range(200))
    (scratch / 'small.csv').write_bytes(table)
    bundles = []
    s = Strata(scratch / 'state', build=o.build.resolve()).start()
    try:
        s.project('demo')
        s.volume('demo', 'data')
        assert s.api('PUT', f'{P}/volumes/data/files/small.csv', data=table).status_code in (200, 201)
        assert s.api('PUT', f'{P}/pipelines/chain', json=chain(o.steps)).status_code == 201
        bundles = jobs.prepare_bundles(*jobs.bundle_of_a_job(s, scratch), scratch, 1)
        rows = []
        for _ in range(o.rounds + 1):  # the first warms
            rows.append((bare(jobs, bundles, 8), by_hand(o.build / 'src/algorithms/strata-ml', scratch, o.steps),
                         run(s, o.steps, True), run(s, o.steps, False)))
        floor, work, fused, alone = (statistics.median(column) for column in zip(*rows[1:]))
        print(f'floor {floor:.1f} ms   work {work:.1f} ms   fused {fused:.1f} ms   alone {alone:.1f} ms')
        print(f'overhead of a step, fused: {fused - work:.1f} ms, {(fused - work) / floor:.2f} x crun run (target <= 60 ms)')
        print(f'overhead of a step, alone: {alone - work:.1f} ms, {(alone - work) / floor:.2f} x crun run')
    finally:
        s.stop()
        for folder in bundles:
            subprocess.run(['umount', str(folder / 'rootfs')], check=False)
        shutil.rmtree(scratch, ignore_errors=True)


main()
