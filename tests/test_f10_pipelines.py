"""Pipelines: a document is checked as a whole, kept in versions, and run step by step as jobs; what is there already is not done again."""
import datetime
import json
import os
import pathlib
import signal

import pytest
import requests

from conftest import ROOT, wait_for

FINAL = ('succeeded', 'failed', 'cancelled')
DIGITS = (ROOT / 'examples/digits-pipeline.yaml').read_text()


@pytest.fixture(scope='module')
def studio(strata):
    strata.project('studio')
    strata.volume('studio', 'data')
    put_file(strata, 'studio', 'data', 'digits.csv', (ROOT / 'examples/data/digits.csv').read_bytes())
    return strata


def write_kept(strata, project, volume, path, data):
    """Into what pipelines keep, where no API writes: as a backup that is played back, or root."""
    root = pathlib.Path(strata.state) / 'volumes' / strata.api('GET', f'/api/v1/projects/{project}/volumes/{volume}').json()['id']
    file = root / path
    owner = (root / '.studio').stat()
    for at in [file, *file.parents][::-1]:
        if not at.exists():
            at.mkdir() if at != file else at.touch()
            os.chown(at, owner.st_uid, owner.st_gid)
    file.write_bytes(data)


def put_file(strata, project, volume, path, data):
    r = strata.api('PUT', f'/api/v1/projects/{project}/volumes/{volume}/files/{path}', data=data)
    assert r.status_code in (200, 201), r.text


def put(strata, name, document, project='studio', **headers):
    text = document if isinstance(document, str) else json.dumps(document)
    return strata.api('PUT', f'/api/v1/projects/{project}/pipelines/{name}', data=text.encode(),
                      headers={'Content-Type': 'application/yaml', **headers})


def start(strata, name, project='studio', status=202, **body):
    r = strata.api('POST', f'/api/v1/projects/{project}/pipelines/{name}/runs', json=body)
    assert r.status_code == status, r.text
    return r.json()


def get_run(strata, run_id, project='studio'):
    r = strata.api('GET', f'/api/v1/projects/{project}/runs/{run_id}')
    assert r.status_code == 200, r.text
    return r.json()


def end(strata, run_id, project='studio', timeout=120):
    def done():
        run = get_run(strata, run_id, project)
        return run if run['state'] in FINAL else None
    return wait_for(done, timeout, f'run {run_id} ends')


def run(strata, name, project='studio', **body):
    return end(strata, start(strata, name, project, **body)['id'], project)


def states(run):
    return {name: node['state'] for name, node in run['nodes'].items()}


def check(strata, document, project='studio', status=200):
    text = document if isinstance(document, str) else json.dumps(document)
    r = strata.api('POST', f'/api/v1/projects/{project}/pipelines/check', data=text.encode(),
                   headers={'Content-Type': 'application/yaml'})
    assert r.status_code == status, r.text
    return r.json()


def chain(n, **first):
    """A CSV file that is split again and again."""
    nodes = {'n0': {'module': 'read_csv', 'params': {'path': 'data:digits.csv'}, **first}}
    for i in range(1, n):
        nodes[f'n{i}'] = {'module': 'split', 'params': {'fraction': 0.9, 'seed': i},
                          'inputs': {'table': f'n{i - 1}.' + ('table' if i == 1 else 'train')}}
    return {'pipeline': 1, 'nodes': nodes}


# --- the digits, from YAML to a judged model ---

def test_the_digits_are_learned_and_then_spared(studio):
    assert put(studio, 'digits', DIGITS).status_code == 201
    first = run(studio, 'digits', params={'epochs': 5})
    assert first['state'] == 'succeeded', json.dumps(first['nodes'], indent=1)
    assert set(states(first).values()) == {'succeeded'}
    assert first['nodes']['judge']['metrics']['accuracy'] > 0.9
    assert first['nodes']['read']['outputs']['table']['rows'] == 1797
    assert first['nodes']['read']['cache'] == {'hit': False, 'why': 'never run before'}

    again = run(studio, 'digits', params={'epochs': 5})
    assert set(states(again).values()) == {'cached'}
    assert str(first['id']) in again['nodes']['learn']['cache']['why']
    assert again['nodes']['judge']['metrics'] == first['nodes']['judge']['metrics']

    other = run(studio, 'digits', params={'epochs': 6})
    assert states(other) == {'read': 'cached', 'split': 'cached', 'scale': 'cached', 'learn': 'succeeded',
                             'predict': 'succeeded', 'judge': 'succeeded'}
    assert other['nodes']['learn']['cache'] == {'hit': False, 'why': 'parameter epochs changed from 5 to 6'}
    assert other['nodes']['predict']['cache']['why'] == 'input model has changed'
    report = studio.api('GET', f'/api/v1/projects/studio/runs/{other["id"]}/nodes/judge/outputs/report')
    assert report.status_code == 200 and 'accuracy' in report.text
    log = studio.api('GET', f'/api/v1/projects/studio/runs/{other["id"]}/nodes/learn/log')
    assert log.status_code == 200 and 'mlp:' in log.text


# --- documents ---

def test_what_a_step_warns_of_stands_at_it(studio):
    put_file(studio, 'studio', 'data', 'numbered.csv', ('id,x,y\n' + ''.join(f'{i},{i * 7 % 11},{i * 7 % 11 * 3}\n' for i in range(1, 41))).encode())
    put(studio, 'numbered', {'pipeline': 1, 'nodes': {
        'read': {'module': 'read_csv', 'params': {'path': 'data:numbered.csv'}},
        'learn': {'module': 'linear_regression', 'params': {'label_col': 'y'}, 'inputs': {'train': 'read.table'}}}})
    for state in ('succeeded', 'cached'):
        done = run(studio, 'numbered')
        assert states(done) == {'read': state, 'learn': state}
        assert done['nodes']['read']['warnings'] == []
        assert done['nodes']['learn']['warnings'] == ["column 'id' only numbers the rows and is left out; name it in feature_cols to learn from it"]


