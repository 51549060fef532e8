"""Learners of trees against XGBoost and scikit-learn, each on several sets of data. No server is needed."""
import json

import pytest

from test_b50_algorithms import ROOT, data_of, ml, ok, read_csv, refused, write_csv

numpy = pytest.importorskip('numpy')
CREDIT = ROOT / 'examples/data/credit_data.csv'
READ = 'read_csv --param path=./d.csv --out table=t'


def boosted_data(name):
    """Columns with at most 255 different values each: XGBoost and we look at the same cuts."""
    if name == 'diabetes':
        x, y = pytest.importorskip('sklearn.datasets').load_diabetes(return_X_y=True)
        return numpy.delete(x, 5, axis=1), y
    x, y = data_of(name)
    return x, y


def write(path, x, y, **more):
    names = [f'x{j}' for j in range(x.shape[1])]
    cell = lambda v: '' if numpy.isnan(v) else repr(float(v))  # noqa: E731
    return write_csv(path / 'd.csv', [*names, *more, 'label'],
                     [[*map(cell, row), *[v[i] for v in more.values()], k]
                      for i, (row, k) in enumerate(zip(x, y))])


def learn(path, module, predict='', **params):
    """The predictions for the rows of d.csv, from a model trained on them."""
    words = ' '.join(f'--param {k}={v}' for k, v in params.items())
    done = ok('chain', READ, f'{module} --in train=t --param label_col=label {words} --out model=./m.smdl',
              f'predict --in model=./m.smdl --in table=t --out table=./p.csv {predict}', cwd=path)
    rows = read_csv(path / 'p.csv')
    names = [c for c in rows[0] if c.startswith('prob_')] or ['prediction']
    out = numpy.array([[float(r[c]) for c in names] for r in rows])
    return (out if len(names) > 1 else out[:, 0]), done.stdout


def xgboost_says(x, y, rounds, start, weight=None, **params):
    xgboost = pytest.importorskip('xgboost')
    base = numpy.tile(start, (len(y), 1)) if numpy.ndim(start) else numpy.full(len(y), start)
    made = lambda: xgboost.DMatrix(x, label=y, weight=weight, base_margin=base)  # noqa: E731
    return xgboost.train({'tree_method': 'hist', 'eta': 0.1, 'nthread': 1, **params}, made(), rounds).predict(made())


# --- boosted trees ---------------------------------------------------------------------------------

@pytest.mark.parametrize('name', ['iris', 'wine'])
@pytest.mark.parametrize('ours,theirs', [
    ({}, {}), ({'lambda': 0.3, 'gamma': 0.2, 'min_child_weight': 3, 'max_depth': 3},
               {'lambda': 0.3, 'gamma': 0.2, 'min_child_weight': 3, 'max_depth': 3}),
    ({'max_leaves': 5, 'max_depth': 20}, {'grow_policy': 'lossguide', 'max_leaves': 5, 'max_depth': 20})])
def test_boosted_classes_are_xgboosts(tmp_path, name, ours, theirs):
    x, y = boosted_data(name)
    write(tmp_path, x, y)
    p, _ = learn(tmp_path, 'gbdt_classifier', num_trees=25, **ours)
    want = xgboost_says(x, y, 25, numpy.log(numpy.bincount(y) / len(y)), objective='multi:softprob', num_class=3,
                        **theirs)
    assert abs(p - want).max() < 1e-5
    two = (y > 0).astype(int)
    write(tmp_path, x, two)
    p, _ = learn(tmp_path, 'gbdt_classifier', num_trees=25, **ours)
    share = two.mean()
    want = xgboost_says(x, two, 25, numpy.log(share / (1 - share)), objective='binary:logistic', **theirs)
    assert abs(p[:, 1] - want).max() < 1e-5


@pytest.mark.parametrize('name,objective,theirs', [('diabetes', 'l2', 'reg:squarederror'),
                                                   ('diabetes', 'poisson', 'count:poisson'),
                                                   ('wine', 'l2', 'reg:squarederror'),
                                                   ('wine', 'poisson', 'count:poisson')])
