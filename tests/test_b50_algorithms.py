"""strata-ml: what the modules compute (against scikit-learn), say and refuse. No server is needed."""
import csv
import hashlib
import json
import math
import os
import pathlib
import random
import re
import resource
import signal
import stat
import struct
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get('STRATA_BUILD', ROOT / 'build')).resolve()
DIGITS = ROOT / 'examples/data/digits.csv'


def program():
    for path in (BUILD / 'src/algorithms/strata-ml', BUILD / 'strata-ml'):
        if path.exists():
            return str(path)
    pytest.fail(f'strata-ml is not in {BUILD}')


def ml(*words, cwd=None, env=None, limits=None, **options):
    """Runs strata-ml; options become --name value in front."""
    front = [x for k, v in options.items() for x in (f'--{k}', str(v))]
    return subprocess.run([program(), *front, *map(str, words)], cwd=cwd, capture_output=True,
                          text=True, timeout=120, env={**os.environ, **(env or {})},
                          preexec_fn=limits)


def ok(*words, **options):
    done = ml(*words, **options)
    assert done.returncode == 0, done.stderr
    return done


def refused(code, sentence, *words, **options):
    done = ml(*words, **options)
    assert done.returncode == code, (done.returncode, done.stderr)
    assert sentence in done.stderr, done.stderr
    assert done.stderr.count('\n') == 1, 'one sentence'
    return done


def write_csv(path, header, rows):
    with open(path, 'w', newline='') as f:
        w = csv.writer(f)
        w.writerow(header)
        w.writerows(rows)
    return path


def read_csv(path):
    with open(path, newline='') as f:
        return list(csv.DictReader(f))


def write_data(path, x, y, names=None):
    """A feature matrix and labels; numbers written so that they read back as the same bits."""
    names = names or [f'x{j}' for j in range(x.shape[1])]
    return write_csv(path, [*names, 'label'],
                     [[repr(float(v)) for v in row] + [k] for row, k in zip(x, y)])


class Reader:
    """docs/formats/model.md and table.md, read independently of the program."""

    def __init__(self, path, kind):
        data = pathlib.Path(path).read_bytes()
        assert data[:8] == b'\x89STR' + kind + b'\r\n\x1a'
        version, _, size, _ = struct.unpack_from('<IIQQ', data, 8)
        assert version == 2 and size == len(data) - 32
        self.data, self.at = data, 32

    def take(self, fmt):
        out = struct.unpack_from('<' + fmt, self.data, self.at)
        self.at += struct.calcsize('<' + fmt)
        return out

    def u32(self):
        return self.take('I')[0]

    def text(self):
        n = self.u32()
        self.at += n
        return self.data[self.at - n:self.at].decode()

    def transforms(self):
        out = []
        for _ in range(self.u32()):
            assert self.u32() == 1
            n = self.u32()
            names = [self.text() for _ in range(n)]
            out.append((names, self.take(f'{n}d'), self.take(f'{n}d')))
        return out


def read_model(path):
    r = Reader(path, b'M')
    m = {'kind': r.u32(), 'task': r.u32(), 'label': r.text()}
    assert m['task'] == 1
    numeric, n = r.u32() % 256 == 1, r.u32()
    m['classes'] = [r.text() for _ in range(n)]
    if numeric:
        m['values'] = r.take(f'{n}d')
    d = r.u32()
    m['features'] = [r.text() for _ in range(d)]
    m['fill'] = r.take(f'{d}d')
    m['missing_kept'] = r.u32()
    assert [r.u32() for _ in range(d)] == [0xffffffff] * d  # no categories
    m['transforms'] = r.transforms()
    if m['kind'] == 1:
        k = 1 if n == 2 else n
        flat = r.take(f'{(d + 1) * k}d')
        m['coef'] = [[flat[j * k + i] for j in range(d)] for i in range(k)]
        m['intercept'] = list(flat[d * k:])
    else:
        m['activation'] = r.u32()
        layers = r.u32()
        m['sizes'] = r.take(f'{layers + 1}I')
        m['params'] = r.take(f'{sum((a + 1) * b for a, b in zip(m["sizes"], m["sizes"][1:]))}f')
    assert r.at == len(r.data)
    return m


# --- the program -----------------------------------------------------------------------------

def test_one_static_program_of_few_megabytes(tmp_path):
    stripped = tmp_path / 'strata-ml'
    subprocess.run(['strip', '-o', stripped, program()], check=True)
    headers = subprocess.run(['readelf', '-lW', stripped], capture_output=True, text=True).stdout
    if 'asan' in str(BUILD) or 'tsan' in str(BUILD):
        pytest.skip('sanitizers need shared libraries')
    assert 'INTERP' not in headers and 'DYNAMIC' not in headers
    assert stripped.stat().st_size < 4 * 1024 * 1024


