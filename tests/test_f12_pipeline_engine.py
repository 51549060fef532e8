"""The engine of pipelines: light steps share a container and nobody can tell from what they left; what others read or wait for stays."""
import contextlib
import datetime
import io
import json
import os
import pathlib
import signal
import subprocess
import tarfile

import pytest

from conftest import ROOT, make_busybox_tar, wait_for
from test_c25_registry_fsck import database
from test_f10_pipelines import FINAL, bring, chain, end, get_run, put, put_file, run, start, states, write_kept

P = '/api/v1/projects/studio'


@pytest.fixture(scope='module')
def studio(strata):
    strata.project('studio')
    strata.volume('studio', 'data')
    put_file(strata, 'studio', 'data', 'digits.csv', (ROOT / 'examples/data/digits.csv').read_bytes())
    return strata


def jobs_of(done):
    return {n['job'] for n in done['nodes'].values()}


def log_of(strata, done, node):
    r = strata.api('GET', f'{P}/runs/{done["id"]}/nodes/{node}/log')
    assert r.status_code == 200, r.text
    return r.text


# --- light steps share a container ---

def test_light_steps_share_a_container_and_leave_what_they_leave_alone(studio):
    document = chain(6)
    document['nodes']['n0']['params']['max_rows'] = 1790  # of no other test
    put(studio, 'fused', document)
    fused = run(studio, 'fused')
    assert set(states(fused).values()) == {'succeeded'}, json.dumps(fused['nodes'], indent=1)
    assert len(jobs_of(fused)) == 1
    alone = run(studio, 'fused', cache=False, fuse=False)
    assert set(states(alone).values()) == {'succeeded'} and len(jobs_of(alone)) == 6
    assert {n: v['outputs'] for n, v in alone['nodes'].items()} == {n: v['outputs'] for n, v in fused['nodes'].items()}
    for n in ('n0', 'n3', 'n5'):
        assert log_of(studio, fused, n).count('\n') == log_of(studio, alone, n).count('\n')
        assert '"t":"step"' not in log_of(studio, fused, n)
    assert 'read_csv' in log_of(studio, fused, 'n0') and 'read_csv' not in log_of(studio, fused, 'n3')
    for one in (fused, alone):
        at = f'{P}/runs/{one["id"]}/nodes/n3/outputs/train'
        assert studio.api('GET', f'{at}/preview').json()['rows'] == one['nodes']['n3']['outputs']['train']['rows']
        assert len(studio.api('GET', at).content) == one['nodes']['n3']['outputs']['train']['bytes']
    assert set(states(run(studio, 'fused')).values()) == {'cached'}


def test_what_did_not_change_is_spared_within_a_shared_container_too(studio):
    document = chain(4)
    document['nodes']['n0']['params']['max_rows'] = 100000
    document['nodes']['n1']['params']['seed'] = 77  # of no other test
    put(studio, 'same', document)
    first = run(studio, 'same')
    assert set(states(first).values()) == {'succeeded'}
    document['nodes']['n0']['params']['max_rows'] = 100001  # the same bytes come out
    put(studio, 'same', document)
    again = run(studio, 'same')
    assert states(again) == {'n0': 'succeeded', 'n1': 'cached', 'n2': 'cached', 'n3': 'cached'}
    assert str(first['id']) in again['nodes']['n2']['cache']['why'] and again['nodes']['n2']['job'] is None
    assert studio.api('GET', f'{P}/runs/{again["id"]}/nodes/n3/outputs/train').status_code == 200


def failing():
    document = {'pipeline': 1, 'nodes': {
        'read': {'module': 'read_csv', 'params': {'path': 'data:mixed.csv'}},
        'sort': {'module': 'sort', 'params': {'by': 'a'}, 'inputs': {'table': 'read.table'}},
        'cast': {'module': 'edit_columns', 'params': {'types': 'b:int'}, 'inputs': {'table': 'sort.table'}},
        'after': {'module': 'distinct', 'inputs': {'table': 'cast.table'}},
        'beside': {'module': 'distinct', 'inputs': {'table': 'sort.table'}}}}
    return document


