#!/usr/bin/python3
"""CPU of pages and filters of lists with 100,000 rows, against the same request at a list with 100.

A page must cost a page (goal: ratio <= 1.5 where an index has its order); a filter whose word hardly
occurs looks at every row, and what that costs is printed in milliseconds. Then a folder as tar: CPU of the server and
its files agent for 10,000 files of 4 KiB and for one of 1 GiB, against GNU tar. Root, a built tree: bench/lists.py"""
import argparse
import os
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT / 'tests')  # and not bench/, whose http.py is not Python's
from conftest import Strata  # noqa: E402

TICK = os.sysconf('SC_CLK_TCK')
ROWS = {'long': 100_000, 'short': 100}


def cpu_of_pid(pid):
    """0 for one that has ended."""
    try:
        fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / TICK


def agents(where):
    """Files agents whose root is that volume."""
    found = []
    for comm in pathlib.Path('/proc').glob('[0-9]*/comm'):
        try:
            if comm.read_text().strip() == 'strata-files' and os.path.samefile(comm.parent / 'root', where):
                found.append(comm.parent.name)
        except OSError:
            continue
    return found


def server_cpu(s, where=None):
    return sum(cpu_of_pid(p) for p in [s.pids()['server'], *(agents(where) if where else [])])


def fill(s):
    for name in ROWS:
        s.project(name)
    s.stop()
    with sqlite3.connect(s.state / 'state.db') as db:
        for name, rows in ROWS.items():
            pid = db.execute('SELECT id FROM projects WHERE name = ?', (name,)).fetchone()[0]
            db.executemany("INSERT INTO jobs(id, project_id, project, name, user, image, digest, state, reason, attempt, retries, cpu_milli,"
                           " memory_bytes, gpus, timeout_ms, grace_ms, volume_ids, created_ms, finished_ms, spec, pin)"
                           " VALUES(?, ?, ?, ?, 'admin', 'x/x:1', 'sha256:0', 'succeeded', '', 1, 0, 1, 1, 0, 0, 0, '', 1, 2, ?, '{}')",
                           ((f'j-{name}{n}', pid, name, f'job-{n}', '{"x":"' + 'y' * 1500 + '"}') for n in range(rows)))
            repo = db.execute('INSERT INTO repositories(project_id, name, created_ms, updated_ms) VALUES(?, ?, 1, 1)', (pid, f'{name}/box')).lastrowid
            manifest = db.execute("INSERT INTO manifests(repository_id, digest, media_type, artifact_type, platform, total_bytes, pushed_ms, body)"
                                  " VALUES(?, ?, 'm', '', '', 1, 1, ?)", (repo, 'sha256:' + '0' * 64, b'{}')).lastrowid
            db.executemany('INSERT INTO tags VALUES(?, ?, ?, 1)', ((repo, f'tag-{n:06}', manifest) for n in range(rows)))
            for n in range(rows):
                r = db.execute('INSERT INTO repositories(project_id, name, created_ms, updated_ms) VALUES(?, ?, 1, 1)', (pid, f'{name}/repo-{n:06}'))
                db.execute("INSERT INTO manifests(repository_id, digest, media_type, artifact_type, platform, total_bytes, pushed_ms, body)"
                           " VALUES(?, ?, 'm', '', '', 1, 1, ?)", (r.lastrowid, 'sha256:' + '0' * 64, b'{}'))
        db.executemany('INSERT INTO users(name, created_ms) VALUES(?, 1)', ((f'user-{n:06}',) for n in range(ROWS['long'])))
        db.executemany("INSERT INTO audit(at_ms, user, method, path, project, status, peer, request_id) VALUES(1, ?, 'PUT', ?, ?, 200, '127.0.0.1', ?)",
                       (('x', f'/api/v1/projects/a/volumes/b/files/{n}', 'long', f'{n:016x}') for n in range(ROWS['long'])))
    db.close()
    s.start()


