#!/usr/bin/env python3
"""Jobs against bare crun on the same machine in the same run.

  latency   submit -> running of one job at a time, p50, vs `crun run` of an equal bundle until its process runs
  cpu       CPU of everything (server, helper, shims, crun, the container) per trivial job vs per `crun run`
  rate      trivial jobs per second, many at once, vs `crun run` eight at a time

    sudo bench/jobs.py [--build build] [--jobs 300]
"""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT / 'tests')  # and not this folder, whose http.py would hide Python's own

import argparse
import concurrent.futures
import json
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

import requests

from conftest import Strata, wait_for

TICK = os.sysconf('SC_CLK_TCK')


def cpu_of(pids):
    """CPU seconds of processes and of all their descendants that have ended: shims are children of the helper, crun
    and the container's processes of the shim. Other people's work on the machine is not in it."""
    total = 0
    for pid in pids:
        fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(') ', 1)[1].split()
        total += sum(int(x) for x in fields[11:15])  # utime stime cutime cstime
    return total / TICK


def measure(pids, work):
    """(result, CPU seconds, wall seconds)"""
    before, began = cpu_of(pids), time.monotonic()
    result = work()
    wall = time.monotonic() - began
    return result, cpu_of(pids) - before, wall


def children_cpu():
    """Of the programs this one has started, without this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# --- bare crun ---

def make_bundle(folder, config):
    """The bundle that Strata's own shim gives to crun, so both do the same work: same root file system (overlay),
    namespaces, cgroup limits, seccomp."""
    rootfs = folder / 'rootfs'
    rootfs.mkdir(parents=True)
    config['root']['path'] = 'rootfs'
    for mount in config['mounts']:
        if mount.get('source', '').startswith('/run/strata-'):  # hosts, hostname: of the shim
            mount['source'] = str(folder / pathlib.Path(mount['source']).name)
            pathlib.Path(mount['source']).write_text('bench\n')
    (folder / 'config.json').write_text(json.dumps(config))
    return folder


def crun_run(bundle, name):
    """One `crun run` to the end, on an overlay of its own, as a container needs one. No descriptor of /dev/null: crun
    would give the host's node to the container's user."""
    r = subprocess.run(['crun', '--cgroup-manager=cgroupfs', 'run', '--bundle', str(bundle), name],
                       input=b'', capture_output=True, check=False)
    assert r.returncode == 0, r.stderr


def bundle_of_a_job(s, scratch):
    """config.json of a job that runs, rewritten to stand alone; `true` instead of its command."""
    job = s.submit('demo', {'name': 'model', 'image': s.busybox, 'command': ['sleep', '600'],
                            'resources': {'cpu': '100m', 'memory': '64Mi'}})
    s.wait_job('demo', job['id'], ('running',))
    record = (s.state / 'jobs' / f'{job["id"]}-1' / 'shim').read_text()
    shim = dict(line.split(' ', 1) for line in record.splitlines())['pid']
    config = json.loads(next(pathlib.Path(f'/proc/{shim}/root/run').glob('strata-*/box/config.json')).read_text())
    s.api('POST', f'/api/v1/projects/demo/jobs/{job["id"]}/cancel')
    s.wait_job('demo', job['id'])
    config['process']['args'] = ['true']
    config['process']['terminal'] = False
    config['linux']['cgroupsPath'] = '/strata-bench/model'
    tree = scratch / 'tree'
    tree.mkdir()
    subprocess.run(['tar', '-C', str(tree), '-xf', str(s.state.parent / (s.state.name + '-busybox.tar'))], check=True)
    for path in [tree, *tree.rglob('*')]:
        os.chown(path, *(next(m['hostID'] for m in config['linux'][k]) for k in ('uidMappings', 'gidMappings')),
                 follow_symlinks=False)
    return config, tree


def prepare_bundles(config, tree, scratch, n):
    """n bundles, each with a mounted overlay: not part of what is measured for crun."""
    made = []
    for i in range(n):
        folder = make_bundle(scratch / f'b{i}', json.loads(json.dumps(config)))
        for name in ('upper', 'work'):
            (folder / name).mkdir()
        shutil.copystat(tree, folder / 'upper')
        root = tree.stat()
        os.chown(folder / 'upper', root.st_uid, root.st_gid)
        subprocess.run(['mount', '-t', 'overlay', 'overlay', '-o',
                        f'lowerdir={tree},upperdir={folder}/upper,workdir={folder}/work,volatile', str(folder / 'rootfs')],
                       check=True)
        config_i = json.loads((folder / 'config.json').read_text())
        config_i['linux']['cgroupsPath'] = f'/strata-bench/b{i}'
        (folder / 'config.json').write_text(json.dumps(config_i))
        made.append(folder)
    return made


def bench_crun(bundles):
    walls = []

    def one_by_one():
        for i, b in enumerate(bundles[0::2]):
            began = time.monotonic()
            crun_run(b, f'bench-a{i}-{os.getpid()}')
            walls.append(time.monotonic() - began)
    before = children_cpu()
    one_by_one()
    cpu = children_cpu() - before
    half = bundles[1::2]

    def eight_at_a_time():
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda x: crun_run(x[1], f'bench-b{x[0]}-{os.getpid()}'), enumerate(half)))
    began = time.monotonic()
    eight_at_a_time()
    wall = time.monotonic() - began
    return {'p50_ms': statistics.median(walls) * 1000, 'cpu_ms': cpu / len(walls) * 1000, 'rate': len(half) / wall}


# --- Strata ---

def trivial(s):
    return {'name': 'true', 'image': s.busybox, 'command': ['true'], 'resources': {'cpu': '50m', 'memory': '32Mi'}}


def milliseconds(job):
    """Submitted -> running, by the times in its history (milliseconds)."""
    def at(state):
        text = next(h['at'] for h in job['history'] if h['state'] == state)
        clock = text.split('T')[1].rstrip('Z')
        h, m, sec = clock.split(':')
        return (int(h) * 3600 + int(m) * 60 + float(sec)) * 1000
    return at('running') - at('queued')


def bench_latency(s, n):
    found = []
    for _ in range(n):
        job = s.submit('demo', trivial(s))
        # follow=1 ends with the job: nothing asks again and again meanwhile
        s.api('GET', f'/api/v1/projects/demo/jobs/{job["id"]}/log', params={'follow': 1})
        found.append(milliseconds(s.job('demo', job['id'])))
    return statistics.median(found)


def submit_all(s, n):
    """n jobs over one kept connection; then one wait for the queue to be empty."""
    with requests.Session() as session:
        session.headers['Authorization'] = 'Bearer ' + s.token()
        body, url = trivial(s), s.url + '/api/v1/projects/demo/jobs'
        for _ in range(n):
            r = session.post(url, json=body)
            assert r.status_code == 202, r.text
        wait_for(lambda: session.get(s.url + '/api/v1/queue').json() == {'queued': 0, 'running': 0}, 120, 'all ended')


def bench_rate(s, n):
    pids = s.pids()
    _, cpu, wall = measure([pids['server'], pids['helper']], lambda: submit_all(s, n))
    done = s.api('GET', '/api/v1/projects/demo/jobs', params={'limit': 1000}).json()['items'][:min(n, 1000)]
    assert all(j['state'] == 'succeeded' for j in done), [j['reason'] for j in done if j['state'] != 'succeeded'][:3]
    return cpu / n * 1000, n / wall


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--build', default=str(ROOT / 'build'))
    p.add_argument('--jobs', type=int, default=300)
    o = p.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix='strata-bench-jobs-'))
    s = Strata(scratch / 'state', build=pathlib.Path(o.build).resolve())
    bundles = []
    try:
        s.start()
        config, tree = bundle_of_a_job(s, scratch)
        bench_latency(s, 5)  # the image is unpacked, the caches are warm
        bundles = prepare_bundles(config, tree, scratch, 100)
        crun = bench_crun(bundles)
        p50 = bench_latency(s, 50)
        cpu, rate = bench_rate(s, o.jobs)
    finally:
        for b in bundles:
            subprocess.run(['umount', str(b / 'rootfs')], check=False)
        s.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    print(f'submit -> running p50   {p50:6.1f} ms   crun run {crun["p50_ms"]:6.1f} ms   ratio {p50 / crun["p50_ms"]:.2f} (<= 2)')
    print(f'CPU per trivial job     {cpu:6.1f} ms   crun run {crun["cpu_ms"]:6.1f} ms   ratio {cpu / crun["cpu_ms"]:.2f} (<= 2.5)')
    print(f'trivial jobs per second {rate:6.1f}      crun x 8 {crun["rate"]:6.1f}      ratio {rate / crun["rate"]:.2f} (>= 50 jobs/s)')


if __name__ == '__main__':
    main()
