#!/usr/bin/python3
"""CPU and memory of `strata exporter` beside Debian's prometheus-node-exporter, in one run, scraped in turn as Prometheus does it:
one connection, gzip. Then with 50 containers of ours, each a process in a cgroup of its own (node_exporter does not show them).

    sudo bench/exporter.py [--build build] [--rounds 9] [--pages 50]

The cgroups stand in a tree of this run, so that containers of others do not count."""
import argparse
import contextlib
import os
import pathlib
import re
import socket
import statistics
import subprocess
import tempfile
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONTAINERS = 50
CGROUPS = pathlib.Path('/sys/fs/cgroup')


def cpu_ms(pid):
    """Of all its threads, to the nanosecond: /proc/PID/stat counts in steps of 10 ms."""
    return sum(int((task / 'schedstat').read_text().split()[0]) for task in pathlib.Path(f'/proc/{pid}/task').iterdir()) / 1e6


def pss_mb(pid):
    """Where no other process has its libraries: only what every process maps (glibc) is shared, the rest counts whole."""
    total, kept = 0, ''
    for line in open(f'/proc/{pid}/smaps'):
        words = line.split()
        if not words[0].endswith(':'):
            kept = 'Pss:' if re.search(r'/(libc|libm|ld-linux[^/]*)\.so|\[v', line) else 'Rss:'
        elif words[0] == kept:
            total += int(words[1])
    return total / 1024


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Exporter:
    def __init__(self, *args):
        port = free_port()
        self.process = subprocess.Popen([*map(str, args), f'--web.listen-address=127.0.0.1:{port}'], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.url = f'http://127.0.0.1:{port}/metrics'
        self.session = requests.Session()
        self.figures = []
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(requests.RequestException):
                self.text = self.session.get(self.url, timeout=10).text
                return
            assert time.monotonic() < deadline and self.process.poll() is None, f'{args[0]} does not answer'

    def scrape(self, pages):
        before = cpu_ms(self.process.pid)
        for _ in range(pages):
            self.text = self.session.get(self.url, timeout=10).text
        self.figures.append((cpu_ms(self.process.pid) - before) / pages)

    def stop(self):
        pss = pss_mb(self.process.pid)
        self.process.terminate()
        self.process.wait(20)
        return statistics.median(self.figures[1:]), pss


@contextlib.contextmanager
def containers(tree):
    """--path.sysfs with CONTAINERS of them."""
    v2 = (CGROUPS / 'cgroup.controllers').exists()
    tops = [CGROUPS] if v2 else [CGROUPS / name for name in ('cpu', 'cpuacct', 'memory', 'pids', 'blkio')]
    name = f'bench-{os.getpid()}'
    made, sleepers = [], []
    for entry in pathlib.Path('/sys').iterdir():
        if entry.name != 'fs':
            (tree / entry.name).symlink_to(entry)
    (tree / 'fs').mkdir()
    if not v2:
        (tree / 'fs/cgroup').mkdir()
    try:
        for top in tops:
            for path in (top / name, top / name / 'strata-bench', *(top / name / 'strata-bench' / f'j-{i}-1' for i in range(CONTAINERS))):
                path.mkdir()
                made.append(path)
                if v2 and path.name in (name, 'strata-bench'):
                    (path / 'cgroup.subtree_control').write_text('+cpu +memory +pids +io')
            (tree / 'fs/cgroup' / ('' if v2 else top.name)).symlink_to(top / name)
        for i in range(CONTAINERS):
            sleepers.append(subprocess.Popen(['sleep', '3600']))
            for top in tops:
                (top / name / 'strata-bench' / f'j-{i}-1' / 'cgroup.procs').write_text(str(sleepers[-1].pid))
        yield tree
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()
        for path in reversed(made):
            for _ in range(100):
                with contextlib.suppress(OSError):
                    path.rmdir()
                    break
                time.sleep(0.05)


def main():
    options = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    options.add_argument('--build', default='build')
    options.add_argument('--rounds', type=int, default=9)
    options.add_argument('--pages', type=int, default=50)
    args = options.parse_args()
    strata = [ROOT / args.build / 'strata', 'exporter']
    with tempfile.TemporaryDirectory() as folder, containers(pathlib.Path(folder)) as tree:
        theirs = Exporter('prometheus-node-exporter')
        ours = Exporter(*strata, '--no-collector=containers')
        many = Exporter(*strata, f'--path.sysfs={tree}')
        shown = many.text.count('container_last_seen{') - 1
        assert shown == CONTAINERS, f'{shown} containers are shown'
        for _ in range(args.rounds):
            for one in (theirs, ours, many):
                one.scrape(args.pages)
        (a, a_pss), (b, b_pss), (c, c_pss) = theirs.stop(), ours.stop(), many.stop()
    print(f'exporter, CPU a page: {b:.2f} ms, node_exporter {a:.2f} ms, ratio {b / a:.2f} (<= 2 ms)')
    print(f'exporter, CPU a page with {CONTAINERS} containers: {c:.2f} ms, node_exporter without them {a:.2f} ms, ratio {c / a:.2f} (<= 4 ms)')
    print(f'exporter, PSS alone on a machine: {b_pss:.1f} MB, node_exporter {a_pss:.1f} MB, ratio {b_pss / a_pss:.2f} (<= 5 MB)')
    print(f'exporter, PSS alone with {CONTAINERS} containers: {c_pss:.1f} MB, ratio {c_pss / a_pss:.2f} (<= 5 MB)')


if __name__ == '__main__':
    main()