def test_manifest_describes_every_module_port_and_parameter():
    manifest = json.loads(ok('manifest').stdout)
    assert manifest['schema'] == 2
    assert json.loads(ok('--manifest').stdout) == manifest['modules']
    modules = [m['name'] for m in manifest['modules']]
    assert len(set(modules)) == len(modules) >= 7
    for m in manifest['modules']:
        assert m['title'] and m['description'] and m['category'] and m['version']
        assert m['kind'] in ('native', 'import', 'script') and m['light'] in (True, False)
        assert m['kind'] != 'native' or re.fullmatch(r'[0-9A-Za-z_.]+([*+][0-9A-Za-z_.]+)*', m['memory'])
        page = (ROOT / f'docs/modules/{m["name"]}.md').read_text()  # says how and against what
        for p in m['params'] + m['inputs'] + m['outputs']:
            assert f'`{p["name"]}`' in page, (m['name'], p['name'])
        for port in m['inputs'] + m['outputs']:
            assert port['type'] in ('table', 'model', 'transform', 'report', 'file') and port['help']
        for p in m['params']:
            assert p['help'].endswith('.')
            assert p['required'] == ('default' not in p)
            if p['type'] in ('int', 'real'):
                assert p['min'] <= p.get('default', p['min']) <= p['max']
            if p['type'] == 'choice':
                assert p['default'] in p['choices']
    one = json.loads(ok('manifest', 'mlp').stdout)
    assert [m['name'] for m in one['modules']] == ['mlp']
    for name in modules:
        text = ok('help', name).stdout  # write_parquet has no output, read_csv no input
        assert name in ok('list').stdout and ('--in ' in text or '--out ' in text)


# --- before and beside a run -------------------------------------------------------------------

def test_columns_are_known_and_mistakes_mended_before_a_run(tmp_path):
    write_csv(tmp_path / 'x.csv', ['a', 'city', 'kind'], [[1, 'p', 'x'], [2, 'q', 'y']])
    ok('read_csv', '--param', 'path=x.csv', '--out', 'table=./x.arrow', cwd=tmp_path)
    seen = json.loads(ok('--schema-only', 'read_csv', '--param', 'path=x.csv',
                         cwd=tmp_path).stdout)
    assert seen['ok'] and seen['outputs']['table']['columns'] == [
        {'name': 'a', 'type': 'int'}, {'name': 'city', 'type': 'text'},
        {'name': 'kind', 'type': 'text'}]
    wrong = ml('--schema-only', 'mlp', '--in', 'train=./x.arrow', '--param', 'label_col=kin',
               '--param', 'feature_cols=a,city', cwd=tmp_path)
    assert wrong.returncode == 2 and not list(tmp_path.glob('*.smdl'))
    label, city = json.loads(wrong.stdout)['mistakes']
    assert label['fix'] == {'param': {'name': 'label_col', 'value': 'kind'}}
    assert city['column'] == 'city' and city['fix']['insert']['module'] == 'one_hot'
    refused(2, 'No such file', '--schema-only', 'mlp', '--in', 'train=./y.arrow', cwd=tmp_path)


def test_outputs_come_with_previews_and_their_hashes(tmp_path):
    rows = [[i, i % 7 / 2, '' if i == 3 else 'a' * (3 - i % 3), f'2024-02-{i % 28 + 1:02}']
            for i in range(1000)]
    write_csv(tmp_path / 'x.csv', ['n', 'half', 'text', 'day'], rows)
    done = ok('--outputs', 'yes', '--progress', 'json', 'chain',
              'read_csv --param path=x.csv --out table=./t.arrow --out table=t',
              'standard_scaler --in table=t --param cols=half --out transform=./s.sxfm',
              cwd=tmp_path)
    told = [json.loads(line) for line in done.stdout.splitlines() if '{"t":"output"' in line]
    assert [(t['port'], t['type'], t['path']) for t in told] == [
        ('table', 'table', './t.arrow'), ('transform', 'transform', './s.sxfm')]
    assert told[0]['rows'] == 1000 and told[0]['columns'] == 4
    for t in told:
        data = (tmp_path / t['path']).read_bytes()
        assert t['bytes'] == len(data) and t['sha256'] == hashlib.sha256(data).hexdigest()
    seen = json.loads((tmp_path / 't.preview.json').read_text())
    n, half, text, day = seen['columns']
    assert (n['type'], half['type'], text['type'], day['type']) == ('int', 'real', 'text', 'date')
    assert (n['min'], n['max'], n['mean'], n['distinct']) == (0, 999, 499.5, 1000)
    assert n['quantiles'] == [0, 249.75, 499.5, 749.25, 999] and sum(n['histogram']['counts']) == 1000
    assert text['missing'] == 1 and text['top'] == [['a', 333], ['aa', 333], ['aaa', 333]] and text['distinct'] == 3
    assert len(day['histogram']['counts']) == 20 and day['distinct'] == 28
    assert seen['head'][3] == [3, 1.5, None, '2024-02-04'] and len(seen['head']) == 50
    assert json.loads((tmp_path / 's.preview.json').read_text())['kind'] == 'standard_scaler'