def test_every_mistake_of_a_document_is_told_with_its_place(studio):
    r = put(studio, 'wrong', 'pipeline: 1\nnodse: {}\nnodes:\n  Read: {module: read_csv}\n  b:\n    module: split\n    cache: maybe\n    inputs: {table: read}\n')
    assert r.status_code == 400
    mistakes = r.json()['error']['mistakes']
    assert [(m['line'], m['key']) for m in mistakes] == [(2, 'nodse'), (4, 'nodes.Read'), (7, 'nodes.b.cache'), (8, 'nodes.b.inputs.table')]
    assert "did you mean 'nodes'" in mistakes[0]['message']
    assert put(studio, 'wrong', 'pipeline: 2\n').status_code == 400
    assert put(studio, 'wrong', '- a\n').status_code == 400
    assert put(studio, 'Wrong', 'pipeline: 1\n').status_code == 400
    assert put(studio, 'wrong', 'pipeline: 1\nnodes:\n' + ''.join(f'  n{i}: {{module: split}}\n' for i in range(501))).status_code == 400


def test_versions_are_kept_and_nobody_overwrites_unseen(studio):
    assert put(studio, 'kept', chain(2)).status_code == 201
    again = put(studio, 'kept', chain(3), **{'If-Match': '"1"'})
    assert again.status_code == 200 and again.json()['version'] == 2 and again.headers['ETag'] == '"2"'
    same = put(studio, 'kept', chain(3), **{'If-Match': '"2"'})  # saved again as it is
    assert same.status_code == 200 and same.json()['version'] == 2
    late = put(studio, 'kept', chain(4), **{'If-Match': '"1"'})
    assert late.status_code == 409 and 'version 2 by now' in late.json()['error']['message']
    assert put(studio, 'kept', chain(4), **{'If-None-Match': '*'}).status_code == 409
    at = '/api/v1/projects/studio/pipelines/kept'
    assert [v['version'] for v in studio.api('GET', f'{at}/versions').json()['items']] == [2, 1]
    assert len(studio.api('GET', f'{at}/versions/1').json()['document']['nodes']) == 2
    assert studio.api('GET', f'{at}/versions/3').status_code == 404
    listed = studio.api('GET', '/api/v1/projects/studio/pipelines', params={'q': 'KEP'}).json()
    assert [p['name'] for p in listed['items']] == ['kept'] and listed['next'] is None
    assert studio.api('DELETE', at).status_code == 204 and studio.api('GET', at).status_code == 404


def test_a_document_goes_out_as_yaml_and_comes_back_the_same(studio):
    document = {'pipeline': 1, 'description': 'Wird "es" gehen?\nja: 1', 'volume': 'results',
                'params': [{'name': 'seed', 'type': 'int', 'default': 7, 'help': 'yes'}],
                'nodes': {'read': {'module': 'read_csv', 'title': '讀取', 'at': [40, -12.5], 'params': {'path': 'data:true', 'header': 'yes', 'delim': '\u2028'},
                                   'inputs': {}, 'cache': False},
                          'split': {'module': 'split', 'params': {'fraction': 0.8, 'seed': '${seed}', 'stratify_col': '1e3'}, 'inputs': {'table': 'read.table'}}},
                'comments': [{'text': '# no: comment', 'at': [0, 0], 'size': [200, 80]}]}
    assert put(studio, 'round', document).status_code == 201
    at = '/api/v1/projects/studio/pipelines/round'
    kept = studio.api('GET', at).json()['document']
    assert kept == {**document, 'nodes': {'read': document['nodes']['read'], 'split': document['nodes']['split']}}
    text = studio.api('GET', at, params={'format': 'yaml'})
    assert text.headers['Content-Type'] == 'application/yaml'
    assert put(studio, 'round2', text.content.decode()).status_code == 201
    assert studio.api('GET', at + '2').json()['document'] == kept


# --- checks ---

def test_a_check_tells_all_that_cannot_work(studio):
    wrong = check(studio, {'pipeline': 1, 'nodes': {
        'a': {'module': 'split', 'inputs': {'table': 'b.train'}},
        'b': {'module': 'split', 'inputs': {'table': 'a.train'}},
        'c': {'module': 'splitt'},
        'd': {'module': 'mlp', 'inputs': {'train': 'e.transform'}, 'params': {'label_col': 'x', 'epoch': 3, 'batch': 'many'}},
        'e': {'module': 'standard_scaler', 'inputs': {'table': 'nobody.table'}}}})
    assert not wrong['ok']
    told = {(m.get('node'), m.get('port'), m.get('param')): m['message'] for m in wrong['mistakes']}
    assert 'circle' in told['a', None, None] and 'circle' in told['b', None, None]
    assert "did you mean 'split'" in told['c', None, None]
    assert "input train takes a table, and e.transform is a transform" in told['d', 'train', None]
    assert "did you mean 'epochs'" in told['d', None, 'epoch']
    assert 'not a whole number' in told['d', None, 'batch']
    assert "no node 'nobody'" in told['e', 'table', None]


