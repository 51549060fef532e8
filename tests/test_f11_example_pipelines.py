"""The pipelines of examples/ from YAML to their judgement, on real data: two classes, numbers, clusters."""
import pytest

from conftest import ROOT
from test_f10_pipelines import put, put_file, run, states


@pytest.fixture(scope='module')
def examples(strata):
    strata.project('examples')
    strata.volume('examples', 'data')
    for name in ('churn', 'wine', 'penguins'):
        put_file(strata, 'examples', 'data', f'{name}.csv', (ROOT / f'examples/data/{name}.csv').read_bytes())
    return strata


def judged(strata, name, **params):
    r = put(strata, name, (ROOT / f'examples/{name}-pipeline.yaml').read_text(), project='examples')
    assert r.status_code in (200, 201), r.text
    done = run(strata, name, project='examples', params=params)
    assert done['state'] == 'succeeded', done['nodes']
    return done


def test_two_classes(examples):
    done = judged(examples, 'churn', trees=40)
    figures = done['nodes']['judge']['metrics']
    assert figures['auc'] > 0.75 and figures['accuracy'] > 0.7
    assert done['nodes']['predict']['outputs']['table']['rows'] == 204
    preview = examples.api('GET', f'/api/v1/projects/examples/runs/{done["id"]}/nodes/learn/outputs/model/preview').json()
    assert preview['task'] == 'classification' and preview['classes'] == ['No', 'Yes']
    names = [name for name, _ in preview['importance']]
    assert set(names[:4]) & {'contract', 'tenure', 'monthly_charges', 'total_charges'}
    report = examples.api('GET', f'/api/v1/projects/examples/runs/{done["id"]}/nodes/judge/outputs/report/preview').json()
    assert {'roc', 'confusion'} <= {chart['kind'] for chart in report['charts']}


def test_numbers_by_two_learners(examples):
    nodes = judged(examples, 'wine')['nodes']
    line, trees = nodes['judge_line']['metrics'], nodes['judge_trees']['metrics']
    assert 0.2 < line['r2'] < 0.35 and trees['r2'] > 0.4 > line['r2']


def test_clusters_judged_by_what_they_are(examples):
    done = judged(examples, 'penguins')
    figures = done['nodes']['judge']['metrics']
    assert figures['clusters'] == 3 and figures['purity'] > 0.85 and figures['ari'] > 0.6
    more = judged(examples, 'penguins', k=4)  # one parameter: the rest is there already
    assert states(more) == {'read': 'cached', 'complete': 'cached', 'scale': 'cached', 'group': 'succeeded',
                            'predict': 'succeeded', 'judge': 'succeeded'}
