"""Modules that write a file of a volume: run each time, into the volume or not at all."""
import json
import os

import pytest

from test_f10_pipelines import check, put, put_file, run, states


@pytest.fixture(scope='module')
def writes(strata):
    strata.project('writes')
    strata.volume('writes', 'data')
    put_file(strata, 'writes', 'data', 'in.csv', b'a,b\n1,x\n2,y\n')
    return strata


def of(path, module='write_csv'):
    return {'pipeline': 1, 'nodes': {'read': {'module': 'read_csv', 'params': {'path': 'data:in.csv'}},
                                     'write': {'module': module, 'params': {'path': path}, 'inputs': {'table': 'read.table'}}}}


def go(strata, path):
    r = put(strata, 'w', of(path), project='writes')
    assert r.status_code in (200, 201), r.text
    return run(strata, 'w', project='writes')


def content(strata, path):
    return strata.api('GET', f'/api/v1/projects/writes/volumes/data/files/{path}')


def test_a_file_is_written_each_time(writes):
    first = go(writes, 'data:out.csv')
    assert first['state'] == 'succeeded', json.dumps(first['nodes'], indent=1)
    assert content(writes, 'out.csv').content == b'a,b\n1,x\n2,y\n'
    assert writes.api('DELETE', '/api/v1/projects/writes/volumes/data/files/out.csv').status_code in (200, 204)
    assert states(go(writes, 'data:out.csv')) == {'read': 'cached', 'write': 'succeeded'}
    assert content(writes, 'out.csv').content == b'a,b\n1,x\n2,y\n'


@pytest.mark.parametrize('module, path, begins', [('write_jsonl', 'new/made.jsonl', b'{"a":1,"b":"x"}'), ('write_parquet', 'new/made.parquet', b'PAR1')])
def test_folders_of_a_file_are_made(writes, module, path, begins):
    put(writes, 'others', of(f'data:{path}', module), project='writes')
    assert run(writes, 'others', project='writes')['state'] == 'succeeded'
    assert content(writes, path).content.startswith(begins)


def test_what_cannot_be_written_is_told_with_its_place(writes):
    failed = go(writes, 'data:in.csv/made.csv')['nodes']['write']
    assert failed['state'] == 'failed' and 'in.csv/made.csv' in failed['error']['message'], failed


@pytest.mark.parametrize('path', ['data:../x.csv', 'data:a/../../x.csv', 'data:/x.csv', 'data:.studio/x.csv', 'data:./.studio/x.csv', 'data:..', 'data:a/'])
@pytest.mark.parametrize('module', ['write_csv', 'write_parquet', 'write_jsonl', 'write_libsvm'])
def test_what_leads_out_of_the_volume_is_no_place(writes, path, module):
    assert any('is no place for a file' in m['message'] for m in check(writes, of(path, module), project='writes')['mistakes'])


def test_a_link_that_leads_out_of_the_volume_is_not_written_through(writes):
    inside = next(p for p in writes.state.rglob('in.csv') if 'writes' in str(p) or p.read_bytes() == b'a,b\n1,x\n2,y\n').parent
    os.symlink('/tmp', inside / 'away')
    done = go(writes, 'data:away/lost.csv')
    assert done['state'] == 'failed', json.dumps(done['nodes'], indent=1)