def test_a_step_that_fails_among_others_fails_alone(studio):
    put_file(studio, 'studio', 'data', 'mixed.csv', b'a,b\n2,x\n1,7\n')
    put(studio, 'mixed', failing())
    bad = run(studio, 'mixed')
    assert bad['state'] == 'failed'
    assert states(bad) == {'read': 'succeeded', 'sort': 'succeeded', 'cast': 'failed', 'after': 'skipped', 'beside': 'succeeded'}, bad
    error = bad['nodes']['cast']['error']
    assert error['kind'] == 'data' and 'x' in error['message'] and bad['nodes']['cast']['job'] == bad['nodes']['read']['job']
    assert 'edit_columns' in log_of(studio, bad, 'cast')
    job = bad['nodes']['cast']['job']
    put(studio, 'mixed', failing())
    assert studio.api('POST', f'{P}/runs/{bad["id"]}/retry').status_code == 202
    again = end(studio, bad['id'])
    assert states(again)['cast'] == 'failed' and again['nodes']['cast']['job'] != job
    assert studio.api('GET', f'{P}/jobs/{job}').status_code == 200  # others were made in it
    last = again['nodes']['cast']['job']
    assert studio.api('POST', f'{P}/runs/{bad["id"]}/retry').status_code == 202
    end(studio, bad['id'])
    assert studio.api('GET', f'{P}/jobs/{last}').status_code == 404  # nobody names it any more
    assert [e['name'] for e in studio.api('GET', f'{P}/volumes/studio/tree/.studio/tmp').json()['items']] == []


def test_a_step_that_needs_more_than_the_others_is_tried_by_itself(studio):
    put_file(studio, 'studio', 'data', 'ones.csv', b'k,a\n' + b''.join(b'1,%d\n' % i for i in range(4000)))
    put(studio, 'wide', {'pipeline': 1, 'nodes': {
        'read': {'module': 'read_csv', 'params': {'path': 'data:ones.csv'}},
        'sort': {'module': 'sort', 'params': {'by': 'a'}, 'inputs': {'table': 'read.table'}},
        'join': {'module': 'join', 'params': {'keys': 'k'}, 'inputs': {'left': 'sort.table', 'right': 'read.table'}},
        'after': {'module': 'distinct', 'inputs': {'table': 'join.table'}},
        'beside': {'module': 'distinct', 'inputs': {'table': 'sort.table'}}}})
    done = run(studio, 'wide')
    assert states(done) == {'read': 'succeeded', 'sort': 'succeeded', 'join': 'failed', 'after': 'skipped', 'beside': 'succeeded'}, done
    node = done['nodes']
    assert node['join']['error']['kind'] == 'memory'
    assert node['read']['job'] == node['sort']['job'] and node['join']['job'] not in (node['sort']['job'], node['beside']['job'])


def test_a_server_that_dies_goes_on_with_a_shared_container(own_strata):
    s = own_strata().start()
    s.project('studio')
    s.volume('studio', 'data')
    put_file(s, 'studio', 'data', 'digits.csv', (ROOT / 'examples/data/digits.csv').read_bytes())
    put(s, 'steps', chain(20))
    begun = start(s, 'steps')
    wait_for(lambda: any(n['job'] for n in get_run(s, begun['id'])['nodes'].values()), 60, 'a container is asked for')
    for _ in range(2):
        os.kill(s.pids()['server'], signal.SIGKILL)
        s.wait_ready()
    done = end(s, begun['id'])
    assert done['state'] == 'succeeded' and set(states(done).values()) == {'succeeded'}, states(done)
    jobs = s.api('GET', f'{P}/jobs', params={'limit': 1000}).json()['items']
    assert {j['id'] for j in jobs} == jobs_of(done) and len(jobs) == 2


