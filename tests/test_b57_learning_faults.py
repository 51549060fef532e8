"""strata-ml: every module that learns, on tables that are hard to learn from: a model whose numbers are finite, or one sentence."""
import json
import math

import numpy as np
import pytest

from test_b50_algorithms import ml, ok, read_csv, write_csv

# Words that make each learn from the columns below, and the module that asks its model.
LABELLED = '--param label_col=label'
SERIES = '--param value_col=a --param fitted_col=was'
RATINGS = '--param user_col=a --param item_col=b'
MODULES = {
    'logistic_regression': LABELLED, 'naive_bayes': LABELLED, 'knn': LABELLED, 'svm_linear': LABELLED, 'svm_rbf': LABELLED,
    'decision_tree': LABELLED, 'random_forest': f'{LABELLED} --param num_trees=5', 'gbdt_classifier': f'{LABELLED} --param num_trees=5',
    'mlp': f'{LABELLED} --param epochs=2 --param layers=4', 'linear_regression': LABELLED, 'gbdt_regressor': f'{LABELLED} --param num_trees=5',
    'kmeans': '--param k=2', 'dbscan': '', 'isolation_forest': '--param num_trees=5', 'pca': '', 'als': f'{RATINGS} --param rate_col=c', 'item_cf': f'{RATINGS} --param rate_col=c',
    'fp_growth': '--param items_col=label', 'holt_winters': SERIES, 'arima': f'{SERIES} --param p=1 --param q=0', 'standard_scaler': '', 'min_max_scaler': '', 'robust_scaler': '',
    'impute': '', 'bin': '--param cols=@numeric,-label', 'one_hot': '--param cols=@text', 'string_index': '--param cols=@text', 'tfidf': '--param col=label',
}
NUMBERS = ('linear_regression', 'gbdt_regressor')


def rows_of(fault, module):
    """Columns a, b, c and label (a number where one is predicted)."""
    n = 12
    label = [i % 2 if module in NUMBERS else ('xx', 'yy')[i % 2] for i in range(n)]
    a, b, c = [i % 5 + i / 10 for i in range(n)], [i % 3 for i in range(n)], [i * i % 7 for i in range(n)]
    if fault == 'constant columns':
        a, b, c = [3] * n, [0] * n, [-1] * n
    if fault == 'one class':
        label = label[:1] * n
    if fault == 'all missing':
        a, b, c, label = [''] * n, [''] * n, [''] * n, [''] * n
    if fault == 'a column missing':
        a = [''] * n
    if fault == 'labels missing':
        label = [''] * n
    if fault == 'nan':
        a[4], c[5] = 'nan', ''
    if fault == 'infinity':
        a[4], b[7] = 'inf', '-inf'
    if fault == 'huge':
        a, b = [1.7e308 * (-1) ** i for i in range(n)], [1e-308 * i for i in range(n)]
    if fault == 'one row':
        a, b, c, label = a[:1], b[:1], c[:1], label[:1]
    if fault == 'no rows':
        a, b, c, label = [], [], [], []
    if fault == 'more columns than rows':
        wide = [[(i * 31 + j * 17) % 11 for j in range(40)] for i in range(3)]
        return ['a', 'b', 'c', *(f'w{j}' for j in range(40)), 'label'], [[a[i], b[i], c[i], *wide[i], label[i]] for i in range(3)]
    return ['a', 'b', 'c', 'label'], [list(r) for r in zip(a, b, c, label)]


def modules_that_learn():
    """All whose first input is what they learn from, or that fit a transform."""
    out = []
    for m in json.loads(ml('--manifest').stdout):
        kinds = {o['type'] for o in m['outputs']}
        if m['inputs'] and m['inputs'][0]['name'] == 'train' and kinds & {'model', 'transform'} and not any(p['name'] == 'learner' for p in m['params']):
            out.append(m['name'])
    return out


def test_every_module_that_learns_is_here():
    assert set(modules_that_learn()) <= set(MODULES), set(modules_that_learn()) - set(MODULES)


