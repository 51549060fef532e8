"""What a run was told to have made survives a power loss: the system calls of a real server, its agents and its containers are written down while
a pipeline runs; then, for the moments at which a client was told of a step's end, the state directory is made again from what had been synced."""
import hashlib
import json
import pathlib
import re
import shutil
import tempfile

import pytest

from power_loss import LEAST, MIXED, NAMES, TEXT, Disk, compare, text
from test_c25_registry_fsck import database, owner
from test_c26_power_loss import place, traced, untraced  # noqa: F401
from test_f10_pipelines import bring, end, get_run, put, put_file, run, start

P = '/api/v1/projects/studio'
OTHERS = ('state/rootfs',)  # layers: unpacked before the trace begins
ROWS = b'x,y\n' + b''.join(b'%d,%d\n' % (i, i % 7) for i in range(500))

pytestmark = pytest.mark.skipif(not shutil.which('strace'), reason='strace is not installed')


class StudioDisk(Disk):
    """With one volume, as its files agent sees it, and the containers that have it or a directory of it."""

    def __init__(self, root, others, volume):
        super().__init__(root, others)
        self.volume, self.jobs = f'{root}/state/volumes/{volume}', {}

    def opened(self, pid, args, result):
        super().opened(pid, args, result)
        words = re.findall(TEXT, args)
        name = text(words[-1]).decode('latin1') if words else ''
        if 'O_PATH' in args and re.fullmatch(r'\.studio/tmp/[-a-z0-9]+', name):
            self.jobs[pid] = name  # its shim mounts it

    def inside(self, pid, path):
        for seen, lies in (('/out', self.of_process(pid, self.jobs, None)), ('/volumes/data', '.'), ('/.studio', '.studio')):
            if lies and (path == seen or path.startswith(seen + '/')):
                return f'{self.volume}/{lies}{path[len(seen):]}'
        return super().inside(pid, path)


def document(strata, seed):
    return {'pipeline': 1, 'volume': 'data', 'nodes': {
        'read': {'module': 'read_csv', 'params': {'path': 'data:a.csv'}},
        'part': {'module': 'split', 'params': {'fraction': 0.5, 'seed': seed}, 'inputs': {'table': 'read.table'}},
        'own': {'module': 'own', 'inputs': {'table': 'part.train'}},
        'then': {'module': 'own', 'inputs': {'table': 'own.out'}},
        'write': {'module': 'write_csv', 'params': {'path': f'data:new{seed}/deep/out.csv'}, 'inputs': {'table': 'part.test'}}}}


def contents(strata, done):
    """What the client can read of what it was told."""
    out = {}
    for name, node in done['nodes'].items():
        if node['state'] not in ('succeeded', 'cached'):
            continue
        for port, told in node['outputs'].items():
            r = strata.api('GET', f'{P}/runs/{done["id"]}/nodes/{name}/outputs/{port}')
            assert r.status_code == 200, f'{name}.{port}: {r.text}'
            assert hashlib.sha256(r.content).hexdigest() == told['sha256'], f'{name}.{port} is torn'
            out[name, port] = told['sha256']
        if node['module'] == 'write_csv':
            r = strata.api('GET', f'{P}/volumes/data/files/new2/deep/out.csv')
            assert r.status_code == 200, r.text
            out[name, 'file'] = hashlib.sha256(r.content).hexdigest()
    return out


def told(sent):
    """{step: when it ended} of an answer that shows the run, for steps that ended well."""
    try:
        nodes = json.loads(sent.partition(b'\r\n\r\n')[2])['nodes']
        return {name: node['finished_at'] for name, node in nodes.items() if node['state'] == 'succeeded'}
    except (ValueError, KeyError, TypeError):
        return {}


def rebooted(strata):
    """What is written down of this boot of the machine is of another one."""
    database(strata, "UPDATE pipeline_nodes SET boot = 'another' WHERE boot IS NOT NULL")


def lose_power(own_strata, real, folder, ended, wanted):
    strata = own_strata(state=folder / 'root' / 'state')
    rebooted(strata)
    strata.start()
    there = get_run(strata, 2)
    assert {name: there['nodes'][name]['finished_at'] for name in ended} == ended
    if 'part' in ended:
        r = strata.api('GET', f'{P}/runs/2/nodes/part/log')
        assert r.status_code == 200 and 'split: 250 rows to train' in r.text, r.text
    if there['state'] == 'succeeded':
        assert contents(strata, there) == wanted
    done = end(strata, 2)
    assert done['state'] == 'succeeded', json.dumps(done, indent=1)
    assert contents(strata, done) == wanted
    again = run(strata, 'p')
    assert contents(strata, again) == wanted and {n['state'] for name, n in again['nodes'].items() if name != 'write'} == {'cached'}, again
    assert strata.stop() == 0
    strata.end_containers()


def test_what_a_run_was_told_to_have_made_is_there(own_strata, place):  # noqa: F811
    log, strata = place / 'calls', own_strata(state=place / 'root' / 'state')
    strata.log_path = place / 'messages'
    strata.start()
    strata.project('studio')
    strata.volume('studio', 'data')
    put_file(strata, 'studio', 'data', 'a.csv', ROWS)
    bring(strata, 'own', f"""
inputs: [{{name: table}}]
outputs: [{{name: out}}]
implementation: {{container: {{image: {strata.busybox}, command: [sh, -c, 'md5sum < "$0" > "$1"', {{inputPath: table}}, {{outputPath: out}}]}}}}
""")
    put(strata, 'p', document(strata, 1))
    assert run(strata, 'p')['state'] == 'succeeded'  # the layers of the images are unpacked
    volume = strata.api('GET', f'{P}/volumes/data').json()['id']
    strata.stop()
    disk = StudioDisk(place / 'root', OTHERS, volume)
    traced(strata, log)
    put(strata, 'p', document(strata, 2))
    done = end(strata, start(strata, 'p')['id'])
    assert done['state'] == 'succeeded' and done['id'] == 2, json.dumps(done, indent=1)
    wanted = contents(strata, done)
    untraced(strata, log)
    known, moments = {}, 0
    for sent in disk.replay(log):
        ended = told(sent)
        if len(ended) <= len(known):
            continue
        known = ended
        for loss in (LEAST, NAMES, MIXED) if len(ended) == 4 else (LEAST,):
            folder = pathlib.Path(tempfile.mkdtemp(prefix='lost-', dir=place))
            folder.chmod(0o755)
            disk.rebuild(folder / 'root', loss, owner(strata), seed=moments)
            try:
                lose_power(own_strata, strata, folder, ended, wanted)
            except BaseException as e:
                raise AssertionError(f'{loss} of what was synced before the client heard of {sorted(ended)}') from e
            shutil.rmtree(folder)
            moments += 1
    assert len(known) == 4 and moments >= 3
    disk.others += ('state/jobs',)  # where overlayfs makes names that nobody asked it for
    assert compare(disk, place / 'root') == []