def test_boosted_numbers_are_xgboosts(tmp_path, name, objective, theirs):
    x, y = boosted_data(name)
    y = x[:, 0] * 3 + y if name == 'wine' else y  # some numbers
    x = x[:, 1:]
    write(tmp_path, x, y)
    p, _ = learn(tmp_path, 'gbdt_regressor', num_trees=30, objective=objective, max_depth=4, min_child_weight=2)
    start = numpy.log(y.mean()) if objective == 'poisson' else y.mean()
    want = xgboost_says(x, y, 30, start, objective=theirs, max_depth=4, min_child_weight=2)
    assert (abs(p - want) / abs(want)).max() < 1e-4


def test_weights_and_missing_values_are_xgboosts(tmp_path):
    rng = numpy.random.RandomState(4)
    for name in ('wine', 'diabetes'):
        x, y = boosted_data(name)
        w = rng.uniform(0.5, 2, len(y)).round(3)
        x = numpy.where(rng.uniform(size=x.shape) < 0.15, numpy.nan, x)
        write(tmp_path, x, y, w=w)
        if name == 'wine':
            p, _ = learn(tmp_path, 'gbdt_classifier', num_trees=15, weight_col='w', max_depth=4)
            start = numpy.log(numpy.bincount(y, w) / w.sum())
            want = xgboost_says(x, y, 15, start, w, objective='multi:softprob', num_class=3, max_depth=4)
            assert abs(p - want).max() < 1e-3
        else:
            p, _ = learn(tmp_path, 'gbdt_regressor', num_trees=15, weight_col='w', max_depth=4)
            want = xgboost_says(x, y, 15, (w * y).sum() / w.sum(), w, max_depth=4)
            assert abs(p - want).mean() < 1e-2 * y.std()


@pytest.mark.parametrize('objective', ['l1', 'huber', 'quantile'])
def test_robust_objectives_reach_scikit_learns_loss(tmp_path, objective):
    ensemble = pytest.importorskip('sklearn.ensemble')
    losses = {'l1': lambda y, p: abs(y - p).mean(), 'huber': lambda y, p: abs(y - p).mean(),
              'quantile': lambda y, p: numpy.where(y >= p, .8 * (y - p), .2 * (p - y)).mean()}
    for name in ('diabetes', 'wine'):
        x, y = boosted_data(name)
        y = x[:, 0] * 3 + y if name == 'wine' else y
        x = x[:, 1:]
        write(tmp_path, x, y)
        p, _ = learn(tmp_path, 'gbdt_regressor', num_trees=100, objective=objective, alpha=.8, max_depth=3)
        theirs = ensemble.GradientBoostingRegressor(loss={'l1': 'absolute_error'}.get(objective, objective), alpha=.8,
                                                    random_state=0).fit(x, y).predict(x)
        assert losses[objective](y, p) < losses[objective](y, theirs) * 1.1
        if objective == 'quantile':
            assert abs((y <= p).mean() - .8) < .05


def test_categories_and_missing_values_need_no_preparation(tmp_path):
    metrics = pytest.importorskip('sklearn.metrics')
    pandas = pytest.importorskip('pandas')
    xgboost = pytest.importorskip('xgboost')
    table = pandas.read_csv(CREDIT).drop(columns='rownames')
    rows = numpy.random.RandomState(1).permutation(len(table))
    a, b = table.iloc[rows[:3300]], table.iloc[rows[3300:]]
    a.to_csv(tmp_path / 'a.csv', index=False)
    b.to_csv(tmp_path / 'b.csv', index=False)
    for module in ('gbdt_classifier --param num_trees=60 --param max_depth=4', 'random_forest', 'decision_tree '
                   '--param max_depth=6'):
        ok('chain', 'read_csv --param path=./a.csv --out table=a', 'read_csv --param path=./b.csv --out table=b',
           f'{module} --in train=a --param label_col=Status --out model=m',
           'predict --in model=m --in table=b --out table=./p.csv', cwd=tmp_path)
        p = [float(r['prob_good']) for r in read_csv(tmp_path / 'p.csv')]
        ours = metrics.roc_auc_score(b.Status == 'good', p)
        if module.startswith('gbdt'):
            hot = pandas.get_dummies(table.drop(columns='Status')).astype(float).iloc[rows]
            m = xgboost.train({'objective': 'binary:logistic', 'eta': .1, 'max_depth': 4, 'nthread': 1},
                              xgboost.DMatrix(hot[:3300], a.Status == 'good'), 60)
            theirs = metrics.roc_auc_score(b.Status == 'good', m.predict(xgboost.DMatrix(hot[3300:])))
            assert ours > theirs - .01
        assert ours > (.75 if module.startswith('decision') else .8)