def finite(text):
    try:
        return math.isfinite(float(text))
    except ValueError:
        return True  # a text, or nothing


FAULTS = ['constant columns', 'one class', 'all missing', 'a column missing', 'labels missing', 'nan', 'infinity', 'huge', 'one row', 'no rows', 'more columns than rows']


@pytest.mark.parametrize('module', sorted(MODULES))
def test_hard_tables_give_a_model_or_a_sentence(tmp_path, module):
    manifest = next(m for m in json.loads(ml('--manifest').stdout) if m['name'] == module)
    port, out = manifest['inputs'][0]['name'], manifest['outputs'][0]
    use = {'model': 'predict', 'transform': 'apply_transform'}.get(out['type'])
    use = {'holt_winters': 'forecast', 'arima': 'forecast', 'als': 'recommend', 'item_cf': 'recommend'}.get(module, use)
    learned = 0
    for fault in FAULTS:
        header, rows = rows_of(fault, module)
        write_csv(tmp_path / 'd.csv', header, rows)
        kinds = 'a:real,b:real,c:real,label:' + ('real' if module in NUMBERS else 'text')
        words = MODULES[module]
        if any(p['name'] == 'feature_cols' for p in manifest['params']):
            words += ' --param feature_cols=@numeric' + (',-label' if module in NUMBERS else '')
        steps = [f'read_csv --param path=./d.csv --param types={kinds} --out table=t', f'{module} --in {port}=t {words} --out {out["name"]}={"m" if use else "./p.csv"}']
        if use:
            steps.append(f'{use} --in {out["type"]}=m {"" if use == "forecast" else "--in table=t"} --out table=./p.csv')
        (tmp_path / 'p.csv').unlink(missing_ok=True)
        done = ml('chain', *steps, cwd=tmp_path)
        assert done.returncode in (0, 2, 3), (fault, done.returncode, done.stderr)  # never a signal
        if done.returncode:
            assert done.stderr.count('\n') == 1 and 'strata-ml: step' in done.stderr, (fault, done.stderr)
            continue
        learned += 1
        for i, row in enumerate(read_csv(tmp_path / 'p.csv')):
            new = {k: v for k, v in row.items() if k not in header and k is not None}
            assert all(finite(v) for v in new.values()), (fault, i, row)
    assert learned >= 2, 'some of these can be learned from'


@pytest.mark.parametrize('module', ['logistic_regression', 'knn', 'svm_linear', 'svm_rbf', 'mlp', 'linear_regression', 'kmeans', 'isolation_forest', 'gbdt_classifier',
                                    'random_forest', 'decision_tree', 'naive_bayes', 'gbdt_regressor', 'holt_winters', 'arima', 'als', 'item_cf'])
def test_the_sentence_names_the_column_and_the_row(tmp_path, module):
    header, rows = rows_of('infinity', module)
    write_csv(tmp_path / 'd.csv', header, rows)
    kinds = 'a:real,b:real,c:real,label:' + ('real' if module in NUMBERS else 'text')
    words = MODULES[module] + ('' if 'feature' in MODULES[module] or module in ('holt_winters', 'arima', 'als', 'item_cf') else ' --param feature_cols=a,b,c')
    done = ml('chain', f'read_csv --param path=./d.csv --param types={kinds} --out table=t', f'{module} --in train=t {words} --out model=m', cwd=tmp_path)
    assert done.returncode == 3 and "column 'a'" in done.stderr and 'row 5' in done.stderr, done.stderr


def numbered(n, first=1, gap=1, name='id'):
    rng = np.random.RandomState(3)
    return [[name, 'x', 'y']] + [[first + i * gap, x, round(3 * x + i / 10, 6)] for i, x in enumerate(np.round(rng.standard_normal(n), 6))]


