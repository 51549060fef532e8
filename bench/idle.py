#!/usr/bin/env python3
"""What an idle Strata costs: memory of server and helper together, CPU over 20 seconds, size of the program.

    sudo bench/idle.py [--build build] [--seconds 20]

The server has run a job and served requests before, so its caches are what they are in use; then nobody asks
anything. RSS counts shared pages in each process, PSS counts each once; the supervisor (`up`) is told apart. The peer
is an idle nginx with two workers, in the same run."""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'tests'))
from conftest import Strata, wait_for  # noqa: E402
from http_engine import Nginx  # noqa: E402

RSS_TARGET, CPU_TARGET_MS, SIZE_TARGET = 30e6, 10, 4 << 20


def memory(pids, field):
    """Bytes of all of them; `field` of smaps_rollup."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
            if line.startswith(field + ':'):
                total += int(line.split()[1]) * 1024
    return total


def cpu_ms(pids):
    """To the nanosecond, over all threads (schedstat): ticks of 10 ms would hide what is looked for."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
            total += int((task / 'schedstat').read_text().split()[0])
    return total / 1e6


def wakeups(pids):
    """Voluntary context switches of all threads."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
            for line in (task / 'status').read_text().splitlines():
                if line.startswith('voluntary_ctxt_switches:'):
                    total += int(line.split()[1])
    return total


def children(pid):
    return [int(p) for p in pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


def stripped_bytes(binary, scratch):
    out = scratch / 'stripped'
    subprocess.run(['strip', '-o', out, binary], check=True)
    return out.stat().st_size


def verdict(value, target):
    return 'ok' if value <= target else 'MISSED'


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--build', default=str(ROOT / 'build'))
    p.add_argument('--seconds', type=float, default=20)
    o = p.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix='strata-bench-idle-'))
    os.chmod(scratch, 0o755)
    s = Strata(scratch / 'state', build=pathlib.Path(o.build).resolve())
    try:
        s.start()
        assert s.run_job('demo', ['true'])['state'] == 'succeeded'
        for _ in range(200):
            s.api('GET', '/api/v1/projects')
        pids = s.pids()
        both = [pids['server'], pids['helper']]
        threading.Event().wait(12)  # workers, agents and the forked of the job go first: idle is what comes then
        before, woken = cpu_ms([*both, pids['up']]), wakeups([*both, pids['up']])
        threading.Event().wait(o.seconds)
        cpu, woken = cpu_ms([*both, pids['up']]) - before, wakeups([*both, pids['up']]) - woken
        rss, pss = memory(both, 'Rss'), memory(both, 'Pss')
        up_rss, up_pss = memory([pids['up']], 'Rss'), memory([pids['up']], 'Pss')
        with Nginx(scratch / 'nginx', workers=2) as nginx:
            wait_for(lambda: len(children(nginx.process.pid)) == 2, 10, 'both workers run')
            peers = [nginx.process.pid, *children(nginx.process.pid)]
            peer_rss, peer_pss = memory(peers, 'Rss'), memory(peers, 'Pss')
        size = stripped_bytes(s.binary, scratch)
    finally:
        s.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    print(f'idle memory: server + helper {rss / 1e6:.1f} MB RSS, {pss / 1e6:.1f} MB PSS; target <= 30 MB: '
          f'{verdict(rss, RSS_TARGET)}; supervisor {up_rss / 1e6:.1f} MB RSS, {up_pss / 1e6:.1f} MB PSS more; idle nginx '
          f'{peer_rss / 1e6:.1f} MB RSS, {peer_pss / 1e6:.1f} MB PSS, ratio {rss / peer_rss:.2f} (RSS)')
    print(f'idle CPU: {cpu:.2f} ms in {o.seconds:.0f} s, {woken} wakeups, ratio {cpu / o.seconds / 1000:.6f} of a core; target < '
          f'{CPU_TARGET_MS} ms: {verdict(cpu, CPU_TARGET_MS)}')
    print(f'program size: {size / (1 << 20):.2f} MiB stripped, ratio {size / SIZE_TARGET:.2f} of the target of 4 MiB: '
          f'{verdict(size, SIZE_TARGET)}')
    return 0 if rss <= RSS_TARGET and cpu <= CPU_TARGET_MS and size <= SIZE_TARGET else 1


if __name__ == '__main__':
    sys.exit(main())