def test_a_check_knows_columns_before_any_run(studio):
    good = check(studio, DIGITS)
    assert good['ok'] and good['mistakes'] == []
    columns = good['nodes']['split']['outputs']['train']['columns']
    assert len(columns) == 65 and {'name': 'digit', 'type': 'int'} in columns
    assert good['nodes']['learn']['outputs']['model']['label'] == 'digit'
    wrong = check(studio, DIGITS.replace('stratify_col: digit', 'stratify_col: digits'))
    assert [(m['node'], m['param']) for m in wrong['mistakes']] == [('split', 'stratify_col')]
    gone = check(studio, DIGITS.replace('data:digits.csv', 'data:nothing.csv'))
    assert [(m['node'], m['param']) for m in gone['mistakes']] == [('read', 'path')]


def test_a_run_that_cannot_work_is_refused_before_it_begins(studio):
    put(studio, 'refused', DIGITS.replace('label_col: digit', 'label_col: digits'))
    error = start(studio, 'refused', status=400)['error']
    assert {m['node'] for m in error['mistakes']} == {'learn'}
    assert 'cannot run' in error['message']
    assert start(studio, 'refused', to='split')['state'] in ('queued', 'running')  # that part is whole
    assert 'no parameter' in start(studio, 'refused', status=400, params={'sed': 3}, to='split')['error']['message']
    assert start(studio, 'refused', status=400, to='nobody')['error']['kind'] == 'invalid'
    assert start(studio, 'nothing', status=404)


# --- runs ---

def test_part_of_a_pipeline_runs(studio):
    put(studio, 'part', chain(5))
    to = run(studio, 'part', to='n2')
    assert set(states(to)) == {'n0', 'n1', 'n2'} and to['state'] == 'succeeded' and to['to'] == 'n2'
    again = run(studio, 'part', **{'from': 'n2'})
    assert states(again) == {'n0': 'cached', 'n1': 'cached', 'n2': 'succeeded', 'n3': 'succeeded', 'n4': 'succeeded'}
    assert again['nodes']['n2']['cache']['why'] == 'it was asked to run again'
    off = run(studio, 'part', cache=False, to='n1')
    assert set(states(off).values()) == {'succeeded'}
    put(studio, 'part', chain(2, cache=False))
    assert [run(studio, 'part')['nodes'][n]['cache']['why'][:12] for n in ('n0', 'n1')] == ['cache is off', 'same module ']


def test_an_output_that_is_gone_is_made_again(studio):
    put(studio, 'gone', chain(2))
    first = run(studio, 'gone')
    node = first['nodes']['n1']
    at = '/api/v1/projects/studio/volumes/studio/files/.studio'
    for name in {e['name'] for e in studio.api('GET', at.replace('/files/', '/tree/')).json()['items']}:
        assert studio.api('DELETE', f'{at}/{name}', params={'recursive': '1'}).status_code in (200, 204)
    again = run(studio, 'gone')
    assert {n: again['nodes'][n]['cache']['why'] for n in ('n0', 'n1')} == {'n0': 'its output is gone', 'n1': 'its output is gone'}
    assert again['nodes']['n1']['outputs'] == node['outputs']  # to the byte
    for name in {e['name'] for e in studio.api('GET', at.replace('/files/', '/tree/')).json()['items']} - {'tmp'}:
        for port in ('table', 'train', 'test'):  # a directory in its place
            if studio.api('DELETE', f'{at}/{name}/{port}.arrow').status_code in (200, 204):
                write_kept(studio, 'studio', 'studio', f'.studio/{name}/{port}.arrow/x', b'x')
    third = run(studio, 'gone')
    assert third['state'] == 'succeeded' and third['nodes']['n1']['outputs'] == node['outputs']


def test_a_step_that_fails_says_why_and_can_be_tried_again(studio):
    put_file(studio, 'studio', 'data', 'ragged.csv', b'a,b\n1,2\n3,4\n')
    put(studio, 'fails', {'pipeline': 1, 'nodes': {'read': {'module': 'read_csv', 'params': {'path': 'data:ragged.csv'}},
                                                   'split': {'module': 'split', 'inputs': {'table': 'read.table'}}}})
    begun = start(studio, 'fails')
    assert end(studio, begun['id'])['state'] == 'succeeded'
    put_file(studio, 'studio', 'data', 'ragged.csv', b'a,b\n' + b'1,2\n' * 50000 + b'3,4,5,6\n')
    bad = run(studio, 'fails')
    assert bad['state'] == 'failed' and states(bad) == {'read': 'failed', 'split': 'skipped'}
    error = bad['nodes']['read']['error']
    assert error['kind'] == 'data' and 'line 50002' in error['message'], error
    assert bad['nodes']['read']['cache']['why'] == 'file data:ragged.csv has changed'
    put_file(studio, 'studio', 'data', 'ragged.csv', b'a,b\n1,2\n3,4\n5,6\n')
    at = f'/api/v1/projects/studio/runs/{bad["id"]}'
    assert studio.api('POST', f'{at}/retry').status_code == 202
    mended = end(studio, bad['id'])
    assert mended['state'] == 'succeeded' and mended['nodes']['read']['outputs']['table']['rows'] == 3
    assert studio.api('POST', f'{at}/retry').status_code == 409


def test_a_run_is_cancelled_and_its_outputs_go_with_it(studio):
    put(studio, 'long', DIGITS.replace('layers: "256"', 'layers: "255"'))
    begun = start(studio, 'long', params={'epochs': 100000})
    at = f'/api/v1/projects/studio/runs/{begun["id"]}'
    wait_for(lambda: get_run(studio, begun['id'])['nodes']['learn']['done'] > 0, 60, 'it learns')
    assert studio.api('DELETE', at).status_code == 409
    assert studio.api('POST', f'{at}/cancel').status_code == 202
    run_ = end(studio, begun['id'])
    assert run_['state'] == 'cancelled'
    assert states(run_)['learn'] == 'cancelled' and states(run_)['judge'] == 'cancelled' and states(run_)['scale'] in ('succeeded', 'cached')
    assert studio.api('POST', f'{at}/cancel').status_code == 409
    assert studio.api('DELETE', at).status_code == 204 and studio.api('GET', at).status_code == 404