def cut_off(strata, name=None):
    """The containers and who holds them (or all of that name) end at once, as when the machine goes down: nobody writes how."""
    own = [b'--state', str(strata.state).encode()]
    for proc in pathlib.Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            if (proc / 'cmdline').read_bytes().split(b'\0')[2:4] == own and name in (None, (proc / 'comm').read_bytes()):
                os.kill(int(proc.name), signal.SIGKILL)


class Held:
    """A component whose step lasts until it is told to go on, twice, and fails when a machine that is stopped ends what it waits for."""

    def __init__(self, strata, name):
        self.strata, self.sleeps = strata, [f'{n}.{os.getpid()}' for n in (600, 601)]
        bring(strata, name, f'''outputs: [{{name: out}}]
implementation: {{container: {{image: {strata.busybox}, command: [sh, -c, 'sleep {self.sleeps[0]}; [ $? = 143 ] && exit 143; echo "$1"; sleep {self.sleeps[1]}; echo {name} > "$0"', {{outputPath: out}}, '{{"t":"progress","done":0.5,"text":"half"}}']}}}}
''')
        put(strata, name, {'pipeline': 1, 'nodes': {'n': {'module': name}}})

    def signal(self, number, n_sleeps=2):
        for proc in pathlib.Path('/proc').glob('[0-9]*'):
            with contextlib.suppress(OSError):
                if (proc / 'cmdline').read_bytes() in [f'sleep\0{seconds}\0'.encode() for seconds in self.sleeps[:n_sleeps]]:
                    os.kill(int(proc.name), number)

    def job_of(self, run_id, state, seen=()):
        def job():
            n = get_run(self.strata, run_id)['nodes']['n']
            return n['state'] == state and n['job'] not in seen and n['job']
        return wait_for(job, 60, f'it is {state}')

    def end(self, run_id):
        def over():
            self.signal(signal.SIGINT)
            done = get_run(self.strata, run_id)
            return done['state'] in FINAL and done
        return wait_for(over, 60, 'it ends')


def test_a_step_whose_container_is_lost_is_begun_again_but_not_for_ever(own_strata):
    s = own_strata().start()
    s.project('studio')
    held = Held(s, 'lost')

    def lose(run_id, n):
        seen = set()
        for _ in range(n):
            seen.add(held.job_of(run_id, 'running', seen))
            s.kill()
            cut_off(s)
            s.start()
        return seen
    begun = start(s, 'lost')
    lost = lose(begun['id'], 1)
    lost.add(held.job_of(begun['id'], 'running', lost))
    wait_for(lambda: held.signal(signal.SIGINT, 1) or get_run(s, begun['id'])['nodes']['n']['text'] == 'half', 60, 'it is halfway')
    cut_off(s, b'strata-shim\n')
    held.job_of(begun['id'], 'running', lost)
    assert [get_run(s, begun['id'])['nodes']['n'][k] for k in ('done', 'text')] == [0, '']
    done = held.end(begun['id'])
    assert done['state'] == 'succeeded' and not jobs_of(done) & lost, done
    assert {j['id'] for j in s.api('GET', f'{P}/jobs').json()['items']} == jobs_of(done)
    begun = start(s, 'lost', cache=False)
    lost = lose(begun['id'], 4)
    done = end(s, begun['id'])
    assert done['state'] == 'failed' and 'machine restarted' in done['nodes']['n']['error']['message'] and jobs_of(done) <= lost, done
    assert s.api('POST', f'{P}/runs/{begun["id"]}/retry').status_code == 202
    assert held.end(begun['id'])['state'] == 'succeeded'