@pytest.mark.parametrize('name', ['towns', 'credit'])
def test_numbers_as_categories_are_what_texts_are(tmp_path, name):
    """The same values as texts, in the same order of bytes, are the oracle: predictions are the same bytes."""
    rng = numpy.random.RandomState(5)
    if name == 'towns':
        codes = rng.randint(-3, 60, 2000) * 7 / 2
        y = [int(numpy.sin(c * 12345) + rng.normal() * .1 > 0) for c in codes]
        rows = [['' if i % 50 == 0 else f'{c:g}', f'{rng.rand():.3f}', k] for i, (c, k) in enumerate(zip(codes, y))]
    else:
        import csv
        with open(CREDIT) as f:
            rows = [[r['Time'], r['Age'], int(r['Status'] == 'good')] for r in csv.DictReader(f)][:2000]
    write_csv(tmp_path / 'd.csv', ['code', 'x', 'label'], rows)
    write_csv(tmp_path / 'new.csv', ['code', 'x'], [[c, x] for c, x, _ in rows[:200]] + [['99999', '1'], ['', '2']])
    read = 'read_csv --param path=./d.csv --param types=code:{0},x:real --out table=t', 'read_csv --param path=./new.csv --param types=code:{0},x:real --out table=n'
    for module in ('gbdt_classifier --param num_trees=20', 'random_forest --param num_trees=20', 'decision_tree', 'gbdt_regressor --param num_trees=20'):
        out = {}
        for kind, more in (('text', ''), ('real', '--param categorical_cols=code'), ('real', '')):
            ok('chain', *(r.format(kind) for r in read), f'{module} --in train=t --param label_col=label {more} --out model=./m.smdl',
               'predict --in model=./m.smdl --in table=n --out table=./p.csv', cwd=tmp_path)
            out[kind, more] = [[v for k, v in r.items() if k.startswith('pr')] for r in read_csv(tmp_path / 'p.csv')]
        values = list(out.values())
        assert values[0] == values[1]
        assert values[1] != values[2] or 'decision' in module


def test_categories_that_are_no_features_are_refused(tmp_path):
    write_csv(tmp_path / 'd.csv', ['code', 'x', 'label'], [[1, 2, 'a'], [2, 3, 'b'], ['inf', 3, 'b']])
    read = 'read_csv --param path=./d.csv --param types=code:real --out table=t'
    for words, code, sentence in (('--param categorical_cols=cod', 2, "did you mean 'code'"), ('--param categorical_cols=label', 2, 'label'),
                                  ('--param feature_cols=x --param categorical_cols=code', 2, 'name it in feature_cols'),
                                  ('--param categorical_cols=code', 3, "column 'code', row 3: the value is infinite")):
        refused(code, sentence, 'chain', read, f'decision_tree --in train=t --param label_col=label {words} --out model=m', cwd=tmp_path)
    ok('read_csv', '--param', 'path=./d.csv', '--out', 'table=./d.arrow', cwd=tmp_path)
    done = ml('--schema-only', 'decision_tree', '--in', 'train=./d.arrow', '--param', 'label_col=label', '--param', 'feature_cols=x', '--param', 'categorical_cols=code', cwd=tmp_path)
    assert done.returncode == 2 and 'categorical_cols' in done.stdout
    write_csv(tmp_path / 'd.csv', ['code', 'label'], [[i % 4, 'ab'[i % 2]] for i in range(30)])
    ok('chain', 'read_csv --param path=./d.csv --out table=t', 'decision_tree --in train=t --param label_col=label --param categorical_cols=code --out model=./m.smdl', cwd=tmp_path)
    write_csv(tmp_path / 'd.csv', ['code'], [['x'], ['y']])
    refused(3, 'the model was trained on numbers', 'chain', 'read_csv --param path=./d.csv --out table=t', 'predict --in model=./m.smdl --in table=t --out table=p', cwd=tmp_path)