def test_events_tell_a_run_from_its_start_to_its_end(studio):
    put(studio, 'told', chain(3))
    begun = start(studio, 'told', cache=False)
    seen = []
    with requests.get(f'{studio.url}/api/v1/projects/studio/runs/{begun["id"]}/events', stream=True, timeout=60,
                      headers={'Authorization': f'Bearer {studio.token()}'}) as r:
        assert r.status_code == 200 and r.headers['Content-Type'].startswith('text/event-stream')
        event = None
        for line in r.iter_lines(decode_unicode=True):
            if line.startswith('event: '):
                event = line[7:]
            elif line.startswith('data: '):
                seen.append((event, json.loads(line[6:])))
    assert seen[0][0] == 'run' and seen[-1][0] == 'run' and seen[-1][1]['state'] == 'succeeded'
    assert {x['node'] for kind, x in seen if kind == 'node'} == {'n0', 'n1', 'n2'}
    assert [x['value']['state'] for kind, x in seen if kind == 'node' and x['node'] == 'n2'][-1] == 'succeeded'


def test_two_runs_stand_side_by_side(studio):
    put(studio, 'digits', DIGITS)
    a, b = (run(studio, 'digits', params={'epochs': n}) for n in (5, 6))
    pair = studio.api('GET', '/api/v1/projects/studio/runs/compare', params={'a': a['id'], 'b': b['id']}).json()
    assert pair['params']['epochs'] == {'a': '5', 'b': '6'}
    assert pair['nodes']['judge']['a']['metrics'].keys() == pair['nodes']['judge']['b']['metrics'].keys()
    runs = studio.api('GET', '/api/v1/projects/studio/runs', params={'pipeline': 'digits', 'state': 'succeeded', 'limit': 2}).json()
    assert [r['id'] for r in runs['items']][0] == b['id']


def test_previews_stand_beside_outputs(studio):
    put(studio, 'digits', DIGITS)
    done = run(studio, 'digits', params={'epochs': 5})
    at = f'/api/v1/projects/studio/runs/{done["id"]}/nodes'
    table = studio.api('GET', f'{at}/read/outputs/table/preview').json()
    assert table['rows'] == 1797 and len(table['columns']) == 65 and len(table['head']) == 50
    assert studio.api('GET', f'{at}/learn/outputs/model/preview').json()['label'] == 'digit'
    assert studio.api('GET', f'{at}/judge/outputs/report/preview').json()['type'] == 'report'
    assert studio.api('GET', f'{at}/judge/outputs/nothing').status_code == 404


def test_a_server_that_dies_finishes_twenty_steps_and_repeats_none(own_strata):
    s = own_strata().start()
    s.project('studio')
    s.volume('studio', 'data')
    put_file(s, 'studio', 'data', 'digits.csv', (ROOT / 'examples/data/digits.csv').read_bytes())
    put(s, 'steps', chain(20))
    begun = start(s, 'steps', fuse=False)

    def ended(n):
        return sum(v['state'] == 'succeeded' for v in get_run(s, begun['id'])['nodes'].values()) >= n
    for n in (3, 9, 14):
        wait_for(lambda: ended(n), 60, f'{n} steps are done')
        os.kill(s.pids()['server'], signal.SIGKILL)
        s.wait_ready()
    done = end(s, begun['id'])
    assert done['state'] == 'succeeded' and set(states(done).values()) == {'succeeded'}
    jobs = s.api('GET', '/api/v1/projects/studio/jobs', params={'limit': 1000}).json()['items']
    assert sorted(j['name'] for j in jobs) == sorted(f'steps-n{i}' for i in range(20))
    assert {j['id'] for j in jobs} == {n['job'] for n in done['nodes'].values()}


def test_a_directory_of_a_volume_is_mounted_alone(studio):
    put_file(studio, 'studio', 'data', 'sub/dir/here.txt', b'here\n')
    volumes = [{'name': 'data', 'path': '/data', 'mode': 'rw', 'subpath': 'sub/dir'}]
    job = studio.run_job('studio', ['sh', '-c', 'ls /data; cat /data/here.txt; ln -s / /data/link'], volumes=volumes)
    assert job['state'] == 'succeeded' and studio.job_log('studio', job['id']) == 'here.txt\nhere\n'
    assert job['spec']['volumes'] == volumes
    for subpath, word in (('sub/none', 'No such file'), ('sub/dir/link/etc', 'link')):
        lost = studio.run_job('studio', ['true'], volumes=[{**volumes[0], 'subpath': subpath}])
        assert lost['state'] == 'failed' and word in lost['reason'], lost['reason']
    r = studio.api('POST', '/api/v1/projects/studio/jobs', json={'image': studio.busybox, 'volumes': [{**volumes[0], 'subpath': '../x'}]})
    assert r.status_code == 400 and r.json()['error']['mistakes'][0]['key'] == 'volumes[0].subpath'


# --- the command line ---