# --- the example -------------------------------------------------------------------------------

def test_the_digits_example_reaches_its_accuracy(tmp_path):
    yaml = pytest.importorskip('yaml')
    spec = yaml.safe_load((ROOT / 'examples/digits.yaml').read_text())
    assert spec['image'] == 'library/strata-ml:latest' and spec['project'] == 'demo'
    assert spec['volumes'] == [{'name': 'digits', 'path': '/data', 'mode': 'rw'}]
    os.symlink(DIGITS, tmp_path / 'digits.csv')
    command = [w.replace('/data/', f'{tmp_path}/') for w in spec['command']]
    assert command[0] == 'strata-ml'
    lines = ok(*command[1:]).stdout.splitlines()
    assert lines[-1].startswith('evaluate_multiclass: test accuracy 0.9')
    result = json.loads(lines[-2])
    assert result['t'] == 'progress' and result['done'] == 1
    assert result['metric']['accuracy'] >= 0.95
    report = json.loads((tmp_path / 'report.json').read_text())
    assert report['accuracy'] == result['metric']['accuracy'] and report['rows'] == 359
    assert len(read_csv(tmp_path / 'predictions.csv')) == 359
    model = read_model(tmp_path / 'model.smdl')
    assert model['label'] == 'digit' and len(model['transforms']) == 1


def test_output_is_lines_for_people_and_a_few_for_programs():
    started = time.monotonic()
    lines = ok('chain', f'read_csv --param path={DIGITS} --out table=t',
               'mlp --in train=t --param label_col=digit --param layers=256 --param epochs=150 '
               '--out model=m').stdout.splitlines()
    took = time.monotonic() - started
    events = [json.loads(line) for line in lines if line.startswith('{"t":')]
    people = [line for line in lines if not line.startswith('{')]
    assert people[0].startswith('read_csv: 1797 rows, 65 columns')
    assert people[-1].startswith('mlp: ')
    assert 1 <= len(events) <= 5 * took + 1
    for e in events:
        assert e['t'] == 'progress' and e['module'] == 'mlp' and (e['step'], e['steps']) == (2, 2)
        assert 0 <= e['done'] <= 1 and e['loss'] > 0 and e['text'].startswith('epoch ')
    assert [e['done'] for e in events] == sorted(e['done'] for e in events)
    assert ok('chain', f'read_csv --param path={DIGITS} --out table=t',
              progress='none').stdout == ''


# --- the same bytes ------------------------------------------------------------------------------

CHAIN = ['read_csv --param path={csv} --out table=all',
         'split --in table=all --param stratify_col=digit --param seed=3 --out train=a --out test=b'
         ' --out test=./test.arrow',
         'standard_scaler --in table=a --param cols=@numeric,-digit --out table=s'
         ' --out transform=./scale.sxfm',
         'logistic_regression --in train=s --param label_col=digit --out model=./lr.smdl',
         'mlp --in train=s --param label_col=digit --param layers=48,24 --param batch=300'
         ' --param epochs=8 --param early_stop=3 --param seed={seed} --out model=./mlp.smdl',
         'predict --in model=./lr.smdl --in table=b --out table=./lr.csv',
         'predict --in model=./mlp.smdl --in table=b --out table=./mlp.csv --out table=p',
         'evaluate_multiclass --in table=p --param label_col=digit --out report=./report.json']


def run_chain(folder, seed=1, **options):
    folder.mkdir()
    ok('chain', *[line.format(csv=DIGITS, seed=seed) for line in CHAIN], cwd=folder, **options)
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_results_are_the_same_bytes_for_any_number_of_threads(tmp_path):
    one = run_chain(tmp_path / '1', env={'STRATA_THREADS': '1'})
    assert len(one) == 7
    for n in (2, 3, 8):
        assert run_chain(tmp_path / str(n), env={'STRATA_THREADS': str(n)}) == one
    other = run_chain(tmp_path / 'other', seed=2)
    assert other['mlp.smdl'] != one['mlp.smdl'] and other['lr.smdl'] == one['lr.smdl']


def test_avx2_and_avx512_give_the_same_bytes(tmp_path):
    if 'avx512f' not in pathlib.Path('/proc/cpuinfo').read_text():
        pytest.skip('this CPU has no AVX-512')
    assert run_chain(tmp_path / 'a', env={'STRATA_ISA': 'avx2'}) == \
        run_chain(tmp_path / 'b', env={'STRATA_ISA': 'avx512'})


def test_the_plain_instruction_set_reaches_the_same_quality(tmp_path):
    plain = json.loads(run_chain(tmp_path / 'a', env={'STRATA_ISA': 'plain'})['report.json'])
    best = json.loads(run_chain(tmp_path / 'b')['report.json'])
    assert abs(plain['accuracy'] - best['accuracy']) <= 0.01