def test_a_text_never_seen_and_rare_ones_have_an_answer(tmp_path):
    rng = numpy.random.RandomState(3)
    names = [f'town {k}' for k in range(400)]  # more than there are bins
    town = [names[min(399, int(abs(rng.normal()) * 90))] for _ in range(3000)]
    y = [int(int(t.split()[1]) % 2 == 0) for t in town]
    write_csv(tmp_path / 'd.csv', ['town', 'label'], zip(town, y))
    for module in ('gbdt_classifier', 'random_forest', 'decision_tree'):
        p, _ = learn(tmp_path, module)
        assert numpy.mean((p[:, 1] > .5) == y) > .93
        write_csv(tmp_path / 'new.csv', ['town'], [['Atlantis'], ['']])
        ok('chain', 'read_csv --param path=./new.csv --out table=t',
           'predict --in model=./m.smdl --in table=t --out table=./n.csv', cwd=tmp_path)
        out = read_csv(tmp_path / 'n.csv')
        assert out[0]['prob_1'] == out[1]['prob_1']


def test_training_stops_when_rows_held_back_get_no_better(tmp_path):
    metrics = pytest.importorskip('sklearn.metrics')
    x, y = data_of('cancer')
    write(tmp_path, x, y)
    split = 'split --in table=t --param fraction=0.7 --param stratify_col=label --out train=a --out test=b'
    for name, source in (('port', 'a --in valid=b'), ('fraction', 'a --param validation_fraction=0.2')):
        done = ok('chain', READ, split, f'gbdt_classifier --in train={source} --param label_col=label --param '
                  f'num_trees=500 --param early_stop=5 --out model=./{name}.smdl',
                  f'predict --in model=./{name}.smdl --in table=b --out table=./p.csv', cwd=tmp_path)
        kept = int(done.stdout.split(' rounds of 500 kept')[0].split()[-1])
        said = float(done.stdout.split('validation loss ')[-1].split()[0])
        assert 5 < kept < 300
        if name == 'port':  # the loss said is that of the model kept
            rows = read_csv(tmp_path / 'p.csv')
            loss = metrics.log_loss([int(r['label']) for r in rows], [float(r['prob_1']) for r in rows])
            assert abs(loss - said) < 1e-5
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"t":')]
    assert all('validation_loss' in e for e in events if e['module'] == 'gbdt_classifier' and 'text' in e)


# --- trees and forests -----------------------------------------------------------------------------

TREES = [{}, {'max_depth': 4}, {'criterion': 'entropy', 'min_samples_leaf': 2}, {'ccp_alpha': 0.02}]


@pytest.mark.parametrize('params', TREES)
def test_a_tree_is_scikit_learns(tmp_path, params):
    tree = pytest.importorskip('sklearn.tree')
    for name in ('iris', 'wine'):
        x, y = data_of(name)
        write(tmp_path, x, y)
        p, _ = learn(tmp_path, 'decision_tree', **params)
        # splits that bring the same are chosen by chance there, and by order here
        tries = [tree.DecisionTreeClassifier(random_state=s, **params).fit(x, y) for s in range(40)]
        assert min(abs(p - t.predict_proba(x)).max() for t in tries) < 1e-6
        assert max(t.score(x, y) for t in tries) <= (p.argmax(1) == y).mean() + .02


@pytest.mark.parametrize('params', [{'max_depth': 3}, {'min_samples_leaf': 5}, {'ccp_alpha': 20}])
def test_a_regression_tree_is_scikit_learns(tmp_path, params):
    tree = pytest.importorskip('sklearn.tree')
    w = numpy.random.RandomState(2).uniform(.5, 2, 600).round(3)
    for name in ('diabetes', 'wine'):
        x, y = boosted_data(name)
        write(tmp_path, x, y, w=w[:len(y)])
        p, _ = learn(tmp_path, 'decision_tree', task='regression', weight_col='w', **params)
        tries = [tree.DecisionTreeRegressor(random_state=s, **params).fit(x, y, w[:len(y)]).predict(x)
                 for s in range(40)]
        assert min(abs(p - t).max() for t in tries) < 1e-6


def test_the_preview_of_a_tree_is_the_tree(tmp_path):
    x, y = data_of('wine')
    write(tmp_path, x, y)
    ok('--outputs', 'yes', 'chain', READ,
       'decision_tree --in train=t --param label_col=label --param max_depth=4 --out model=./m.smdl',
       'predict --in model=./m.smdl --in table=t --out table=./p.csv', cwd=tmp_path)
    shown = json.loads((tmp_path / 'm.preview.json').read_text())
    assert shown['kind'] == 'decision_tree' and shown['tree']['n'] == len(y)
    assert abs(sum(v for _, v in shown['importance']) - 1) < 1e-9
    assert [v for _, v in shown['importance']] == sorted((v for _, v in shown['importance']), reverse=True)
    for row, said in zip(x, read_csv(tmp_path / 'p.csv')):
        node = shown['tree']
        while 'left' in node:
            node = node['left' if row[int(node['feature'][1:])] <= node['threshold'] else 'right']
        assert all(abs(float(said[f'prob_{k}']) - node['value'][k]) < 1e-6 for k in range(3))