def test_files_go_in_run_and_come_out_by_the_command_line(studio, tmp_path):
    p = ('-p', 'studio')
    checked = studio.cli('pipeline', 'check', str(ROOT / 'examples/digits-pipeline.yaml'), *p)
    assert checked.returncode == 0 and 'nothing is wrong' in checked.stdout, checked.stderr
    bad = tmp_path / 'bad.yaml'
    bad.write_text(DIGITS.replace('label_col: digit', 'label_col: digits', 1))
    wrong = studio.cli('pipeline', 'check', str(bad), *p)
    assert wrong.returncode == 1 and 'learn train label_col' in wrong.stderr, wrong.stderr
    refused = studio.cli('pipeline', 'run', str(bad), *p)
    assert refused.returncode == 65 and 'learn' in refused.stderr
    done = studio.cli('pipeline', 'run', str(ROOT / 'examples/digits-pipeline.yaml'), '--param', 'epochs=5', '--name', 'by-cli', *p)
    assert done.returncode == 0 and 'accuracy' in done.stderr and 'succeeded' in done.stderr, done.stderr
    again = json.loads(studio.cli('pipeline', 'run', 'by-cli', '--param', 'epochs=5', '--json', *p).stdout)
    assert again['state'] == 'succeeded' and set(states(again).values()) == {'cached'}
    assert 'by-cli' in studio.cli('pipeline', 'ls', *p).stdout and 'succeeded' in studio.cli('pipeline', 'runs', 'by-cli', *p).stdout
    out = studio.cli('pipeline', 'get', 'by-cli', *p).stdout
    (tmp_path / 'out.yaml').write_text(out.replace('fraction: 0.8', 'fraction: 0.7').replace('  judge:', '  other:'))
    assert studio.cli('pipeline', 'put', 'by-cli', str(tmp_path / 'out.yaml'), *p).returncode == 0
    diff = studio.cli('pipeline', 'diff', 'by-cli', '1', '2', *p).stdout
    assert '~ nodes.split.params.fraction: 0.8 -> 0.7' in diff and '- nodes.judge' in diff and '+ nodes.other' in diff, diff
    (tmp_path / 'ragged.csv').write_text('a,b\n1,2\n3\n')
    put_file(studio, 'studio', 'data', 'fails.csv', b'a,b\n' + b'1,2\n' * 50000 + b'3,4,5\n')
    (tmp_path / 'dotted.v2.yaml').write_text('pipeline: 1\nnodes: {read: {module: read_csv, params: {path: "data:digits.csv"}}}\n')
    assert studio.cli('pipeline', 'run', str(tmp_path / 'dotted.v2.yaml'), *p).returncode == 0
    assert studio.api('GET', '/api/v1/projects/studio/pipelines/dotted.v2').status_code == 200
    (tmp_path / 'fails.yaml').write_text('pipeline: 1\nnodes: {read: {module: read_csv, params: {path: "data:fails.csv"}}}\n')
    failed = studio.cli('pipeline', 'run', str(tmp_path / 'fails.yaml'), *p)
    assert failed.returncode == 1 and 'line 50002' in failed.stderr
    assert studio.cli('pipeline', 'rm', 'by-cli', '--yes', *p).returncode == 0


def test_modules_are_told_and_tried_by_the_command_line(studio, tmp_path):
    assert 'logistic_regression' in studio.cli('module', 'ls').stdout
    described = studio.cli('module', 'describe', 'split').stdout
    assert 'input  table: table' in described and 'param  fraction: real, default 0.8' in described
    assert studio.cli('module', 'describe', 'nothing').returncode != 0
    (tmp_path / 'a.csv').write_text('a,b\n1,x\n2,y\n')
    out = studio.cli('module', 'test', '--', 'read_csv', '--param', f'path={tmp_path}/a.csv', '--out', f'table={tmp_path}/b.csv')
    assert out.returncode == 0 and (tmp_path / 'b.csv').read_text().startswith('a,b'), out.stderr


# --- by the clock ---

def test_a_pipeline_runs_by_the_clock_of_a_time_zone(studio):
    put(studio, 'clock', chain(2))
    at = '/api/v1/projects/studio/pipelines/clock'
    for wrong in ({'cron': 'x'}, {'cron': '0 3 * * *', 'timezone': 'Nowhere/Town'}, {'cron': '0 3 * * *', 'timezone': '../../etc/passwd'}, {}):
        assert studio.api('PUT', f'{at}/schedule', json=wrong).status_code == 400
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2, hours=8)
    cron = f'{soon.second} {soon.minute} {soon.hour} * * *'
    r = studio.api('PUT', f'{at}/schedule', json={'cron': cron, 'timezone': '+08:00'})
    assert r.status_code == 200 and r.json()['schedule'] == {'cron': cron, 'timezone': '+08:00', 'params': {}, 'enabled': True, 'by': 'admin'}
    runs = wait_for(lambda: studio.api('GET', '/api/v1/projects/studio/runs', params={'pipeline': 'clock'}).json()['items'], 60, 'it runs')
    assert len(runs) == 1 and runs[0]['by'] == 'admin' and end(studio, runs[0]['id'])['state'] == 'succeeded'
    assert studio.api('DELETE', f'{at}/schedule').status_code == 204 and studio.api('GET', at).json()['schedule'] is None


# --- any container as a module ---

COMPONENT = '''
name: Count rows
description: Counts the lines of a table
inputs:
  - {name: Train data, type: CSV, description: What is counted}
  - {name: Factor, type: Integer, default: 1}
  - {name: note, type: String, optional: true}
outputs:
  - {name: Count, type: Text}
metadata: {annotations: {strata/resources: {cpu: 100m, memory: 64Mi}}}
implementation:
  container:
    image: %s
    command: [sh, -ec, 'echo "$(($(wc -c < "$0") * $1)) $3" > "$2"']
    args:
      - {inputPath: Train data}
      - {inputValue: Factor}
      - {outputPath: Count}
      - {if: {cond: {isPresent: note}, then: [{concat: ['<', {inputValue: note}, '>']}], else: [none]}}
'''