# --- scikit-learn as the judge -----------------------------------------------------------------

def data_of(name):
    sklearn = pytest.importorskip('sklearn.datasets')
    loaded = {'digits': sklearn.load_digits, 'iris': sklearn.load_iris,
              'wine': sklearn.load_wine, 'cancer': sklearn.load_breast_cancer}[name]()
    return loaded.data, loaded.target


@pytest.mark.parametrize('name,scale,l2', [('digits', 16.0, 1e-3), ('iris', 1.0, 1e-2),
                                           ('iris', 1.0, 1e-4), ('wine', None, 1e-2),
                                           ('cancer', None, 1e-3)])
def test_logistic_regression_finds_scikit_learns_coefficients(tmp_path, name, scale, l2):
    linear = pytest.importorskip('sklearn.linear_model')
    metrics = pytest.importorskip('sklearn.metrics')
    x, y = data_of(name)
    x = x / scale if scale else (x - x.mean(0)) / x.std(0)
    theirs = linear.LogisticRegression(C=1 / (l2 * len(x)), tol=1e-9, max_iter=2000,
                                       solver='newton-cg').fit(x, y)
    write_data(tmp_path / 'd.csv', x, y)
    ok('chain', 'read_csv --param path=./d.csv --out table=t',
       f'logistic_regression --in train=t --param label_col=label --param l2={l2} --param '
       'standardize=false --param epsilon=1e-9 --param max_iter=5000 --out model=./m.smdl',
       'predict --in model=./m.smdl --in table=t --out table=./p.csv --out table=p',
       'evaluate_multiclass --in table=p --param label_col=label --out report=./r.json',
       cwd=tmp_path)
    ours = read_model(tmp_path / 'm.smdl')
    assert list(ours['values']) == list(theirs.classes_)
    for mine, their in zip(ours['coef'], theirs.coef_):
        assert max(abs(a - b) for a, b in zip(mine, their)) < 2e-4
    p = theirs.predict_proba(x)
    for row, want in zip(read_csv(tmp_path / 'p.csv'), p):
        assert max(abs(float(row[f'prob_{k}']) - v) for k, v in zip(theirs.classes_, want)) < 2e-5
    report = json.loads((tmp_path / 'r.json').read_text())
    assert abs(report['logloss'] - metrics.log_loss(y, p)) < 1e-6
    assert abs(report['accuracy'] - theirs.score(x, y)) < 1e-12


def test_sample_weights_and_class_weights_mean_the_same(tmp_path):
    linear = pytest.importorskip('sklearn.linear_model')
    numpy = pytest.importorskip('numpy')
    x, y = data_of('wine')
    x = (x - x.mean(0)) / x.std(0)
    w = numpy.random.RandomState(0).uniform(0, 3, len(x))
    write_csv(tmp_path / 'd.csv', [*(f'x{j}' for j in range(x.shape[1])), 'w', 'label'],
              [[*map(repr, map(float, row)), repr(float(v)), k] for row, v, k in zip(x, w, y)])
    for params, fit, total in ((['weight_col=w'], {'sample_weight': w}, w.sum()),
                               (['class_weight=balanced', 'feature_cols=@numeric,-w'], {}, len(x))):
        theirs = linear.LogisticRegression(
            C=1 / (1e-2 * total), tol=1e-9, max_iter=2000, solver='newton-cg',
            class_weight=None if fit else 'balanced').fit(x, y, **fit)
        ok('chain', 'read_csv --param path=./d.csv --out table=t',
           'logistic_regression --in train=t --param label_col=label --param l2=0.01 '
           '--param standardize=false --param epsilon=1e-9 --out model=./m.smdl '
           + ' '.join(f'--param {p}' for p in params), cwd=tmp_path)
        ours = read_model(tmp_path / 'm.smdl')
        for mine, their in zip(ours['coef'], theirs.coef_):
            assert max(abs(a - b) for a, b in zip(mine, their)) < 2e-4


def test_the_scaler_equals_scikit_learns(tmp_path):
    preprocessing = pytest.importorskip('sklearn.preprocessing')
    x, y = data_of('digits')  # has constant columns
    write_data(tmp_path / 'd.csv', x, y)
    ok('chain', 'read_csv --param path=./d.csv --out table=t',
       'standard_scaler --in table=t --param cols=@numeric,-label --out table=./s.csv '
       '--out transform=./s.sxfm', cwd=tmp_path)
    want = preprocessing.StandardScaler().fit_transform(x)
    for row, expected in zip(read_csv(tmp_path / 's.csv'), want):
        assert max(abs(float(row[f'x{j}']) - v) for j, v in enumerate(expected)) < 1e-12


