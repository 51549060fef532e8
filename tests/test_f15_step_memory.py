"""The memory of steps: told before they begin, refused where it cannot do, bounded while they run, explained when it was too little."""
import json
import pathlib
import shutil
import tempfile

import pytest

from conftest import Strata
from test_f10_pipelines import bring, chain, put, put_file, run, studio  # noqa: F401 (a fixture)

READ = {'module': 'read_csv', 'params': {'path': 'data:digits.csv'}}


def wide(n_rows):
    return b'a,b,c,d\n' + b''.join(b'%d,%d.5,x%d,%d\n' % (i, i % 97, i % 5, i % 3) for i in range(n_rows))


def test_a_step_that_needs_more_than_it_may_have_is_refused_before_it_begins(studio):
    node = {'module': 'sql', 'params': {'query': 'select * from t1'}, 'inputs': {'t1': 'read.table'}, 'memory': '64Mi'}
    put(studio, 'small', {'pipeline': 1, 'nodes': {'read': READ, 'ask': node}})
    refused = run(studio, 'small')['nodes']['ask']
    assert refused['state'] == 'failed' and refused['job'] is None, refused
    assert refused['error']['kind'] == 'memory'
    message = refused['error']['message']
    assert 'would need about' in message and 'for 1797 rows and 65 columns' in message and 'gives it 64Mi' in message
    node['memory'] = message.split('write memory: ')[1].split(',')[0]  # what it says is enough
    put(studio, 'small', {'pipeline': 1, 'nodes': {'read': READ, 'ask': node}})
    assert run(studio, 'small')['state'] == 'succeeded'
    node = {'module': 'mlp', 'params': {'label_col': 'digit', 'layers': '65536,65536'}, 'inputs': {'train': 'read.table'}}
    put(studio, 'small', {'pipeline': 1, 'nodes': {'read': READ, 'learn': node}})
    refused = run(studio, 'small')['nodes']['learn']
    assert refused['error']['kind'] == 'memory' and 'this machine has' in refused['error']['message']


def test_the_memory_of_a_step_is_a_size_in_the_document(studio):
    document = chain(2, memory='1.5Gi')
    put(studio, 'sized', document)
    at = '/api/v1/projects/studio/pipelines/sized'
    assert studio.api('GET', at).json()['document']['nodes']['n0']['memory'] == '1.5Gi'
    text = studio.api('GET', at, params={'format': 'yaml'}).text
    assert 'memory: "1.5Gi"' in text and put(studio, 'sized', text).json()['version'] == 1
    for wrong in ('-1', 'much', '1Ki', '9Ti', '[1Gi]'):
        r = put(studio, 'sized', f'pipeline: 1\nnodes:\n  a:\n    module: split\n    memory: {wrong}\n')
        assert r.status_code == 400 and r.json()['error']['mistakes'][0]['key'] == 'nodes.a.memory'


def test_a_step_gets_the_memory_that_it_will_need(studio):
    put_file(studio, 'studio', 'data', 'some.csv', wide(200000))
    node = {'module': 'sort', 'params': {'by': 'b'}, 'inputs': {'table': 'read.table'}}
    document = {'pipeline': 1, 'nodes': {'read': {'module': 'read_csv', 'params': {'path': 'data:some.csv'}}, 'sort': node}}
    put(studio, 'gets', document)
    done = run(studio, 'gets')
    assert done['state'] == 'succeeded'
    limit = studio.job('studio', done['nodes']['sort']['job'])['spec']['resources']['memory']
    node['memory'] = '256Mi'
    document['nodes']['sort']['cache'] = False  # what a step may have is no part of what it makes
    put(studio, 'gets', document)
    again = run(studio, 'gets')
    assert limit not in (256 << 20, '256Mi') and studio.job('studio', again['nodes']['sort']['job'])['spec']['resources']['memory'] in (256 << 20, '256Mi')
    assert again['nodes']['sort']['outputs'] == done['nodes']['sort']['outputs']