def bring(strata, name, text, status=200):
    r = strata.api('PUT', f'/api/v1/projects/studio/modules/{name}', data=text.encode(), headers={'Content-Type': 'application/yaml'})
    assert r.status_code == status, r.text
    return r


def test_a_component_of_kubeflow_is_a_module(studio):
    told = bring(studio, 'count-rows', COMPONENT % studio.busybox).json()['modules'][0]
    assert told['kind'] == 'container' and told['title'] == 'Count rows'
    assert [(p['name'], p['type']) for p in told['inputs']] == [('train_data', 'file')] and told['outputs'][0]['name'] == 'count'
    assert [(p['name'], p['type'], p.get('default')) for p in told['params']] == [('factor', 'int', 1), ('note', 'text', '')]
    assert 'count-rows' in {m['name'] for m in studio.api('GET', '/api/v1/projects/studio/modules').json()['modules']}
    assert 'Train data' in studio.api('GET', '/api/v1/projects/studio/modules/count-rows').text
    document = chain(2)
    document['nodes']['count'] = {'module': 'count-rows', 'params': {'factor': 2, 'note': 'a b;$(x)'}, 'inputs': {'train_data': 'n1.test'}}
    put(studio, 'container', document)
    done = run(studio, 'container')
    assert done['state'] == 'succeeded', json.dumps(done['nodes']['count'], indent=1)
    text = studio.api('GET', f'/api/v1/projects/studio/runs/{done["id"]}/nodes/count/outputs/count').text
    assert text == f"{done['nodes']['n1']['outputs']['test']['bytes'] * 2} <a b;$(x)>\n"
    assert run(studio, 'container')['nodes']['count']['state'] == 'cached'
    bring(studio, 'split', COMPONENT % studio.busybox, 409)
    wrong = bring(studio, 'wrong', (COMPONENT % studio.busybox).replace('inputValue: Factor', 'inputValue: Faktor').replace('image: ', 'imag: '), 400)
    assert {m['key'] for m in wrong.json()['error']['mistakes']} == {'implementation', 'implementation.container.image'}


@pytest.mark.parametrize('script', ['true', 'ln -s /etc/passwd "$0"', 'mkfifo "$0"', 'mkdir "$0"'])
def test_a_container_that_lies_about_its_outputs_fails(studio, script):
    bring(studio, 'liar', f'''
outputs: [{{name: out}}]
implementation: {{container: {{image: {studio.busybox}, command: [sh, -c, '{script}', {{outputPath: out}}]}}}}
''')
    put(studio, 'liar', {'pipeline': 1, 'nodes': {'a': {'module': 'liar'}}})
    done = run(studio, 'liar')
    assert done['state'] == 'failed' and 'its output out is no file' in done['nodes']['a']['error']['message'], done['nodes']['a']
    assert studio.api('DELETE', '/api/v1/projects/studio/modules/liar').status_code == 204


def test_a_step_that_writes_nothing_does_not_get_the_output_of_an_earlier_run(studio):
    """Writes by the toss of a coin: once it has, what it left must not stand for a run without output."""
    bring(studio, 'moody', f'''
outputs: [{{name: out}}]
implementation: {{container: {{image: {studio.busybox}, command: [sh, -c, 'case $(cat /proc/sys/kernel/random/uuid) in [0-7]*) echo x > "$0";; esac', {{outputPath: out}}]}}}}
''')
    put(studio, 'moody', {'pipeline': 1, 'nodes': {'a': {'module': 'moody', 'cache': False}}})
    for wanted in ('succeeded', 'failed'):
        assert any(run(studio, 'moody')['state'] == wanted for _ in range(25)), wanted
    assert studio.api('DELETE', '/api/v1/projects/studio/modules/moody').status_code == 204


def test_the_end_of_a_long_log_is_what_counts(studio):
    bring(studio, 'chatty', f'''
outputs: [{{name: out}}]
implementation:
  container:
    image: {studio.busybox}
    command:
      - sh
      - -c
      - >-
        echo x > "$0"; yes '{{"t":"progress","done":0.5,"metric":{{"x":1}}}}' | head -c 6000000; echo;
        echo '{{"t":"progress","done":1,"metric":{{"x":7}}}}'
      - {{outputPath: out}}
''')
    put(studio, 'chatty', {'pipeline': 1, 'nodes': {'a': {'module': 'chatty'}}})
    done = run(studio, 'chatty')
    assert done['state'] == 'succeeded' and done['nodes']['a']['metrics'] == {'x': 7}, done['nodes']['a']
    assert studio.api('DELETE', '/api/v1/projects/studio/modules/chatty').status_code == 204


def test_a_run_that_reads_an_endless_file_is_cancelled(studio):
    hole = studio.run_job('studio', ['sh', '-c', 'truncate -s 1T /data/hole || dd if=/dev/zero of=/data/hole bs=1 count=1 seek=1099511627775'],
                          volumes=[{'name': 'data', 'path': '/data', 'mode': 'rw'}])
    assert hole['state'] == 'succeeded', hole
    put(studio, 'endless', {'pipeline': 1, 'nodes': {'a': {'module': 'read_csv', 'params': {'path': 'data:hole'}}}})
    begun = start(studio, 'endless')
    at = f'/api/v1/projects/studio/runs/{begun["id"]}'
    wait_for(lambda: get_run(studio, begun['id'])['state'] == 'running', 60, 'it is read')
    assert studio.api('POST', f'{at}/cancel').status_code == 202
    assert end(studio, begun['id'])['state'] == 'cancelled'
    assert studio.api('DELETE', '/api/v1/projects/studio/volumes/data/files/hole').status_code in (200, 204)