def test_the_network_learns_as_well_as_scikit_learns(tmp_path):
    network = pytest.importorskip('sklearn.neural_network')
    x, y = data_of('digits')
    x = x / 16
    rows = random.Random(5).sample(range(len(x)), len(x))
    train, test = rows[:1400], rows[1400:]
    theirs = network.MLPClassifier((64,), batch_size=64, max_iter=40, random_state=0,
                                   n_iter_no_change=100).fit(x[train], y[train])
    write_data(tmp_path / 'a.csv', x[train], y[train])
    write_data(tmp_path / 'b.csv', x[test], y[test])
    ok('chain', 'read_csv --param path=./a.csv --out table=a',
       'read_csv --param path=./b.csv --out table=b',
       'mlp --in train=a --param label_col=label --param layers=64 --param batch=64 '
       '--param epochs=40 --out model=m', 'predict --in model=m --in table=b --out table=p',
       'evaluate_multiclass --in table=p --param label_col=label --out report=./r.json',
       cwd=tmp_path)
    ours = json.loads((tmp_path / 'r.json').read_text())['accuracy']
    assert ours >= theirs.score(x[test], y[test]) - 0.015 and ours > 0.95


def test_evaluation_equals_scikit_learns(tmp_path):
    metrics = pytest.importorskip('sklearn.metrics')
    rng = random.Random(1)
    names = ['', 'b,"c', 'ä', 'd']
    truth = [rng.choice(names) for _ in range(500)]
    guess = [t if rng.random() < .6 else rng.choice(names) for t in truth]
    with open(tmp_path / 'd.csv', 'w', newline='') as f:
        w = csv.writer(f, quoting=csv.QUOTE_ALL)
        w.writerows([['truth', 'prediction'], *zip(truth, guess)])
    ok('chain', 'read_csv --param path=./d.csv --out table=t',
       'evaluate_multiclass --in table=t --param label_col=truth --out report=./r.json',
       cwd=tmp_path)
    r = json.loads((tmp_path / 'r.json').read_text())
    labels = [c['class'] for c in r['classes']]
    assert r['confusion'] == metrics.confusion_matrix(truth, guess, labels=labels).tolist()
    assert math.isclose(r['mcc'], metrics.matthews_corrcoef(truth, guess), rel_tol=1e-9)
    for average in ('macro', 'micro', 'weighted'):
        p, c, f1, _ = metrics.precision_recall_fscore_support(truth, guess, average=average)
        for key, value in (('precision', p), ('recall', c), ('f1', f1)):
            assert math.isclose(r[average][key], value, rel_tol=1e-9)


def test_text_labels_and_missing_values_work_from_end_to_end(tmp_path):
    x, y = data_of('iris')
    rows = [[repr(float(v)) for v in row] + [['setosa', 'versi "color"', 'virginica'][k]]
            for row, k in zip(x, y)]
    rows[3][1] = rows[77][0] = ''
    write_csv(tmp_path / 'd.csv', ['a', 'b', 'c', 'd', 'species'], rows)
    read = 'read_csv --param path=./d.csv --out table=t'
    refused(3, "column 'a', row 78: the value is missing", 'chain', read,
            'logistic_regression --in train=t --param label_col=species --out model=m',
            cwd=tmp_path)
    ok('chain', read, 'logistic_regression --in train=t --param label_col=species '
       '--param missing=mean --out model=m',
       'predict --in model=m --in table=t --out table=./p.csv --param keep_cols=species',
       cwd=tmp_path)
    out = read_csv(tmp_path / 'p.csv')
    assert list(out[0]) == ['species', 'prediction', 'prob_setosa', 'prob_versi "color"',
                            'prob_virginica']
    assert sum(r['species'] == r['prediction'] for r in out) >= 145
    assert all(abs(sum(float(v) for k, v in r.items() if k.startswith('prob_')) - 1) < 1e-12
               for r in out)


# --- reading text ------------------------------------------------------------------------------

def test_csv_round_trip_keeps_every_cell(tmp_path):
    rng = random.Random(2)
    texts = ['', 'a', ' b ', 'x,y', '"', '""q""', 'line\nbreak', 'crlf\r\n', '名前', 'NA', '1.5']
    rows = [[repr(rng.choice([rng.uniform(-1, 1), rng.randrange(-10**9, 10**9) / 3,
                              rng.uniform(-1, 1) * 10**rng.randrange(-300, 300)])),
             rng.choice(texts), rng.choice(texts[:4])] for _ in range(3000)]
    with open(tmp_path / 'd.csv', 'w', newline='', encoding='utf-8') as f:
        w = csv.writer(f, quoting=csv.QUOTE_NONNUMERIC, lineterminator='\n')
        w.writerow(['n', 'text', 'more'])
        for n, a, b in rows:
            f.write(n + ',')
            w.writerow([a, b])
    ok('read_csv', '--param', f'path={tmp_path}/d.csv', '--out', f'table={tmp_path}/t.csv')
    out = read_csv(tmp_path / 't.csv')
    assert len(out) == len(rows)
    for got, (n, a, b) in zip(out, rows):
        assert float(got['n']) == float(n) and got['text'] == a and got['more'] == b


