#!/usr/bin/python3
"""What a container costs through runtime (helper, overlay, shim, crun, exit record, removal) against a bare
`crun run` of the same bundle on a plain directory, in turns. Prints ratios; root.

    STRATA_BUILD=build bench/container_start.py [rounds [containers a round]]

start    request -> its command runs, as the server sees it (crun run: until it has ended, so it is
         favoured by nothing but the removal of its cgroup)
cpu      all CPU of a container of /bin/true from request to removal, helper and shim included
The last line has starts one after the other and all else beside them."""
import json
import os
import pathlib
import queue
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get('STRATA_BUILD', ROOT / 'build')).resolve()
INSTANCE = f'bench{os.getpid()}'
CHAIN = 'a' * 64
ID_BASE = 3_000_000_000
TICK = os.sysconf('SC_CLK_TCK')


class Driver:
    """runtime-driver: one request at a time, events beside."""

    def __init__(self, state):
        self.process = subprocess.Popen([BUILD / 'tests' / 'runtime-driver', INSTANCE], cwd=state, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.replies, self.events = queue.Queue(), queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        self.helper = self.op('helper_pid')['pid']
        self.n = 0

    def read(self):
        for line in self.process.stdout:
            o = json.loads(line)
            (self.events if 'event' in o else self.replies).put(o)

    def op(self, op, **fields):
        self.process.stdin.write(json.dumps({'op': op, **fields}) + '\n')
        self.process.stdin.flush()
        return self.replies.get(timeout=60)

    def start(self):
        self.n += 1
        id = f'b{os.getpid()}-{self.n}'
        reply = self.op('start', id=id, args=['/bin/true'], chains=[CHAIN], id_base=ID_BASE)
        assert reply.get('ok'), reply
        return id, reply['usec'] / 1e6

    def end(self):
        id = self.events.get(timeout=60)['event']['id']
        assert self.op('remove', id=id).get('ok')

    def cpu(self):
        """Of the helper and all that it has waited for: shims, which waited for crun and containers."""
        fields = open(f'/proc/{self.helper}/stat').read().rsplit(')', 1)[1].split()
        return sum(map(int, fields[11:15])) / TICK


def busybox_tree(path):
    (path / 'bin').mkdir(parents=True)
    shutil.copy('/bin/busybox', path / 'bin' / 'busybox')
    (path / 'bin' / 'true').symlink_to('busybox')


def plain_bundle(driver, state, bundle):
    """The config.json of a container of ours, on a plain directory."""
    id = f'b{os.getpid()}-plain'
    reply = driver.op('start', id=id, args=['/bin/busybox', 'sleep', '1000'], chains=[CHAIN], id_base=ID_BASE)
    assert reply.get('ok'), reply
    shim = dict(line.split(' ', 1) for line in (state / 'jobs' / id / 'shim').read_text().splitlines())['pid']
    config = json.loads(pathlib.Path(f'/proc/{shim}/root/run/strata-{INSTANCE}/box/config.json').read_text())
    config['process']['args'] = ['/bin/true']
    driver.op('signal', id=id, signal=9)
    driver.end()
    busybox_tree(bundle / 'rootfs')
    for p in [bundle / 'rootfs', *(bundle / 'rootfs').rglob('*')]:
        os.chown(p, ID_BASE, ID_BASE, follow_symlinks=False)
    (bundle / 'box').mkdir()
    for name in ('hosts', 'hostname'):
        (bundle / 'box' / name).write_text('')
    for m in config['mounts']:
        m['source'] = m['source'].replace(f'/run/strata-{INSTANCE}/box', str(bundle / 'box'))
    config['root']['path'] = str(bundle / 'rootfs')
    config['linux']['cgroupsPath'] = f'/strata-{INSTANCE}/bare'
    (bundle / 'config.json').write_text(json.dumps(config))


def bare(bundle, id='bare'):
    # No descriptor of /dev/null: crun would give the host's node to the container's user.
    p = subprocess.run(['crun', 'run', '--bundle', bundle, id], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    assert p.returncode == 0, p.stderr


def children_cpu():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def measure_bare(bundle, n):
    walls, before = [], children_cpu()
    for _ in range(n):
        begin = time.monotonic()
        bare(bundle)
        walls.append(time.monotonic() - begin)
    return statistics.median(walls), (children_cpu() - before) / n


def measure_ours(driver, n):
    walls, before = [], driver.cpu()
    for _ in range(n):
        walls.append(driver.start()[1])
        driver.end()
    return statistics.median(walls), (driver.cpu() - before) / n


def throughput_ours(driver, n):
    """The driver takes one request at a time, so what overlaps is the running and the ending."""
    begin = time.monotonic()
    for _ in range(n):
        driver.start()
    for _ in range(n):
        driver.end()
    return n / (time.monotonic() - begin)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 40
    scratch = pathlib.Path(tempfile.mkdtemp(prefix='strata-bench-'))
    state = scratch / 'state'
    for sub in ('jobs', 'volumes'):
        (state / sub).mkdir(parents=True)
    busybox_tree(state / 'rootfs' / CHAIN / 'fs')
    (state / 'rootfs' / CHAIN / 'done').touch()
    scratch.chmod(0o755)
    driver = Driver(state)
    try:
        plain_bundle(driver, state, scratch / 'bundle')
        rows = []
        for _ in range(rounds):
            b, o = measure_bare(scratch / 'bundle', n), measure_ours(driver, n)
            rows.append((o[0] / b[0], o[1] / b[1], b[0] * 1e3, o[0] * 1e3, b[1] * 1e3, o[1] * 1e3))
        mid = [statistics.median(column) for column in zip(*rows)]
        print(f'start: {mid[0]:.2f} x crun run  ({mid[3]:.1f} ms against {mid[2]:.1f} ms; target <= 2)')
        print(f'cpu:   {mid[1]:.2f} x crun run  ({mid[5]:.1f} ms against {mid[4]:.1f} ms; target <= 1.8)')
        print(f'one after the other started, ended beside: {throughput_ours(driver, 3 * n):.0f} containers a second')
    finally:
        driver.process.stdin.close()
        driver.process.wait(timeout=20)
        shutil.rmtree(scratch)
        shutil.rmtree(f'/run/strata-{INSTANCE}', ignore_errors=True)
        for p in pathlib.Path('/sys/fs/cgroup').glob(f'*/strata-{INSTANCE}'):
            p.rmdir()


main()