@pytest.mark.parametrize('name,task', [('digits', 'classification'), ('cancer', 'classification'),
                                       ('diabetes', 'regression')])
def test_a_forest_is_as_good_as_scikit_learns(tmp_path, name, task):
    ensemble = pytest.importorskip('sklearn.ensemble')
    x, y = boosted_data(name)
    write(tmp_path, x, y)
    p, said = learn(tmp_path, 'random_forest', task=task, num_trees=150, oob_score='true', min_samples_leaf=2)
    kind = ensemble.RandomForestClassifier if task == 'classification' else ensemble.RandomForestRegressor
    theirs = kind(150, oob_score=True, min_samples_leaf=2, max_features='sqrt', random_state=0).fit(x, y)
    ours = float(said.split(' on rows not drawn')[0].split()[-1])
    assert abs(ours - theirs.oob_score_) < (.015 if task == 'classification' else .04)
    if task == 'classification':
        assert (p.argmax(1) == y).mean() > .97


def test_many_classes_are_scikit_learns(tmp_path):
    """A node of few rows and many classes is split by its rows, not by counts of classes."""
    tree, ensemble = pytest.importorskip('sklearn.tree'), pytest.importorskip('sklearn.ensemble')
    rng = numpy.random.RandomState(4)
    y = rng.permutation(numpy.arange(2000) % 100)
    x = (rng.normal(size=(100, 6))[y] * 9 + rng.normal(size=(2000, 6)) * 4).round().clip(-99, 99)
    w = rng.uniform(.5, 2, 2000).round(3)
    write(tmp_path, x, y, w=w)
    for criterion in ('gini', 'entropy'):
        p, _ = learn(tmp_path, 'decision_tree', criterion=criterion, weight_col='w', max_depth=7)
        theirs = tree.DecisionTreeClassifier(criterion=criterion, max_depth=7, random_state=0).fit(x, y, w)
        assert abs(p - theirs.predict_proba(x)).max() < 1e-6
    _, said = learn(tmp_path, 'random_forest', num_trees=25, oob_score='true')
    theirs = ensemble.RandomForestClassifier(25, oob_score=True, random_state=0).fit(x, y)
    assert abs(float(said.split(' on rows not drawn')[0].split()[-1]) - theirs.oob_score_) < .03


def test_class_weights_move_a_forest(tmp_path):
    rng = numpy.random.RandomState(5)
    x = rng.normal(size=(2000, 3))
    y = (x[:, 0] + rng.normal(size=2000) > 2.2).astype(int)  # rare
    write(tmp_path, x, y)
    for module in ('random_forest', 'decision_tree', 'gbdt_classifier'):
        plain, _ = learn(tmp_path, module, max_depth=3)
        fair, _ = learn(tmp_path, module, max_depth=3, class_weight='balanced')
        assert fair[:, 1].mean() > 2 * plain[:, 1].mean()


@pytest.mark.parametrize('name', ['wine', 'cancer'])
def test_strange_rows_are_scikit_learns(tmp_path, name):
    ensemble = pytest.importorskip('sklearn.ensemble')
    x, _ = data_of(name)
    write_csv(tmp_path / 'd.csv', [f'x{j}' for j in range(x.shape[1])], [[repr(float(v)) for v in r] for r in x])
    ok('chain', READ, 'isolation_forest --in train=t --param contamination=0.1 --param num_trees=500 '
       '--out model=./m.smdl', 'predict --in model=./m.smdl --in table=t --out table=./p.csv', cwd=tmp_path)
    rows = read_csv(tmp_path / 'p.csv')
    score = numpy.array([float(r['anomaly_score']) for r in rows])
    flagged = numpy.array([float(r['prediction']) for r in rows])
    theirs = ensemble.IsolationForest(n_estimators=500, contamination=.1, random_state=0).fit(x)
    assert abs(score + theirs.score_samples(x)).max() < .03
    assert abs(flagged.mean() - .1) < .01
    assert ((theirs.predict(x) < 0) == (flagged > 0)).mean() > .96


# --- the same bytes, and what is refused -----------------------------------------------------------