def test_bad_text_is_named_by_line_and_column(tmp_path):
    def read(content, *params, code=3, sentence=''):
        (tmp_path / 'd.csv').write_bytes(content)
        words = [x for p in params for x in ('--param', p)]
        return refused(code, sentence, 'read_csv', '--param', 'path=d.csv', *words, '--out',
                       'table=t.arrow', cwd=tmp_path)

    read(b'', sentence='empty')
    read(b'a,b\n1,2\n3\n', sentence='d.csv: line 3 has 1 cells, and 2 columns')
    read(b'a,b\n1,"x\n', sentence='line 2, column 2: a quote is opened and never closed')
    read(b'a,b\n1,"x"y\n', sentence='line 2, column 2: text follows a closing quote')
    read(b'a,b\n1,\xff\n', sentence='line 2, column 2 is not UTF-8')
    read(b'a,b\n1,2\nx,4\n', 'number_cols=a',
         sentence="line 3, column 1 ('a'): 'x' is not a number")
    read(b'a,b\n1,2\n', 'text_cols=c', code=2, sentence="no column 'c'")
    read(b'a,a\n1,2\n', 'header=yes', sentence="columns 1 and 2 are both named 'a'")
    assert not (tmp_path / 't.arrow').exists()
    refused(2, 'No such file', 'read_csv', '--param', 'path=none.csv', '--out', 'table=t.arrow',
            cwd=tmp_path)
    refused(2, 'not a regular file', 'read_csv', '--param', 'path=/dev/null', '--out',
            'table=t.arrow', cwd=tmp_path)


# --- refusals ----------------------------------------------------------------------------------

@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    run_chain(folder / 'x')
    return folder / 'x'


def test_predict_wants_exactly_the_columns_of_the_model(tmp_path, trained):
    header, *rows = csv.reader(open(DIGITS))
    write_csv(tmp_path / 'less.csv', [h if h != 'p7' else 'p_7' for h in header], rows[:5])
    write_csv(tmp_path / 'few.csv', header[:10], [r[:10] for r in rows[:5]])
    write_csv(tmp_path / 'text.csv', header, [[*r[:3], 'dark', *r[4:]] for r in rows[:5]])
    write_csv(tmp_path / 'mixed.csv', header[::-1], [r[::-1] for r in rows[:5]])

    def predict(name):
        return ['chain', f'read_csv --param path={tmp_path}/{name}.csv --out table=t',
                f'predict --in model={trained}/lr.smdl --in table=t --out table={tmp_path}/o.csv']

    refused(3, "trained with column 'p7', which the table has not: did you mean 'p_7'?",
            *predict('less'))
    refused(3, "the model was trained with 54 columns that the table has not: 'p10', 'p11'",
            *predict('few'))
    refused(3, "column 'p3' holds text", *predict('text'))
    ok(*predict('mixed'))  # columns are found by name, not by place


def test_scaled_tables_are_not_scaled_twice_and_others_refused(tmp_path, trained):
    read = f'read_csv --param path={DIGITS} --out table=t'
    ok('chain', read, 'standard_scaler --in table=t --param cols=@numeric,-digit '
       '--out table=./other.arrow', cwd=tmp_path)
    refused(3, 'went through a transform that the model was not trained behind', 'predict', '--in',
            f'model={trained}/lr.smdl', '--in', 'table=other.arrow', '--out', 'table=p.arrow',
            cwd=tmp_path)
    ok('predict', '--in', f'model={trained}/lr.smdl', '--in', f'table={trained}/test.arrow',
       '--in', f'transform={trained}/scale.sxfm', '--out', 'table=p.csv', cwd=tmp_path)
    assert (tmp_path / 'p.csv').read_bytes() == (trained / 'lr.csv').read_bytes()


def test_wrong_words_end_with_two_and_the_nearest_name(tmp_path, trained):
    refused(2, "no module 'readcsv': did you mean 'read_csv'?", 'readcsv')
    refused(2, "no parameter 'epoch': did you mean 'epochs'?", 'mlp', '--param', 'epoch=3')
    refused(2, "parameter epochs: 'many' is not a whole number", 'mlp', '--param', 'epochs=many')
    refused(2, 'parameter activation: \'gelu\' is none of relu|tanh', 'mlp', '--param',
            'activation=gelu')
    refused(2, 'mlp needs --in train=', 'mlp')
    refused(2, "--threads: 'x' is not", 'mlp', threads='x')
    refused(2, "'--thread' is no option here", '--thread', '3', 'mlp')
    refused(2, "label_col: the table has no column 'digits': did you mean 'digit'?", 'mlp', '--in',
            f'train={trained}/test.arrow', '--param', 'label_col=digits', '--out', 'model=m.smdl',
            cwd=tmp_path)
    refused(3, 'a Strata model, and a table is needed here', 'mlp', '--in',
            f'train={trained}/lr.smdl', '--param', 'label_col=x', '--out', 'model=m.smdl')
    refused(3, 'not an Arrow file: text is read by the module read_csv', 'mlp', '--in',
            f'train={DIGITS}', '--param', 'label_col=x', '--out', 'model=m.smdl')
    assert ml().returncode == 2
    assert not list(tmp_path.iterdir())


