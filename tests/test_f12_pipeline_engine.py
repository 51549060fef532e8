"""The engine of pipelines: light steps share a container and nobody can tell from what they left; what others read or wait for stays."""
import datetime
import json
import os
import signal

import pytest

from conftest import ROOT, wait_for
from test_f10_pipelines import bring, chain, end, get_run, put, put_file, run, start, states

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
    put(studio, 'fused', chain(6))
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
    document['nodes']['n1']['params']['seed'] = 77
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