def test_a_machine_that_is_stopped_in_good_order_fails_no_step_and_what_waited_is_done_once(own_strata):
    s = own_strata(args=('--set', 'jobs.cpu=1')).start()
    s.project('studio')
    held = [Held(s, name) for name in ('a', 'b')]
    runs = [start(s, 'a')['id']]
    was = [held[0].job_of(runs[0], 'running')]
    runs.append(start(s, 'b')['id'])
    was.append(held[1].job_of(runs[1], 'queued'))
    s.kill()
    wait_for(lambda: held[0].signal(signal.SIGTERM) or (s.state / 'jobs' / f'{was[0]}-1' / 'exit').exists(), 60, 'its container has ended')
    database(s, "UPDATE pipeline_nodes SET boot = 'another' WHERE boot IS NOT NULL")
    s.start()
    done = [h.end(run_id) for h, run_id in zip(held, runs, strict=True)]
    assert [d['state'] for d in done] == ['succeeded'] * 2, json.dumps(done, indent=1)
    assert jobs_of(done[0]) != {was[0]} and jobs_of(done[1]) == {was[1]}


def test_a_module_of_ours_that_a_stopping_machine_kills_is_begun_again(own_strata):
    s = own_strata().start()
    s.project('studio')
    s.volume('studio', 'data')
    put_file(s, 'studio', 'data', 'digits.csv', (ROOT / 'examples/data/digits.csv').read_bytes())
    put(s, 'long', {'pipeline': 1, 'nodes': {
        'read': {'module': 'read_csv', 'params': {'path': 'data:digits.csv'}},
        'learn': {'module': 'mlp', 'params': {'label_col': 'digit', 'epochs': 200}, 'inputs': {'train': 'read.table'}}}})
    begun = start(s, 'long')['id']

    def learns():
        n = get_run(s, begun)['nodes']['learn']
        assert n['state'] != 'succeeded', 'it was quicker than this test'
        return n['state'] == 'running' and n['job']
    job = wait_for(learns, 60, 'it learns')
    s.kill()
    for proc in pathlib.Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            if job in (proc / 'cgroup').read_text() and (proc / 'comm').read_text() == 'strata-ml\n':
                os.kill(int(proc.name), signal.SIGKILL)
    wait_for(lambda: (s.state / 'jobs' / f'{job}-1' / 'exit').exists(), 60, 'its container has ended')
    database(s, "UPDATE pipeline_nodes SET boot = 'another' WHERE boot IS NOT NULL")
    s.start()
    done = end(s, begun)
    assert done['state'] == 'succeeded' and done['nodes']['learn']['job'] != job, json.dumps(done, indent=1)


# --- what others read stays ---

def test_outputs_made_again_leave_those_before_to_who_reads_them(studio):
    bring(studio, 'dice', f"""
outputs: [{{name: out}}]
implementation: {{container: {{image: {studio.busybox}, command: [sh, -c, 'cat /proc/sys/kernel/random/uuid > "$0"', {{outputPath: out}}]}}}}
""")
    put(studio, 'dice', {'pipeline': 1, 'volume': 'dice', 'nodes': {'a': {'module': 'dice'}}})

    def thrown(done):
        r = studio.api('GET', f'{P}/runs/{done["id"]}/nodes/a/outputs/out')
        assert r.status_code == 200, r.text
        return r.text
    first = run(studio, 'dice')
    was = thrown(first)
    second = run(studio, 'dice', cache=False)
    assert thrown(second) != was and thrown(first) == was
    third = run(studio, 'dice')
    assert states(third) == {'a': 'cached'} and thrown(third) == thrown(second)

    def kept():
        return {e['name'] for e in studio.api('GET', f'{P}/volumes/dice/tree/.studio').json()['items']} - {'tmp'}
    assert len(kept()) == 2
    assert studio.api('DELETE', f'{P}/runs/{first["id"]}').status_code == 204
    wait_for(lambda: len(kept()) == 1, 60, 'what nobody refers to goes')
    assert thrown(third) == thrown(second)
    assert studio.api('DELETE', f'{P}/modules/dice').status_code == 204


# --- large files ---