def test_too_little_memory_ends_with_four_and_says_how_much(tmp_path):
    lines = [f'read_csv --param path={DIGITS} --out table=t',
             'mlp --in train=t --param label_col=digit --param layers=4096,4096 --out model=m']
    done = refused(4, 'not enough memory for', 'chain', *lines, memory='32Mi')
    assert 'it needs 6' in done.stderr and 'MiB' in done.stderr

    def address_space():
        resource.setrlimit(resource.RLIMIT_AS, (96 << 20, 96 << 20))

    if 'san' not in BUILD.name:
        refused(4, 'not enough memory for', 'chain', *lines, limits=address_space, threads=1)


def test_an_output_that_cannot_be_written_leaves_nothing(tmp_path):
    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    refused(1, 'File too large', 'read_csv', '--param', f'path={DIGITS}', '--out',
            'table=t.arrow', cwd=tmp_path, limits=small_files)
    refused(2, 'No such file or directory', 'read_csv', '--param', f'path={DIGITS}', '--out',
            'table=none/t.arrow', cwd=tmp_path)
    assert not list(tmp_path.iterdir())


def test_damaged_files_never_crash_it(tmp_path, trained):
    rng = random.Random(3)
    for name, words in (('lr.smdl', ['predict', '--in', 'model=x', '--in',
                                     f'table={trained}/test.arrow', '--out', 'table=o.arrow']),
                        ('test.arrow', ['predict', '--in', f'model={trained}/mlp.smdl', '--in',
                                       'table=x', '--out', 'table=o.arrow'])):
        good = (trained / name).read_bytes()
        for i in range(30):
            bad = bytearray(good)
            if i % 3 == 0:
                del bad[rng.randrange(len(bad)):]
            else:
                at = rng.randrange(12) if i % 3 == 1 else rng.randrange(16, len(bad))
                bad[at] ^= 1 << rng.randrange(8)
            (tmp_path / 'x').write_bytes(bad)
            assert ml(*words, cwd=tmp_path).returncode == 3


def test_values_too_large_for_a_network_are_explained(tmp_path, trained):
    write_csv(tmp_path / 'd.csv', ['x', 'label'], [[i * 3e36, i % 2] for i in range(100)])
    refused(3, 'the loss is not finite in epoch', 'chain',
            'read_csv --param path=./d.csv --out table=t',
            'mlp --in train=t --param label_col=label --out model=./m.smdl', cwd=tmp_path)
    header, *rows = csv.reader(open(DIGITS))
    rows[2][5] = '1e300'
    write_csv(tmp_path / 'e.csv', header, rows[:4])
    refused(3, "column 'p5', row 3: ", 'chain',
            'read_csv --param path=./e.csv --out table=t',
            f'predict --in model={trained}/mlp.smdl --in table=t --out table=p', cwd=tmp_path)


# --- what was changed in silence ---

def read_text(tmp_path, text, *params):
    path = tmp_path / 'in.csv'
    path.write_text(text)
    done = ok('read_csv', '--param', f'path={path}', '--out', f'table={tmp_path / "out.csv"}',
              *[x for p in params for x in ('--param', p)], progress='text')
    return (tmp_path / 'out.csv').read_text(), done.stdout


def test_what_the_first_line_was_taken_for_is_said(tmp_path):
    out, said = read_text(tmp_path, '0,1,2\n5.1,3.5,4\n4.9,3,2\n')
    assert out.startswith('0,1,2\n5.1,') and 'header: the first line names the columns' in said
    out, said = read_text(tmp_path, '7,1,2\n5.1,3.5,4\n')
    assert out.startswith('column_1,') and 'no header: the first line is data' in said
    path = tmp_path / 'pairs.csv'
    path.write_text('0,1\n0,2\n')
    refused(3, 'header=yes or header=no', 'read_csv', '--param', f'path={path}', '--out', f'table={tmp_path}/o.csv')
    assert read_text(tmp_path, '0,1\n0,2\n', 'header=no')[0].count('\n') == 3


def test_ids_stay_apart(tmp_path):
    out, said = read_text(tmp_path, 'id,zip\n9007199254740993,0012\n9007199254740992,12\n')
    assert out == 'id,zip\n9007199254740993,0012\n9007199254740992,12\n'
    assert "'id' (line 2)" in said
    path = tmp_path / 'in.csv'
    refused(3, "line 2, column 1 ('id')", 'read_csv', '--param', f'path={path}', '--param', 'number_cols=id',
            '--out', f'table={tmp_path}/o.csv')