@pytest.fixture
def on_disk():
    """A server whose volumes lie on a disk: columns spill nowhere else."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix='strata-', dir='/var/tmp'))
    s = Strata(folder / 'state').start()
    s.project('studio')
    s.volume('studio', 'data')
    yield s
    s.stop()
    s.end_containers()
    s.check_log()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_table_larger_than_the_memory_goes_through_light_steps(on_disk):
    studio = on_disk
    """Whole numbers, which are converted when they are read: 100 MB of them under limits that the kernel keeps."""
    head = ','.join(f'k{i}' for i in range(20)) + '\n'
    put_file(studio, 'studio', 'data', 'part.csv', (head + ''.join(','.join(str((i * 7 + k) % 1000) for k in range(20)) + '\n' for i in range(40000))).encode())
    nodes = {'t0': {'module': 'read_csv', 'params': {'path': 'data:part.csv'}}}
    for i, ports in enumerate((('first', 'second', 'third', 'fourth'), ('first', 'second', 'third', 'fourth')), 1):
        nodes[f't{i}'] = {'module': 'append_rows', 'inputs': {p: f't{i - 1}.table' for p in ports}}
    for module, memory, params in (('select_columns', '80Mi', {'columns': 'k0,k1'}), ('filter_rows', '96Mi', {'expr': 'k0 < 900'}), ('append_rows', '96Mi', {})):
        nodes[module] = {'module': module, 'memory': memory, 'params': params, 'inputs': {'first': 't2.table', 'second': 't0.table'} if module == 'append_rows' else {'table': 't2.table'}}
    put(studio, 'large', {'pipeline': 1, 'nodes': nodes})
    done = run(studio, 'large')
    assert done['state'] == 'succeeded', [n['error'] for n in done['nodes'].values()]
    assert done['nodes']['t2']['outputs']['table']['bytes'] > 95 << 20
    assert done['nodes']['append_rows']['outputs']['table']['rows'] == 17 * 40000
    assert done['nodes']['filter_rows']['outputs']['table']['rows'] == 16 * 36000
    nodes['sort'] = {'module': 'sort', 'memory': '128Mi', 'params': {'by': 'k1'}, 'inputs': {'table': 't2.table'}}  # all of it at once
    put(studio, 'large', {'pipeline': 1, 'nodes': nodes})
    assert run(studio, 'large', to='sort')['nodes']['sort']['error']['kind'] == 'memory'


HOG = '''
outputs: [{name: out}]
metadata: {annotations: {strata/resources: {memory: 96Mi}}}
implementation: {container: {image: %s, command: [sh, -c, 'exec tail /dev/zero > "$0"', {outputPath: out}]}}
'''


def test_a_step_that_the_kernel_ends_says_how_much_it_had_and_needs(studio):
    bring(studio, 'hog', HOG % studio.busybox)
    for setting, had, more in (({}, '96Mi', '144Mi'), ({'memory': '48Mi'}, '48Mi', '72Mi')):
        put(studio, 'hog', {'pipeline': 1, 'nodes': {'a': {'module': 'hog', **setting}}})
        error = run(studio, 'hog')['nodes']['a']['error']
        assert error['kind'] == 'memory'
        assert f'it had {had} and needs more, about {more} ' in error['message'] and f'write memory: {more}' in error['message']
    assert studio.api('DELETE', '/api/v1/projects/studio/modules/hog').status_code == 204


def test_hostile_models_transforms_and_tables_end_their_readers_with_a_sentence(studio):
    """What another container calls a model: it is read by a step of ours, and no step crashes."""
    for kind, learn in (('model', {'module': 'logistic_regression', 'params': {'label_col': 'digit'}, 'inputs': {'train': 'read.table'}}),
                        ('transform', {'module': 'standard_scaler', 'params': {'cols': '@numeric'}, 'inputs': {'table': 'read.table'}}),
                        ('table', {'module': 'split', 'inputs': {'table': 'read.table'}})):
        bring(studio, f'forge-{kind}', f'''
inputs: [{{name: in, type: {kind}}}, {{name: how, type: String}}]
outputs: [{{name: out, type: {kind}}}]
implementation:
  container:
    image: {studio.busybox}
    command:
      - sh
      - -ec
      - |
        case $1 in
          empty) : > "$2";;
          text) echo hello > "$2";;
          cut) head -c 500 "$0" > "$2";;
          long) cat "$0" "$0" > "$2";;
          counts) head -c 40 "$0" > "$2"; yes "$(printf '\\377\\177\\377\\377')" | tr -d '\\n' | head -c 4000 >> "$2";;
        esac
      - {{inputPath: in}}
      - {{inputValue: how}}
      - {{outputPath: out}}
''')
        port = {'model': 'model', 'transform': 'transform', 'table': 'train'}[kind]
        reader = {'model': ('predict', {'table': 'read.table', 'model': None}), 'transform': ('apply_transform', {'table': 'read.table', 'transform': None}),
                  'table': ('sort', {'table': None})}[kind]
        nodes = {'read': READ, 'learn': learn}
        for how in ('empty', 'text', 'cut', 'long', 'counts'):
            nodes[f'forge-{how}'] = {'module': f'forge-{kind}', 'params': {'how': how}, 'inputs': {'in': f'learn.{port}'}}
            nodes[f'use-{how}'] = {'module': reader[0], 'params': {'by': 'digit'} if kind == 'table' else {},
                                   'inputs': {k: v or f'forge-{how}.out' for k, v in reader[1].items()}}
        put(studio, f'hostile-{kind}', {'pipeline': 1, 'nodes': nodes})
        done = run(studio, f'hostile-{kind}')['nodes']
        for how in ('empty', 'text', 'cut', 'long', 'counts'):
            made, used = done[f'forge-{how}'], done[f'use-{how}']
            if made['state'] == 'failed':  # seen at once
                assert 'is not what it says' in made['error']['message'] and used['state'] == 'skipped', (kind, how, made, used)
            else:
                assert used['state'] == 'failed' and used['error']['kind'] == 'data', (kind, how, used)
        assert any(done[f'forge-{how}']['state'] == 'succeeded' for how in ('cut', 'long', 'counts'))  # whose ends alone are wrong
        assert studio.api('DELETE', f'/api/v1/projects/studio/modules/forge-{kind}').status_code == 204


def test_ten_thousand_columns_go_through_all_of_it(studio):
    names = [f'c{i}' for i in range(10000)]
    rows = [','.join(str((r * 31 + i) % 7) for i in range(10000)) for r in range(30)]
    put_file(studio, 'studio', 'data', 'wide.csv', ('\n'.join([','.join(names), *rows]) + '\n').encode())
    document = {'pipeline': 1, 'nodes': {
        'read': {'module': 'read_csv', 'params': {'path': 'data:wide.csv'}},
        'select': {'module': 'select_columns', 'params': {'columns': '@all,-c9999'}, 'inputs': {'table': 'read.table'}},
        'split': {'module': 'split', 'inputs': {'table': 'select.table'}},
        'learn': {'module': 'gbdt_regressor', 'params': {'label_col': 'c0', 'num_trees': 2}, 'inputs': {'train': 'split.train'}},
        'predict': {'module': 'predict', 'inputs': {'model': 'learn.model', 'table': 'split.test'}},
        'judge': {'module': 'evaluate_regression', 'params': {'label_col': 'c0'}, 'inputs': {'table': 'predict.table'}}}}
    r = studio.api('POST', '/api/v1/projects/studio/pipelines/check', json=document)
    told = r.json()
    assert told['ok'] and len(r.content) < 4 << 20, told['mistakes']
    assert len(told['nodes']['read']['outputs']['table']['columns']) == 10000
    wrong = json.loads(json.dumps(document).replace('@all,-c9999', 'c10001'))
    mistakes = studio.api('POST', '/api/v1/projects/studio/pipelines/check', json=wrong).json()['mistakes']
    assert len(mistakes) == 1 and "did you mean 'c10" in mistakes[0]['message'], mistakes
    put(studio, 'wide', document)
    done = run(studio, 'wide')
    assert done['state'] == 'succeeded', [n['error'] for n in done['nodes'].values()]
    assert done['nodes']['predict']['outputs']['table']['columns'] == 10000 and len(json.dumps(done)) < 100000
    at = f'/api/v1/projects/studio/runs/{done["id"]}/nodes'
    for node, port in (('read', 'table'), ('predict', 'table'), ('learn', 'model')):
        preview = studio.api('GET', f'{at}/{node}/outputs/{port}/preview')
        assert preview.status_code == 200 and len(preview.content) < 1 << 20
        if port == 'table':  # of so many columns the first
            assert preview.json()['columns_total'] == 10000 and len(preview.json()['columns']) == 500 == len(preview.json()['head'][0])