def test_a_file_without_end_keeps_nobody_else_waiting(studio):
    made = studio.run_job('studio', ['sh', '-c', 'truncate -s 1T /data/hole || dd if=/dev/zero of=/data/hole bs=1 count=1 seek=1099511627775;'
                                     ' yes 1000000,2000000 | head -c 20000000 > /data/some.csv'],
                          volumes=[{'name': 'data', 'path': '/data', 'mode': 'rw'}])
    assert made['state'] == 'succeeded', made
    for name, path in (('endless', 'hole'), ('large', 'some.csv')):
        put(studio, name, {'pipeline': 1, 'nodes': {'a': {'module': 'read_csv', 'params': {'path': f'data:{path}', 'header': 'no'}}}})
    endless = start(studio, 'endless')
    wait_for(lambda: get_run(studio, endless['id'])['state'] == 'running', 60, 'it is read')
    done = run(studio, 'large')
    assert done['state'] == 'succeeded' and done['nodes']['a']['outputs']['table']['rows'] == 1250000, done['nodes']['a']
    assert states(get_run(studio, endless['id'])) == {'a': 'waiting'}
    assert states(run(studio, 'large')) == {'a': 'cached'}
    assert studio.api('POST', f'{P}/runs/{endless["id"]}/cancel').status_code == 202
    assert end(studio, endless['id'])['state'] == 'cancelled'
    for name in ('hole', 'some.csv'):
        assert studio.api('DELETE', f'{P}/volumes/data/files/{name}').status_code in (200, 204)


# --- what waits for an image ---

def test_a_node_that_waits_gets_its_image_though_it_was_deleted(own_strata, tmp_path):
    s = own_strata(args=['--set', 'registry.trash_days=0']).start()
    s.project('studio')
    gate = "{image: %s, command: [sh, -c, 'until [ -e /out/go ]; do sleep 0.1; done; echo x > \"$0\"', {outputPath: out}]}" % s.busybox
    late = "{image: demo/late:1, command: [sh, -c, 'cat /only-here \"$0\" > \"$1\"', {inputPath: before}, {outputPath: out}]}"
    bring(s, 'gate', 'outputs: [{name: out}]\nimplementation: {container: %s}\n' % gate)
    bring(s, 'late', 'inputs: [{name: before}]\noutputs: [{name: out}]\nimplementation: {container: %s}\n' % late)
    make_busybox_tar(tmp_path / 'late.tar')
    with tarfile.open(tmp_path / 'late.tar', 'a') as tar:
        info = tarfile.TarInfo('only-here')
        info.size, info.mode = 5, 0o644
        tar.addfile(info, io.BytesIO(b'here\n'))
    s.cli('image', 'push', 'demo/late:1', '--tar', tmp_path / 'late.tar', '--cmd', '/bin/sh', check=True)
    put(s, 'waits', {'pipeline': 1, 'nodes': {'gate': {'module': 'gate'}, 'late': {'module': 'late', 'inputs': {'before': 'gate.out'}}}})
    begun = start(s, 'waits')
    wait_for(lambda: get_run(s, begun['id'])['nodes']['gate']['state'] == 'running', 60, 'the first step runs')
    assert s.api('DELETE', '/api/v1/projects/demo/repositories/late').status_code == 204
    s.stop()
    database(s, 'UPDATE repository_blobs SET touched_ms = 1')
    s.start()
    for _ in range(3):
        assert s.api('POST', '/api/v1/registry/collect').status_code == 200
    node = get_run(s, begun['id'])['nodes']
    assert node['late']['state'] == 'waiting'
    write_kept(s, 'studio', 'studio', f".studio/tmp/{node['gate']['job']}/go", b'')
    done = end(s, begun['id'])
    assert done['state'] == 'succeeded', done
    assert s.api('GET', f'{P}/runs/{begun["id"]}/nodes/late/outputs/out').text == 'here\nx\n'