def test_files_of_volumes_need_the_rights_of_volumes(studio):
    """Also through a pipeline, for a token that may see pipelines alone."""
    put(studio, 'part', chain(2))
    done = run(studio, 'part')
    made = studio.api('POST', '/api/v1/tokens', json={'name': 'onlypipes', 'scopes': ['pipeline:read', 'pipeline:write', 'pipeline:run']}).json()
    narrow = {'Authorization': 'Bearer ' + made['token']}
    at = f'{studio.url}/api/v1/projects/studio'
    assert requests.get(f'{at}/runs/{done["id"]}', headers=narrow, timeout=20).status_code == 200
    for path in ('log', 'outputs/table', 'outputs/table/preview'):
        assert requests.get(f'{at}/runs/{done["id"]}/nodes/n0/{path}', headers=narrow, timeout=20).status_code == 403, path
    for path in ('pipelines/check', 'pipelines/part/runs', f'runs/{done["id"]}/retry'):
        assert requests.post(f'{at}/{path}', headers=narrow, json={}, timeout=20).status_code == 403, path
    assert studio.api('DELETE', f'/api/v1/tokens/{made["id"]}').status_code == 204


def test_long_params_are_bounded_and_left_out_of_lists(studio):
    names = ['a', 'b', 'c']
    put(studio, 'wordy', {**chain(1), 'params': [{'name': n, 'default': ''} for n in names]})
    assert 'in all' in start(studio, 'wordy', status=413, params={n: 'x' * 30000 for n in names})['error']['message']
    long = start(studio, 'wordy', params={'a': 'x' * 30000})
    short = start(studio, 'wordy', params={'a': 'x'})
    listed = {r['id']: r for r in studio.api('GET', '/api/v1/projects/studio/runs', params={'pipeline': 'wordy'}).json()['items']}
    assert listed[long['id']]['params'] == {} and listed[short['id']]['params'] == {'a': 'x'}
    assert len(get_run(studio, long['id'])['params']['a']) == 30000
    at = '/api/v1/projects/studio/pipelines'
    assert studio.api('PUT', f'{at}/wordy/schedule', json={'cron': '0 3 1 1 *', 'params': {'a': 'x' * 30000}}).status_code == 200
    row = studio.api('GET', at, params={'q': 'wordy'}).json()['items'][0]['schedule']
    assert row['params'] == {} and row['cron'] == '0 3 1 1 *'
    assert len(studio.api('GET', f'{at}/wordy').json()['schedule']['params']['a']) == 30000
    assert studio.api('DELETE', f'{at}/wordy/schedule').status_code == 204


def test_an_output_that_somebody_changed_is_made_again(studio):
    bring(studio, 'steady', f'''
outputs: [{{name: out}}]
implementation: {{container: {{image: {studio.busybox}, command: [sh, -c, 'echo steadily > "$0"', {{outputPath: out}}]}}}}
''')
    put(studio, 'steady', {'pipeline': 1, 'volume': 'steady', 'nodes': {'a': {'module': 'steady'}}})
    first = run(studio, 'steady')
    at = '/api/v1/projects/studio/volumes/steady/tree/.studio'

    def kept():
        return {e['name'] for e in studio.api('GET', at).json()['items']} - {'tmp'}
    (key,), seen = kept(), kept()
    for text, wanted in ((b'steadilx\n', 'succeeded'), (b'steadily\n', 'cached')):
        write_kept(studio, 'studio', 'steady', f'.studio/{key}/out.bin', text)
        again = run(studio, 'steady')
        assert states(again) == {'a': wanted} and again['nodes']['a']['outputs'] == first['nodes']['a']['outputs']
        assert studio.api('GET', f'/api/v1/projects/studio/runs/{again["id"]}/nodes/a/outputs/out').text == 'steadily\n'
        key, seen = next(iter(kept() - seen), key), kept()


def test_a_run_keeps_the_modules_with_which_it_began(studio):
    text = f"""
outputs: [{{name: out}}]
implementation: {{container: {{image: {studio.busybox}, command: [sh, -c, 'exit 1', {{outputPath: out}}]}}}}
"""
    bring(studio, 'leaving', text)
    put(studio, 'leaving', {'pipeline': 1, 'nodes': {'a': {'module': 'leaving'}}})
    failed = run(studio, 'leaving')
    assert failed['state'] == 'failed'
    bring(studio, 'leaving', text.replace('exit 1', 'exit 7'))
    at = f'/api/v1/projects/studio/runs/{failed["id"]}'
    for change in (lambda: bring(studio, 'leaving', text.replace('exit 1', 'exit 7')), lambda: studio.api('DELETE', '/api/v1/projects/studio/modules/leaving')):
        change()
        assert studio.api('POST', f'{at}/retry').status_code == 202
        again = end(studio, failed['id'])
        assert again['nodes']['a']['error']['kind'] == 'machine' and 'exit code 1' in again['nodes']['a']['error']['message'], again
    assert start(studio, 'leaving', status=400)['error']['mistakes']


def test_a_project_that_goes_takes_its_running_runs_along(strata):
    strata.project('passing')
    strata.volume('passing', 'data')
    put_file(strata, 'passing', 'data', 'digits.csv', (ROOT / 'examples/data/digits.csv').read_bytes())
    put(strata, 'long', DIGITS, project='passing')
    begun = start(strata, 'long', project='passing', params={'epochs': 100000})
    wait_for(lambda: get_run(strata, begun['id'], 'passing')['nodes']['learn']['state'] == 'running', 60, 'it learns')
    assert wait_for(lambda: strata.api('DELETE', '/api/v1/projects/passing').status_code in (204, 404), 60, 'it is deleted')
    strata.project('passing')  # the name is free, and nothing of the old one is left
    assert strata.api('GET', '/api/v1/projects/passing/runs').json()['items'] == []
    strata.volume('passing', 'data')
    put_file(strata, 'passing', 'data', 'digits.csv', (ROOT / 'examples/data/digits.csv').read_bytes())
    put(strata, 'short', chain(2), project='passing')
    assert run(strata, 'short', project='passing')['state'] == 'succeeded'