def test_models_are_the_same_bytes_for_any_number_of_threads(tmp_path):
    rng = numpy.random.RandomState(0)
    x = rng.normal(size=(20000, 12)).round(2)
    x[rng.uniform(size=x.shape) < .05] = numpy.nan
    y = (numpy.nan_to_num(x[:, 0] * x[:, 1]) + rng.normal(size=len(x)) > 0).astype(int)
    write(tmp_path, x, y, town=[f't{k}' for k in rng.randint(9, size=len(x))])
    ok('read_csv', '--param', 'path=d.csv', '--out', 'table=t.arrow', cwd=tmp_path)
    steps = {'gbdt': 'gbdt_classifier --param num_trees=6 --param subsample=0.7 --param feature_fraction=0.6 '
                     '--param max_leaves=20 --param early_stop=3',
             'l1': 'gbdt_regressor --param objective=l1 --param num_trees=4',
             'forest': 'random_forest --param num_trees=7 --param oob_score=true --param min_samples_leaf=3',
             'tree': 'decision_tree --param max_depth=8', 'strange': 'isolation_forest --param contamination=0.1'}
    made = {}
    for threads in ('1', '3'):
        for name, step in steps.items():
            label = '' if name == 'strange' else '--param label_col=label'
            words = f'{step} --in train=t.arrow {label} --out model={name}{threads}.smdl'
            ok(*words.split(), cwd=tmp_path, env={'STRATA_THREADS': threads})
            made[name, threads] = (tmp_path / f'{name}{threads}.smdl').read_bytes()
    for name in steps:
        assert made[name, '1'] == made[name, '3'], name


@pytest.mark.parametrize('module', ['gbdt_classifier', 'gbdt_regressor', 'random_forest', 'decision_tree'])
def test_bad_tables_end_in_one_sentence(tmp_path, module):
    def bad(text, sentence, *params, code=3):
        (tmp_path / 'd.csv').write_text(text)
        refused(code, sentence, 'chain', READ, f'{module} --in train=t --param label_col=label --out model=m '
                + ' '.join(f'--param {p}' for p in params), cwd=tmp_path)

    bad('a,label\n', 'no rows')
    bad('a,label\n1,\n2,1\n', "'label', row 1: the label is missing")
    bad('a,w,label\n1,-1,0\n2,1,1\n', "'w', row 1: a weight is a number from 0 up", 'weight_col=w')
    bad('a,w,label\n1,0,0\n2,0,1\n', 'the weights of all rows sum to 0', 'weight_col=w')
    bad('a,label\ninf,0\n2,1\n', "column 'a', row 1")
    bad('label\n0\n1\n', "no column is left of '@all'", code=2)
    bad('a,label\n1,0\n2,1\n', "no column 'b'", 'feature_cols=b', code=2)
    if module == 'gbdt_regressor':
        bad('a,label\n1,x\n2,y\n', "label column 'label' holds text")
        bad('a,label\n1,-1\n2,1\n', 'is for counts', 'objective=poisson')
        bad('a,label\n1,1e40\n2,1\n', 'too large')
    else:
        bad('a,label\n1,0\n2,0\n', '1 class')
    if module == 'random_forest':
        bad('a,label\n1,0\n2,1\n', 'feature_fraction: write sqrt', 'feature_fraction=many', code=2)


@pytest.mark.parametrize('module', ['gbdt_classifier', 'random_forest', 'decision_tree'])
def test_poor_tables_give_a_sensible_model(tmp_path, module):
    tables = {'constant': 'a,label\n' + '1,0\n1,0\n1,1\n' * 10,
              'all missing': 'a,t,label\n' + ',,0\n,,0\n,,1\n' * 10,
              'wide': ','.join(f'x{j}' for j in range(300)) + ',label\n'
                      + '\n'.join(','.join(str((i * j) % 7) for j in range(300)) + f',{i % 2}' for i in range(4)) + '\n',
              'heavy': 'a,w,label\n' + '1,1e12,0\n2,1e-9,1\n' * 10}
    for name, text in tables.items():
        (tmp_path / 'd.csv').write_text(text)
        p, _ = learn(tmp_path, module, **({'weight_col': 'w'} if name == 'heavy' else {}))
        assert numpy.isfinite(p).all() and abs(p.sum(1) - 1).max() < 1e-9
        if name in ('constant', 'all missing') and module != 'random_forest':
            assert abs(p[:, 1] - 1 / 3).max() < 1e-6