def learned_from(tmp_path, rows, words=''):
    write_csv(tmp_path / 'd.csv', rows[0], rows[1:])
    done = ok('--outputs', 'yes', '--progress', 'json', 'chain', 'read_csv --param path=./d.csv --out table=t',
              f'linear_regression --in train=t --param label_col=y {words} --out model=./m.smdl', cwd=tmp_path)
    told = [json.loads(line)['text'] for line in done.stdout.splitlines() if line.startswith('{"t":"warning"')]
    return json.loads((tmp_path / 'm.preview.json').read_text())['features'], told


def test_a_column_that_numbers_the_rows_is_left_out_and_told_of(tmp_path):
    for rows in (numbered(40), numbered(40, first=0, name='column_1'), numbered(40, first=3, gap=2, name='rownames')):
        features, told = learned_from(tmp_path, rows)
        assert features == ['x'] and told == [f"column '{rows[0][0]}' only numbers the rows and is left out; name it in feature_cols to learn from it"]
    features, told = learned_from(tmp_path, numbered(40), '--param feature_cols=id,x')
    assert features == ['id', 'x'] and len(told) == 1 and 'leave it out with feature_cols=@all,-id' in told[0]
    assert learned_from(tmp_path, numbered(40), '--param feature_cols=@numeric,-x')[0] == ['id']  # nothing else is there
    for rows in (numbered(40, first=1949, name='year'), numbered(40, first=3, gap=2, name='dose'), numbered(40, name='week'), numbered(15), numbered(40, gap=-1)):
        assert learned_from(tmp_path, rows) == ([rows[0][0], 'x'], [])


def test_a_numbering_that_is_a_category_or_has_no_plain_name_stays(tmp_path):
    rows = numbered(60)
    write_csv(tmp_path / 'd.csv', rows[0], rows[1:])
    done = ok('chain', 'read_csv --param path=./d.csv --out table=t', 'gbdt_regressor --in train=t --param label_col=y --param categorical_cols=id --out model=m', cwd=tmp_path)
    assert "column 'id' only numbers the rows, and is learned from" in done.stdout
    (tmp_path / 'd.jsonl').write_text(''.join(json.dumps({'id ': i, 'x': x, 'y': y}) + '\n' for i, x, y in rows[1:]))
    assert ok('chain', 'read_jsonl --param path=./d.jsonl --out table=t', 'linear_regression --in train=t --param label_col=y --out model=m', cwd=tmp_path)


def test_clusters_are_not_of_row_numbers(tmp_path):
    write_csv(tmp_path / 'd.csv', ['id', 'x'], [[i, i % 2 * 100] for i in range(60)])
    for words in ('kmeans --param k=2 --in train=t --out model=./m.smdl', 'dbscan --param epsilon=5 --in table=t --out table=./c.csv'):
        done = ok('chain', 'read_csv --param path=./d.csv --out table=t', words, cwd=tmp_path)
        assert "warning: column 'id' only numbers the rows and is left out" in done.stdout


def test_text_among_the_features_is_told_once_with_the_remedy(tmp_path):
    write_csv(tmp_path / 'd.csv', ['a', 'b', 'x', 'y'], [['p', 'q', i, 'r'] for i in range(9)])
    ok('read_csv', '--param', 'path=./d.csv', '--out', 'table=./d.arrow', cwd=tmp_path)
    check = lambda module: json.loads(ml('--schema-only', module, '--in', 'train=./d.arrow', '--param', 'label_col=y', '--param', 'feature_cols=@all', cwd=tmp_path).stdout)['mistakes']
    mistake, = check('logistic_regression')
    assert mistake['message'] == "columns 'a', 'b' hold text, and numbers are needed here: leave them out (@numeric) or encode first (one_hot, string_index)"
    assert mistake['fix']['insert'] == {'module': 'one_hot', 'port': 'train', 'params': {'cols': 'a,b'}}
    label, features = check('linear_regression')  # a label of text is no feature
    assert (label['param'], label['column']) == ('label_col', 'y') and (features['param'], features['column']) == ('feature_cols', 'a,b')
