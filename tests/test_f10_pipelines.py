"""Pipelines: a document is checked as a whole, kept in versions, and run step by step as jobs; what is there already is not done again."""
import json
import os
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