def test_one_row_is_not_strange(tmp_path):
    (tmp_path / 'd.csv').write_text('a\n1\n')
    refused(3, 'at least two are needed', 'chain', READ, 'isolation_forest --in train=t --out model=m', cwd=tmp_path)
    (tmp_path / 'd.csv').write_text('a,b\n' + '1,\n' * 20 + ',5\n')
    ok('chain', READ, 'isolation_forest --in train=t --out model=m',
       'predict --in model=m --in table=t --out table=./p.csv', cwd=tmp_path)
    assert all(0 < float(r['anomaly_score']) < 1 for r in read_csv(tmp_path / 'p.csv'))


def test_a_valid_table_is_checked_like_the_other(tmp_path):
    (tmp_path / 'd.csv').write_text('a,label\n' + '1,0\n2,1\n' * 20)
    for text, sentence in (('a,label\n1,7\n', "row 1: the label is no class of the table train"),
                           ('b,label\n1,0\n', "trained with column 'a'"), ('a\n1\n', "no column 'label'"),
                           ('a,label\n', 'valid has no rows')):
        (tmp_path / 'v.csv').write_text(text)
        done = refused(2 if 'no column' in sentence else 3, sentence, 'chain', READ,
                       'read_csv --param path=./v.csv --out table=v', 'gbdt_classifier --in train=t --in valid=v '
                       '--param label_col=label --out model=m', cwd=tmp_path)
        assert 'valid' in done.stderr


def test_a_valid_table_goes_through_the_transforms_of_the_other(tmp_path):
    (tmp_path / 'd.csv').write_text('a,w,label\n' + '1,1,0\n2,2,1\n3,1,1\n' * 20)
    (tmp_path / 'bad.csv').write_text('a,w,label\n1,1,0\n2,-1,1\n')
    (tmp_path / 'none.csv').write_text('a,w,label\n1,0,0\n2,0,1\n')
    steps = [READ, 'split --in table=t --param seed=1 --out train=a --out test=b', 'standard_scaler --in table=a --param cols=a --out table=s --out transform=x',
             'apply_transform --in table=b --in transform=x --out table=v']
    for valid, name in (('v', 'scaled'), ('b', 'raw')):
        ok('chain', *steps, f'gbdt_classifier --in train=s --in valid={valid} --param label_col=label --param early_stop=3 --param weight_col=w '
           f'--out model=./{name}.smdl', cwd=tmp_path)
    assert (tmp_path / 'raw.smdl').read_bytes() == (tmp_path / 'scaled.smdl').read_bytes()
    for name, sentence in (('bad', "weight column 'w', row 2"), ('none', 'the weights of all rows sum to 0')):
        refused(3, sentence, 'chain', READ, f'read_csv --param path=./{name}.csv --out table=v', 'gbdt_classifier --in train=t --in valid=v '
                '--param label_col=label --param weight_col=w --out model=m', cwd=tmp_path)
    (tmp_path / 'text.csv').write_text('a,label\nx,0\ny,1\n')
    for name in ('d', 'text'):
        ok('read_csv', '--param', f'path={name}.csv', '--out', f'table={name}.arrow', cwd=tmp_path)
    done = ml('--schema-only', 'gbdt_classifier', '--in', 'train=d.arrow', '--in', 'valid=text.arrow', '--param', 'label_col=label', cwd=tmp_path)
    assert done.returncode == 2 and "column 'a' holds text, and the model was trained on " in done.stdout, done.stdout


def test_what_a_step_would_make_is_known_before(tmp_path):
    (tmp_path / 'd.csv').write_text('a,town,label\n' + '1,x,u\n2,y,v\n' * 20)
    ok('read_csv', '--param', 'path=d.csv', '--out', 'table=t.arrow', cwd=tmp_path)

    def check(*words, code=0):
        import subprocess
        from test_b50_algorithms import program
        done = subprocess.run([program(), '--schema-only', *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout + done.stderr

    said = check('random_forest', '--in', 'train=t.arrow', '--param', 'label_col=label', '--out', 'model=m.smdl')
    assert '"classification"' in said and '"town"' in said
    said = check('gbdt_regressor', '--in', 'train=t.arrow', '--param', 'label_col=label', '--out', 'model=m.smdl', code=2)
    assert "column 'label' holds text" in said