def test_a_long_parameter_in_many_nodes_is_refused(studio):
    document = {'pipeline': 1, 'params': [{'name': 'q', 'default': 'x' * 60000}],
                'nodes': {f'n{i}': {'module': 'read_csv', 'params': {'path': 'data:${q}'}} for i in range(100)}}
    told = [m['message'] for m in check(studio, document)['mistakes'] if 'together' in m['message']]
    assert len(told) == 1 and '4194304 bytes' in told[0]
    lists = f'implementation: {{container: {{image: {studio.busybox}, command: [{"a, " * 2500}a]}}}}'
    bring(studio, 'wide', lists, 413)
    bring(studio, 'weighs-bags', COMPONENT % studio.busybox)
    assert "did you mean 'weighs-bags'" in check(studio, {'pipeline': 1, 'nodes': {'a': {'module': 'weigh-bags'}}})['mistakes'][0]['message']


def test_who_may_not_run_changes_nothing_that_runs_by_the_clock(studio):
    put(studio, 'timed', chain(2))
    at = '/api/v1/projects/studio/pipelines/timed'
    made = studio.api('POST', '/api/v1/tokens', json={'name': 'writer', 'scopes': ['pipeline:read', 'pipeline:write']}).json()

    def save(n):
        return studio.api('PUT', at, token=made['token'], json=chain(n)).status_code
    assert save(3) == 200
    assert studio.api('PUT', f'{at}/schedule', json={'cron': '0 3 1 1 *'}).status_code == 200
    assert save(4) == 403 and put(studio, 'timed', chain(4)).status_code == 200
    assert studio.api('DELETE', f'{at}/schedule').status_code == 204 and save(5) == 200
    assert studio.api('DELETE', f'/api/v1/tokens/{made["id"]}').status_code == 204


def test_a_file_that_changes_while_a_step_runs_is_not_taken_for_the_old_one(studio):
    put_file(studio, 'studio', 'data', 'moving.csv', b'a,b\n' + b'1,2\n' * 2000000)
    put(studio, 'moving', {'pipeline': 1, 'nodes': {'read': {'module': 'read_csv', 'params': {'path': 'data:moving.csv'}}}})
    begun = start(studio, 'moving')
    wait_for(lambda: get_run(studio, begun['id'])['nodes']['read']['job'], 60, 'it has a job')
    put_file(studio, 'studio', 'data', 'moving.csv', b'a,b\n1,2\n')
    assert end(studio, begun['id'])['state'] in ('succeeded', 'failed')
    put_file(studio, 'studio', 'data', 'moving.csv', b'a,b\n' + b'1,2\n' * 2000000)
    again = run(studio, 'moving')  # whatever was read then, this is read now
    assert again['nodes']['read']['outputs']['table']['rows'] == 2000000
    assert again['nodes']['read']['state'] == 'succeeded' or end(studio, begun['id'])['nodes']['read']['outputs']['table']['rows'] == 2000000
    assert run(studio, 'moving')['nodes']['read']['state'] == 'cached'


def test_a_folder_of_a_volume_is_one_input(studio):
    def put_part(path, text):
        put_file(studio, 'studio', 'data', f'sales/{path}', text.encode())

    def document(path):
        return {'pipeline': 1, 'nodes': {'read': {'module': 'read_csv', 'params': {'path': f'data:{path}', 'file_col': 'file'}},
                                         'some': {'module': 'select_columns', 'params': {'columns': 'year,x'}, 'inputs': {'table': 'read.table'}}}}

    for year in (2023, 2024):
        put_part(f'year={year}/a.csv', f'x,y\n{year},1\n')
    columns = check(studio, document('sales'))['nodes']['read']['outputs']['table']['columns']
    assert [(c['name'], c['type']) for c in columns] == [('x', 'int'), ('y', 'int'), ('year', 'int'), ('file', 'text')]
    put(studio, 'folder', document('sales'))
    assert run(studio, 'folder')['nodes']['read']['outputs']['table']['rows'] == 2
    assert states(run(studio, 'folder')) == {'read': 'cached', 'some': 'cached'}
    put_part('year=2024/b.csv', 'x,y\n7,8\n')
    more = run(studio, 'folder')['nodes']['read']
    assert (more['state'], more['outputs']['table']['rows'], more['cache']['why']) == ('succeeded', 3, 'file data:sales has changed')
    put_part('year=2024/b.csv', 'x,y\n7,9\n')
    assert run(studio, 'folder')['nodes']['read']['state'] == 'succeeded'
    put(studio, 'pattern', document('sales/year=*/b.csv'))
    assert run(studio, 'pattern')['nodes']['read']['outputs']['table']['rows'] == 1
    assert states(run(studio, 'pattern'))['read'] == 'cached'
    lost = [m['message'] for m in check(studio, document('sales/*.tsv'))['mistakes'] if m.get('param') == 'path']
    assert lost and 'no file fits the pattern' in lost[0]
    lost = [m['message'] for m in check(studio, document('nowhere'))['mistakes'] if m.get('param') == 'path']
    assert lost and 'nowhere' in lost[0]