def test_who_may_not_run_changes_no_module_that_runs_by_the_clock(studio):
    text = f'outputs: [{{name: out}}]\nimplementation: {{container: {{image: {studio.busybox}, command: [sh, -c, \'echo %s > "$0"\', {{outputPath: out}}]}}}}\n'
    bring(studio, 'clocked', text % 'one')
    put(studio, 'clocked', {'pipeline': 1, 'nodes': {'a': {'module': 'clocked'}}})
    token = studio.api('POST', '/api/v1/tokens', json={'name': 'modules', 'scopes': ['pipeline:read', 'pipeline:write']}).json()
    at = f'{P}/modules/clocked'

    def change(word, **by):
        return studio.api('PUT', at, data=(text % word).encode(), headers={'Content-Type': 'application/yaml'}, **by).status_code
    assert change('two', token=token['token']) == 200
    assert studio.api('PUT', f'{P}/pipelines/clocked/schedule', json={'cron': '0 3 1 1 *'}).status_code == 200
    assert change('three', token=token['token']) == 403
    refused = studio.api('DELETE', at, token=token['token'])
    assert refused.status_code == 403 and 'pipeline clocked' in refused.json()['error']['message']
    assert studio.api('GET', at).text == text % 'two' and change('four') == 200
    assert studio.api('DELETE', f'{P}/pipelines/clocked/schedule').status_code == 204
    assert change('five', token=token['token']) == 200
    assert studio.api('DELETE', f'/api/v1/tokens/{token["id"]}').status_code == 204


# --- by the clock ---

def test_a_schedule_ends_with_the_right_of_who_set_it(studio):
    studio.user('walker', 'studio', 'maintainer')
    put(studio, 'walks', chain(1))
    at = f'{P}/pipelines/walks'
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    assert studio.api('PUT', f'{at}/schedule', user='walker', json={'cron': f'{soon.second} {soon.minute} {soon.hour} * * *'}).status_code == 200
    assert studio.api('DELETE', f'{P}/members/walker').status_code == 204
    paused = wait_for(lambda: studio.api('GET', at).json()['schedule'].get('paused'), 60, 'it is paused')
    assert 'walker' in paused and 'set the schedule again' in paused
    assert studio.api('GET', at).json()['schedule']['enabled'] is False
    assert studio.api('GET', f'{P}/runs', params={'pipeline': 'walks'}).json()['items'] == []
    told = studio.api('GET', '/api/v1/audit', params={'user': 'walker', 'limit': 20}).json()['items']
    assert any('schedule of pipeline walks paused' in e['path'] and e['project'] == 'studio' for e in told), told
    assert studio.api('PUT', f'{at}/schedule', json={'cron': '0 3 1 1 *'}).json()['schedule'].get('paused') is None
    assert studio.api('DELETE', f'{at}/schedule').status_code == 204


def test_a_step_that_waits_for_room_says_so_and_goes_on(own_strata):
    s = own_strata().start()
    s.stop()
    root = pathlib.Path(s.state) / 'volumes'
    owner = root.stat()

    def inodes(n):
        subprocess.run(['mount', '-o', f'remount,nr_inodes={n}', root], check=True)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'mode=750,uid={owner.st_uid},gid={owner.st_gid}', 'tmpfs', root], check=True)
    try:
        s.start()
        s.project('studio')
        s.volume('studio', 'data')
        put_file(s, 'studio', 'data', 'a.csv', b'a\n1\n')
        used = os.statvfs(root)
        inodes(used.f_files - used.f_ffree)
        put(s, 'tight', {'pipeline': 1, 'volume': 'data', 'nodes': {'a': {'module': 'read_csv', 'params': {'path': 'data:a.csv'}}}})
        begun = start(s, 'tight')
        wait_for(lambda: 'the disk is full' in get_run(s, begun['id'])['nodes']['a']['text'], 30, 'it says what it waits for')
        inodes(1000)
        done = end(s, begun['id'])
        assert done['state'] == 'succeeded' and done['nodes']['a']['text'] == '', done
        assert s.stop() == 0
    finally:
        subprocess.run(['umount', '-l', root], check=True)