def per_request(s, path, times, where=None):
    """Milliseconds of CPU, the server's."""
    s.api('GET', path)
    before = server_cpu(s, where)
    for _ in range(times):
        r = s.api('GET', path)
        assert r.status_code == 200, r.text
    return (server_cpu(s, where) - before) * 1000 / times


def pages(s, rounds):
    for name, path in (('jobs', '/projects/{}/jobs?limit=100'), ('jobs of a state', '/projects/{}/jobs?limit=100&state=failed,succeeded'),
                       ('repositories', '/projects/{}/repositories?limit=100&after=box'), ('tags', '/projects/{}/repositories/box/tags?limit=100')):
        of = {n: [] for n in ROWS}
        for _ in range(rounds):
            for n in ROWS:
                of[n].append(per_request(s, '/api/v1' + path.format(n), 100))
        long, short = (statistics.median(of[n]) for n in ('long', 'short'))
        print(f'page of {name}, of 100,000 rows: ratio {long / short:.2f} of 100 rows ({long:.2f} ms : {short:.2f} ms) <= 1.5')
    for name, path in (('jobs', '/projects/long/jobs?q=nothing-is-so'), ('jobs, a page that is found', '/projects/long/jobs?q=job-99'),
                       ('repositories', '/projects/long/repositories?q=nothing-is-so'), ('tags', '/projects/long/repositories/box/tags?q=nothing-is-so'),
                       ('users', '/users?q=nothing-is-so'), ('audit', '/audit?q=nothing-is-so'), ('search over everything', '/search?q=nothing-is-so')):
        print(f'filter of {name}, looks at 100,000 rows: {statistics.median(per_request(s, "/api/v1" + path, 10) for _ in range(rounds)):.1f} ms')


def folder(s, rounds):
    s.volume('short', 'data')
    where = s.state / 'volumes' / s.api('GET', '/api/v1/projects/short/volumes/data').json()['id']
    (where / 'small').mkdir()
    (where / 'big').mkdir()
    (where / 'flat').mkdir()
    for n in range(10_000):
        (where / 'small' / f'{n:05}').write_bytes(os.urandom(4096))
    for n in range(100_000):
        os.close(os.open(where / 'flat' / f'{n:06}', os.O_CREAT | os.O_WRONLY))
    with open(where / 'big/file', 'wb') as f:
        for _ in range(1024):
            f.write(os.urandom(1 << 20))
    tree = '/api/v1/projects/short/volumes/data/tree/flat?limit=100'
    for name, query in (('by name', ''), ('by size', '&sort=size'), ('by time, newest first', '&sort=time&desc=1'), ('filtered', '&q=nothing-is-so')):
        print(f'page of a folder of 100,000 entries, {name}: {statistics.median(per_request(s, tree + query, 5, where) for _ in range(rounds)):.1f} ms')
    for name, path in (('10,000 files of 4 KiB', 'small'), ('one file of 1 GiB', 'big')):
        ours, theirs = [], []
        for _ in range(rounds):
            before = server_cpu(s, where)
            subprocess.run(['curl', '-sSf', '-o', '/dev/null', '-H', f'Authorization: Bearer {s.token()}', f'{s.url}/api/v1/projects/short/volumes/data/archive/{path}'], check=True)
            ours.append(server_cpu(s, where) - before)
            before = os.times()
            subprocess.run(f'tar --format=pax -cf - -C {where / path} . | cat > /dev/null', shell=True, check=True)
            after = os.times()
            theirs.append(after.children_user + after.children_system - before.children_user - before.children_system)
        a, b = statistics.median(ours), statistics.median(theirs)
        print(f'folder as tar, {name}: CPU ratio {a / b:.2f} of tar | cat ({a * 1000:.0f} ms : {b * 1000:.0f} ms)')


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--rounds', type=int, default=5)
    rounds = p.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix='strata-bench-') as top:
        os.chmod(top, 0o755)
        s = Strata(pathlib.Path(top) / 'state').start()
        try:
            fill(s)
            pages(s, rounds)
            folder(s, rounds)
        finally:
            s.stop()


if __name__ == '__main__':
    main()