def test_outputs_are_regular_files_or_nothing(tmp_path):
    source = tmp_path / 'in.csv'
    source.write_text('a,b\n1,2\n')
    os.mkfifo(tmp_path / 'fifo.csv')
    os.mknod(tmp_path / 'null.csv', 0o666 | stat.S_IFCHR, os.makedev(1, 3)) if os.geteuid() == 0 else None
    (tmp_path / 'target.csv').write_text('kept')
    (tmp_path / 'link.csv').symlink_to('target.csv')
    (tmp_path / 'dir.csv').mkdir()
    for name in ('fifo.csv', 'null.csv', 'link.csv', 'dir.csv'):
        path = tmp_path / name
        if path.exists():
            before = os.lstat(path)
            refused(2, 'an output is a regular file', 'read_csv', '--param', f'path={source}', '--out', f'table={path}')
            assert os.lstat(path).st_ino == before.st_ino and os.lstat(path).st_mode == before.st_mode
    assert (tmp_path / 'target.csv').read_text() == 'kept'
    refused(2, 'not a regular file', 'read_csv', '--param', f'path={tmp_path}/fifo.csv', '--out', f'table={tmp_path}/o.csv')
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != '.csv') == []


def test_a_full_standard_output_is_an_error():
    for words in (['manifest'], ['list'], ['help', 'mlp']):
        with open('/dev/full', 'w') as full:
            done = subprocess.run([program(), *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        assert done.returncode == 1 and 'standard output' in done.stderr, words


# --- types of columns ------------------------------------------------------------------------------

def test_types_go_through_a_csv_file_and_labels_keep_their_words(tmp_path):
    rows = [['7', '0.5', 'true', '2024-02-29', '2024-02-29T08:00:00Z', 'Taipei'],
            ['', '2', 'false', '', '1969-12-31T23:59:59.500Z', ''],
            ['1000000000000000', '', '', '9999-12-31', '', 'x, y']]
    write_csv(tmp_path / 'a.csv', ['i', 'r', 'b', 'd', 't', 's'], rows)
    ok('read_csv', '--param', 'path=a.csv', '--out', 'table=b.csv', cwd=tmp_path)
    assert (tmp_path / 'b.csv').read_text() == (tmp_path / 'a.csv').read_text().replace('\r', '')
    refused(3, "line 2, column 1 ('i'): '7' is not a time", 'read_csv', '--param', 'path=a.csv', '--param', 'types=i:time',
            '--out', 'table=c.csv', cwd=tmp_path)
    write_csv(tmp_path / 'l.csv', ['x', 'when', 'gone'],
              [[i % 17, '2024-01-01', 'True' if i % 17 > 8 else 'False'] for i in range(200)])
    ok('chain', 'read_csv --param path=./l.csv --out table=t',
       'logistic_regression --in train=t --param label_col=gone --out model=./m.smdl',
       'predict --in model=./m.smdl --in table=t --out table=./p.csv --out table=p',
       'evaluate_multiclass --in table=p --param label_col=gone --out report=./r.json', cwd=tmp_path)
    report = json.loads((tmp_path / 'r.json').read_text())
    assert report['accuracy'] == 1 and report['logloss'] < 1
    model = read_model(tmp_path / 'm.smdl')
    assert model['classes'] == ['false', 'true'] and model['features'] == ['x']  # a date is no @numeric
    first = read_csv(tmp_path / 'p.csv')[0]
    assert (first['prediction'], first['when']) == ('false', '2024-01-01') and 'prob_true' in first


PEAK = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"""


@pytest.mark.parametrize('words', [
    'pca --in table=./t.arrow --param cols=@numeric,-label --param k=2 --out transform=./x',
    'gbdt_classifier --in train=./t.arrow --param label_col=label --param num_trees=2 --out model=./x',
    'linear_regression --in train=./t.arrow --param label_col=label --out model=./x'])
def test_a_table_that_was_read_does_not_stay_in_memory(tmp_path, words):
    """A small process starts it: the child of a large one begins with the peak of that."""
    rows, columns = 200_000, 40
    lines = [','.join(str((i + 1) * (j + 3) % 17 / 2) for j in range(columns)) + f',{i % 2}\n' for i in range(10)]
    (tmp_path / 't.csv').write_text(','.join(f'x{j}' for j in range(columns)) + ',label\n' + ''.join(lines) * (rows // 10))
    ok('read_csv', '--param', 'path=./t.csv', '--out', 'table=./t.arrow', cwd=tmp_path)
    size = (tmp_path / 't.arrow').stat().st_size
    peak = subprocess.run([sys.executable, '-I', '-S', '-c', PEAK, program(), '--threads', '1', *words.split()],
                          cwd=tmp_path, check=True, capture_output=True, text=True)
    assert int(peak.stdout) * 1024 < size * 0.8, f'{peak.stdout} KiB for a table of {size >> 10} KiB'
