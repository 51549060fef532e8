"""strata-ml: what judging modules compute, against scikit-learn, scipy and formulas written out, and what they refuse."""
import json

import pytest

from test_b50_algorithms import data_of, ml, ok, read_csv, refused, write_csv, write_data

np = pytest.importorskip('numpy')
metrics = pytest.importorskip('sklearn.metrics')
datasets = pytest.importorskip('sklearn.datasets')


def judge(folder, module, rows, *params, **tables):
    """The report of one module on a table of rows."""
    steps = []
    for port, data in {'table': rows, **tables}.items():
        write_csv(folder / f'{port}.csv', data[0], data[1:])
        steps += [f'read_csv --param path=./{port}.csv --out table={port}']
    ports = ''.join(f' --in {port}={port}' for port in ['table', *tables])
    words = ''.join(f" --param '{p}'" for p in params)
    ok('chain', *steps, f'{module}{ports}{words} --out report=./report.json', cwd=folder)
    report = json.loads((folder / 'report.json').read_text())
    assert report['report'] == 1 and isinstance(report['metrics'], dict)
    for chart in report['charts']:
        assert chart['kind'] and len(json.dumps(chart)) < 65536
    for t in report['tables']:
        assert t['title'] and all(len(row) == len(t['columns']) for row in t['rows'])
    return report


def refuse(folder, code, sentence, module, text, *params):
    (folder / 'x.csv').write_text(text)
    return refused(code, sentence, 'chain', 'read_csv --param path=./x.csv --out table=t',
                   f'{module} --in table=t' + ''.join(f" --param '{p}'" for p in params), cwd=folder)


def near(ours, theirs, tolerance=1e-12):
    assert ours == pytest.approx(theirs, rel=tolerance, abs=tolerance)


def chart(report, kind):
    return next(c for c in report['charts'] if c['kind'] == kind)


def table(report, title):
    return next(t['rows'] for t in report['tables'] if t['title'] == title)


# --- two classes ---

def scored(name):
    """Truth and probabilities (many equal ones) of a data set that ships with scikit-learn."""
    from sklearn.linear_model import LogisticRegression
    x, y = data_of('cancer') if name == 'cancer' else datasets.load_digits(return_X_y=True)
    y = np.where((y == 1) if name == 'cancer' else (y % 2 == 1), 'yes', 'no')
    x = x[:, :3] if name == 'cancer' else x[:, 20:24]
    p = LogisticRegression(max_iter=1000).fit(x, y).predict_proba(x)[:, 1]
    return y, np.round(p, 2) * 0.98 + 0.01


@pytest.mark.parametrize('name', ['cancer', 'digits'])
@pytest.mark.parametrize('weighted', [False, True])
def test_two_classes_are_judged_as_scikit_learn_does(tmp_path, name, weighted):
    y, p = scored(name)
    w = np.arange(len(y)) % 5 / 2 if weighted else np.ones(len(y))
    rows = [['truth', 'prob_yes', 'w'], *[[a, repr(float(b)), c] for a, b, c in zip(y, p, w)]]
    report = judge(tmp_path, 'evaluate_binary', rows, 'label_col=truth', 'threshold=0.4',
                   *(['weight_col=w'] if weighted else []))
    m, t = report['metrics'], y == 'yes'
    guess = p >= 0.4
    near(m['auc'], metrics.roc_auc_score(t, p, sample_weight=w))
    near(m['pr_auc'], metrics.average_precision_score(t, p, sample_weight=w))
    near(m['logloss'], metrics.log_loss(t, p, sample_weight=w))
    near(m['brier'], metrics.brier_score_loss(t, p, sample_weight=w))
    fpr, tpr, at = metrics.roc_curve(t, p, sample_weight=w, drop_intermediate=False)
    near(m['ks'], max(tpr - fpr))
    near(m['ks_threshold'], at[np.argmax(tpr - fpr)])
    for key, theirs in [('f1', metrics.f1_score), ('precision', metrics.precision_score),
                        ('recall', metrics.recall_score), ('accuracy', metrics.accuracy_score),
                        ('mcc', metrics.matthews_corrcoef)]:
        near(m[key], theirs(t, guess, sample_weight=w))
    near(m['specificity'], metrics.recall_score(~t, ~guess, sample_weight=w))
    near(m['best_f1'], max(metrics.f1_score(t, p >= v, sample_weight=w) for v in set(p)))
    near(np.array(chart(report, 'confusion')['counts']), metrics.confusion_matrix(t, guess, sample_weight=w))
    assert chart(report, 'confusion')['labels'] == ['no', 'yes']
    roc = chart(report, 'roc')
    assert (roc['x'][0], roc['y'][0]) == (0, 0)
    near((roc['x'][-1], roc['y'][-1]), (1, 1))
    near(metrics.auc(roc['x'], roc['y']), m['auc'], 1e-3)
    near(chart(report, 'lift')['y'][-1], 1)
    level = next(r for r in table(report, 'By threshold') if r[0] == 0.4)
    near(level[7], m['f1'])
    if not weighted:
        from sklearn.calibration import calibration_curve
        y_, x_ = calibration_curve(t, p, n_bins=10)
        near(np.array(chart(report, 'calibration')['x']), x_)
        near(np.array(chart(report, 'calibration')['y']), y_)
        gain = chart(report, 'lift')
        half = gain['y'][gain['x'].index(0.5)]
        mixed = np.mean([t[np.lexsort((np.random.RandomState(s).rand(len(p)), -p))[:len(p) // 2]].sum()
                         for s in range(50)]) / t.sum() * 2
        near(half, mixed, 0.02)


def test_two_classes_of_other_kinds(tmp_path):
    rows = [['y', 's'], [0, -3], [1, 2.5], [0, 0.1], [1, 7], [2, -9]]
    report = judge(tmp_path, 'evaluate_binary', rows, 'label_col=y', 'positive=1', 'prob_col=s')
    assert report['metrics']['auc'] == 1 and report['metrics']['logloss'] is None  # scores, no probabilities
    assert chart(report, 'confusion')['labels'] == ['not 1', '1']
    flat = judge(tmp_path, 'evaluate_binary', [['y', 'prob_true'], ['true', 0.5], ['false', 0.5]], 'label_col=y')
    assert flat['metrics']['auc'] == 0.5 and flat['positive'] == 'true'
    many = [['y', 'prob_b'], *[['ab'[i * 7 % 11 > 4], (i * 7919 % 100003) / 100003] for i in range(20000)]]
    big = judge(tmp_path, 'evaluate_binary', many, 'label_col=y')
    assert 200 < len(chart(big, 'roc')['x']) <= 258


def test_two_classes_refuse_what_cannot_be_judged(tmp_path):
    bad = [(3, "holds 1 class: rows of both", 'y,prob_a\na,1\na,0.5\n', ()),
           (3, 'holds 3 classes: say which', 'y,prob_a\na,1\nb,0.5\nc,0\n', ()),
           (3, "positive: no row of 'y' is 'yess': did you mean 'yes'?", 'y,p\nyes,1\nno,0.5\n', ('positive=yess',)),
           (2, "prob_col: the table has no column 'prob_b'", 'y,prob_a\na,1\nb,0.5\n', ()),
           (3, "'y', row 2: the value is missing", 'y,prob_b\na,1\n,0.5\nb,0\n', ()),
           (3, "'prob_b', row 1: the value is missing", 'y,prob_b\na,\nb,0.5\n', ()),
           (3, "'prob_b', row 2: the value is infinite", 'y,prob_b\na,1\nb,inf\n', ()),
           (3, 'a weight is a number from 0 up', 'y,prob_b,w\na,1,1\nb,0,-1\n', ('weight_col=w',)),
           (3, 'all weight is on rows of one class', 'y,prob_b,w\na,1,1\nb,0,0\n', ('weight_col=w',))]
    for code, sentence, text, params in bad:
        refuse(tmp_path, code, sentence, 'evaluate_binary', text, 'label_col=y', *params)


def test_many_classes_are_reported_in_the_form_of_all(tmp_path):
    report = judge(tmp_path, 'evaluate_multiclass',
                   [['t', 'prediction'], ['a', 'a'], ['b', 'c'], ['c', 'c'], ['c', 'a']], 'label_col=t')
    assert report['kind'] == 'multiclass' and report['metrics']['accuracy'] == report['accuracy'] == 0.5
    assert chart(report, 'confusion')['counts'] == report['confusion']
    near(report['metrics']['macro_recall'], metrics.recall_score(list('abcc'), list('acca'), average='macro'))
    assert [r[0] for r in table(report, 'Classes')] == ['a', 'b', 'c']
    wide = judge(tmp_path, 'evaluate_multiclass', [['t', 'prediction'], *[[i, i] for i in range(65)]], 'label_col=t')
    assert wide['charts'] == [] and len(wide['confusion']) == 65


# --- numbers ---

@pytest.mark.parametrize('name', ['diabetes', 'iris'])
@pytest.mark.parametrize('weighted', [False, True])
def test_numbers_are_judged_as_scikit_learn_does(tmp_path, name, weighted):
    from sklearn.linear_model import LinearRegression
    x, y = datasets.load_diabetes(return_X_y=True) if name == 'diabetes' else (
        datasets.load_iris().data[:, :3], datasets.load_iris().data[:, 3])
    p = LinearRegression().fit(x[::2], y[::2]).predict(x)
    w = np.arange(len(y)) % 4 / 2 if weighted else None
    rows = [['y', 'prediction', 'w'], *[[repr(float(a)), repr(float(b)), i % 4 / 2] for i, (a, b) in enumerate(zip(y, p))]]
    report = judge(tmp_path, 'evaluate_regression', rows, 'label_col=y', *(['weight_col=w'] if weighted else []))
    m = report['metrics']
    near(m['mae'], metrics.mean_absolute_error(y, p, sample_weight=w))
    near(m['rmse'] ** 2, metrics.mean_squared_error(y, p, sample_weight=w))
    near(m['r2'], metrics.r2_score(y, p, sample_weight=w))
    near(m['mape'], metrics.mean_absolute_percentage_error(y, p, sample_weight=w))
    near(m['explained_variance'], metrics.explained_variance_score(y, p, sample_weight=w))
    mean = np.average(y, weights=w)
    near(m['rae'], np.average(abs(y - p), weights=w) / np.average(abs(y - mean), weights=w))
    near(m['rse'], 1 - m['r2'])
    near(m['bias'], np.average(p - y, weights=w))
    if not weighted:
        near(m['median_error'], metrics.median_absolute_error(y, p))
        near(m['max_error'], metrics.max_error(y, p))
        worst = table(report, 'Largest errors')[0]
        near(worst[3], m['max_error'])
        near(y[int(worst[0]) - 1], worst[1])
    assert len(chart(report, 'residuals')['x']) == min(len(y), 256)


def test_numbers_at_the_edges(tmp_path):
    one = judge(tmp_path, 'evaluate_regression', [['y', 'prediction'], [0, 2]], 'label_col=y')['metrics']
    assert one['mae'] == one['rmse'] == one['median_error'] == 2
    assert one['r2'] is None and one['mape'] is None and one['mape_left_out'] == 1
    refuse(tmp_path, 3, 'the table has no rows', 'evaluate_regression', 'y,prediction\n', 'label_col=y')
    refuse(tmp_path, 3, "column 'y' holds text", 'evaluate_regression', 'y,prediction\na,1\n', 'label_col=y')
    refuse(tmp_path, 3, "'prediction', row 1: the value is missing", 'evaluate_regression', 'y,prediction\n1,\n2,2\n',
           'label_col=y')
    refuse(tmp_path, 2, "did you mean 'prediction'?", 'evaluate_regression', 'y,prediction\n1,1\n', 'label_col=y',
           'pred_col=prediktion')


# --- forecasts ---

@pytest.mark.parametrize('period', [1, 12])
@pytest.mark.parametrize('seed', [1, 2])
def test_forecasts_are_judged_by_the_formulas(tmp_path, period, seed):
    rng = np.random.RandomState(seed)
    past = 100 + 10 * np.sin(np.arange(60) * np.pi / 6) + rng.randn(60)
    truth, guess = past[:24] + rng.randn(24), past[:24] + 2 * rng.randn(24)
    rows = [['y', 'prediction'], *[[repr(float(a)), repr(float(b))] for a, b in zip(truth, guess)]]
    for history in (past, None):
        tables = {'history': [['y'], *[[repr(float(v))] for v in past]]} if history is not None else {}
        m = judge(tmp_path, 'evaluate_forecast', rows, 'label_col=y', f'period={period}', **tables)['metrics']
        scale = past if history is not None else truth
        near(m['mase'], np.mean(abs(truth - guess)) / np.mean(abs(scale[period:] - scale[:-period])))
    near(m['mae'], metrics.mean_absolute_error(truth, guess))
    near(m['rmse'] ** 2, metrics.mean_squared_error(truth, guess))
    near(m['mape'], metrics.mean_absolute_percentage_error(truth, guess))
    near(m['smape'], np.mean(2 * abs(truth - guess) / (abs(truth) + abs(guess))))


def test_forecasts_at_the_edges(tmp_path):
    short = judge(tmp_path, 'evaluate_forecast', [['y', 'prediction'], [0, 0], [0, 1]], 'label_col=y', 'period=5')['metrics']
    assert short['mase'] is None and short['mape'] is None and short['smape'] == 1
    refuse(tmp_path, 3, 'the table has no rows', 'evaluate_forecast', 'y,prediction\n', 'label_col=y')


# --- a learner as a parameter ---

FIT = 'standardize=false;epsilon=1e-9;max_iter=5000'


def sklearn_scores(x, y, fold, l2):
    """Scores of every fold, as our logistic regression has to give them."""
    from sklearn.linear_model import LogisticRegression
    out = []
    for f in sorted(set(fold)):
        a, b = fold != f, fold == f
        m = LogisticRegression(C=1 / (l2 * sum(a)), tol=1e-7, max_iter=5000, solver='newton-cg').fit(x[a], y[a])
        p, guess = m.predict_proba(x[b]), m.predict(x[b])
        auc = metrics.roc_auc_score(y[b], p[:, 1] if p.shape[1] == 2 else p, multi_class='ovr')
        out.append({'accuracy': m.score(x[b], y[b]), 'auc': auc, 'logloss': metrics.log_loss(y[b], p),
                    'f1': metrics.f1_score(y[b], guess, average='macro'), 'mcc': metrics.matthews_corrcoef(y[b], guess)})
    return out


def validated(folder, name, module, *params, outputs='--out table=./out.csv', **options):
    x, y = data_of(name)
    x = (x - x.mean(0)) / x.std(0)
    write_data(folder / 'd.csv', x, y)
    words = ''.join(f" --param '{p}'" for p in ('learner=logistic_regression', 'label_col=label', *params))
    ok('chain', 'read_csv --param path=./d.csv --out table=t',
       f'{module} --in train=t{words} {outputs} --out report=./report.json', cwd=folder, **options)
    return x, y, json.loads((folder / 'report.json').read_text()), read_csv(folder / 'out.csv')


@pytest.mark.parametrize('name', ['iris', 'cancer'])
def test_cross_validation_gives_scikit_learns_scores(tmp_path, name):
    x, y, report, rows = validated(tmp_path, name, 'cross_validate', f'learner_params=l2=0.01;{FIT}', 'folds=4', 'seed=9')
    fold = np.array([int(r['fold']) for r in rows])
    assert set(fold) == {1, 2, 3, 4}
    for k in set(y):  # every class is dealt evenly
        counts = np.bincount(fold[y == k])[1:]
        assert max(counts) - min(counts) <= 1
    theirs = sklearn_scores(x, y, fold, 0.01)
    for key in theirs[0]:
        near(report['metrics'][key], np.mean([s[key] for s in theirs]), 1e-5)
        near(report['metrics'][f'{key}_std'], np.std([s[key] for s in theirs]), 1e-5)
    assert report['metric'] == ('auc' if name == 'cancer' else 'accuracy')
    hit = np.mean([float(r['prediction']) == float(r['label']) for r in rows])
    near(hit, np.average([s['accuracy'] for s in theirs], weights=np.bincount(fold)[1:]))
    other = validated(tmp_path, name, 'cross_validate', f'learner_params=l2=0.01;{FIT}', 'folds=4', 'seed=8')[3]
    assert [r['fold'] for r in other] != [r['fold'] for r in rows]


@pytest.mark.parametrize('name', ['iris', 'cancer'])
def test_tuning_finds_the_best_point_of_the_grid(tmp_path, name):
    both = '--out table=./out.csv --out model=./best.smdl'
    x, y, report, trials = validated(tmp_path, name, 'tune', f'learner_params={FIT}', 'space=l2=log(0.001..10):4', 'folds=3',
                                     'mode=grid', 'metric=logloss', outputs=both)
    assert [float(t['l2']) for t in trials] == pytest.approx([0.001, 0.0215443, 0.464159, 10], rel=1e-5)
    model = (tmp_path / 'best.smdl').read_bytes()
    fold = np.array([int(r['fold']) for r in validated(
        tmp_path, name, 'cross_validate', f'learner_params={FIT}', 'folds=3')[3]])
    theirs = [np.mean([s['logloss'] for s in sklearn_scores(x, y, fold, float(t['l2']))]) for t in trials]
    near([float(t['score_logloss']) for t in trials], theirs, 1e-5)
    best = int(np.argmin(theirs))
    assert report['trial'] == best + 1 and float(report['best']['l2']) == float(trials[best]['l2'])
    near(report['metrics']['logloss'], min(theirs), 1e-5)
    ok('chain', 'read_csv --param path=./d.csv --out table=t', 'logistic_regression --in train=t --param label_col=label'
       f' --param l2={trials[best]["l2"]} ' + ' '.join(f'--param {p}' for p in FIT.split(';')) + ' --out model=./own.smdl',
       cwd=tmp_path)
    assert (tmp_path / 'own.smdl').read_bytes() == model  # all rows, the best parameters


def test_random_search_and_halving_are_the_same_for_any_number_of_threads(tmp_path):
    outputs = '--out table=./out.csv --out model=./best.smdl'
    space = 'space=l2=log(1e-5..1);standardize=true,false;max_iter=5..50'
    for mode in ('random', 'halving'):
        seen = []
        for n in ('1', '3'):
            _, _, report, trials = validated(tmp_path, 'cancer', 'tune', space, f'mode={mode}', 'trials=7', 'seed=4',
                                             outputs=outputs, env={'STRATA_THREADS': n})
            seen.append([(tmp_path / f).read_bytes() for f in ('out.csv', 'best.smdl', 'report.json')])
        assert seen[0] == seen[1]
        for t in trials:
            assert 1e-5 <= float(t['l2']) <= 1 and 5 <= int(t['max_iter']) <= 50 and t['standardize'] in ('true', 'false')
        assert len({t['l2'] for t in trials}) == 7
        most = [t for t in trials if t['rows'] == '569']
        assert float(report['metrics']['auc']) == max(float(t['score_auc']) for t in most)
        assert len(most) == (7 if mode == 'random' else 2)
    assert [t['rows'] for t in trials].count('190') == 5  # a third of the rows, in halving's first round


def test_a_learner_that_cannot_be_says_why_before_and_in_a_run(tmp_path):
    write_csv(tmp_path / 'd.csv', ['a', 'city', 'y'], [[i, 'pq'[i % 2], 'uv'[i % 3 == 0]] for i in range(40)])
    ok('read_csv', '--param', 'path=d.csv', '--out', 'table=./d.arrow', cwd=tmp_path)
    learn = ('learner=logistic_regression', 'label_col=y')
    wrong = [(2, "learner: strata-ml has no module 'logistik_regression': did you mean 'logistic_regression'?",
              'cross_validate', ('learner=logistik_regression', 'label_col=y'), 'learner'),
             (2, "learner: strata-ml has no module 'tune'", 'cross_validate', ('learner=tune', 'label_col=y'), 'learner'),
             (2, "has no parameter 'l2_': did you mean 'l2'?", 'tune', (*learn, 'learner_params=l2_=1', 'space=l2=1'),
              'learner_params'),
             (2, 'write name=value;name=value', 'tune', (*learn, 'learner_params=l2', 'space=l2=1'), 'learner_params'),
             (2, 'label_col is a parameter of its own', 'tune', (*learn, 'learner_params=label_col=a', 'space=l2=1'),
              'learner_params'),
             (2, "feature_cols: column 'city' holds text", 'cross_validate', (*learn, 'learner_params=feature_cols=@all'),
              'learner_params'),
             (2, "the table has no column 'yy': did you mean", 'cross_validate', (learn[0], 'label_col=yy'), 'label_col'),
             (2, "space: logistic_regression has no parameter 'l2_' to search: did you mean 'l2'?", 'tune',
              (*learn, 'space=l2_=1'), 'space'),
             (2, 'from below to', 'tune', (*learn, 'space=l2=2..1'), 'space'),
             (2, 'log() is for ranges above 0', 'tune', (*learn, 'space=l2=log(0..1)'), 'space'),
             (2, 'is no number: list its values', 'tune', (*learn, 'space=standardize=0..1'), 'space'),
             (2, 'is not between 0 and', 'tune', (*learn, 'space=l2=1,-1'), 'space'),
             (2, 'given twice', 'tune', (*learn, 'space=l2=1;l2=2'), 'space'),
             (2, 'nothing to search', 'tune', (*learn, 'space=;'), 'space'),
             (2, 'grid has more than 1000 points', 'tune',
              (*learn, 'mode=grid', 'space=l2=0..1:64;epsilon=0..1:64'), None),
             (2, 'metric rmse is not for classification', 'cross_validate', (*learn, 'metric=rmse'), None),
             (3, '40 rows cannot make 41 folds', 'cross_validate', (*learn, 'folds=41'), None)]
    for code, sentence, module, params, told in wrong:
        words = [w for p in params for w in ('--param', p)]
        refused(code, sentence, module, '--in', 'train=./d.arrow', *words, cwd=tmp_path)
        if told:
            from test_b50_algorithms import ml
            seen = json.loads(ml('--schema-only', module, '--in', 'train=./d.arrow', *words, cwd=tmp_path).stdout)
            assert [m['param'] for m in seen['mistakes']][0] == told, (sentence, seen)
    seen = json.loads(ok('--schema-only', 'tune', '--in', 'train=./d.arrow', '--param', 'space=l2=1', '--param', learn[0],
                         '--param', learn[1], cwd=tmp_path).stdout)
    assert seen['outputs']['model'] == {'type': 'model', 'task': 'classification', 'label': 'y',
                                        'columns': [{'name': 'a', 'type': 'int'}]}


def test_a_trial_that_fails_is_told_and_a_missing_label_stops_all(tmp_path):
    rows = [[i, i % 2] for i in range(30)]
    write_csv(tmp_path / 'd.csv', ['a', 'y'], [['' if i == 3 else a, y] for i, (a, y) in enumerate(rows)])
    ok('chain', 'read_csv --param path=./d.csv --out table=t', "tune --in train=t --param learner=logistic_regression"
       " --param label_col=y --param space=missing=error,mean --param mode=grid --out report=./r.json", cwd=tmp_path)
    report = json.loads((tmp_path / 'r.json').read_text())
    assert report['metrics']['failed'] == 1 and report['best'] == {'missing': 'mean'}
    assert "'a'" in table(report, 'Trials')[0][5] and table(report, 'Trials')[1][5] == ''
    refused(3, 'no trial could be scored: ', 'chain', 'read_csv --param path=./d.csv --out table=t',
            'tune --in train=t --param learner=logistic_regression --param label_col=y --param space=l2=1 --out report=./r.json',
            cwd=tmp_path)
    write_csv(tmp_path / 'm.csv', ['a', 'y'], [[a, '' if i == 3 else y] for i, (a, y) in enumerate(rows)])
    refused(3, "label column 'y', row 4: the label is missing", 'chain', 'read_csv --param path=./m.csv --out table=t',
            'cross_validate --in train=t --param learner=logistic_regression --param label_col=y', cwd=tmp_path)


def test_a_class_that_a_fold_lacks_costs_what_it_must(tmp_path):
    rows = [[i, 'abr'[2 if i == 0 else i % 2]] for i in range(41)]  # r occurs once: its fold's model does not know it
    write_csv(tmp_path / 'd.csv', ['x', 'y'], rows)
    ok('chain', 'read_csv --param path=./d.csv --out table=t', 'cross_validate --in train=t --param label_col=y'
       ' --param learner=logistic_regression --out table=./out.csv --out report=./r.json', cwd=tmp_path)
    out = read_csv(tmp_path / 'out.csv')
    assert out[0]['y'] == 'r' and float(out[0]['prob_r']) == 0 and out[0]['prediction'] != 'r'
    for r in out:
        near(sum(float(r[f'prob_{k}']) for k in 'abr'), 1)


@pytest.mark.parametrize('name', ['diabetes', 'wine'])
def test_numbers_and_trees_are_cross_validated_and_tuned_too(tmp_path, name):
    x, y = datasets.load_diabetes(return_X_y=True) if name == 'diabetes' else (
        datasets.load_wine().data[:, :12], datasets.load_wine().data[:, 12])
    write_data(tmp_path / 'd.csv', x, y)
    gbdt = '--in train=t --param learner=gbdt_regressor --param label_col=label --param learner_params=num_trees=20'
    ok('chain', 'read_csv --param path=./d.csv --out table=t',
       f'cross_validate {gbdt} --out table=./out.csv --out table=o --out report=./r.json',
       f'tune {gbdt} --param space=max_depth=1..4 --param mode=grid --out table=./trials.csv --out model=m',
       'permutation_importance --in model=m --in table=t --out report=./importance.json',
       'evaluate_regression --in table=o --param label_col=label --out report=./all.json', cwd=tmp_path)
    out, report = read_csv(tmp_path / 'out.csv'), json.loads((tmp_path / 'r.json').read_text())
    fold, p = np.array([int(r['fold']) for r in out]), np.array([float(r['prediction']) for r in out])
    errors = [(metrics.mean_squared_error(y[fold == f], p[fold == f]) ** 0.5, metrics.mean_absolute_error(y[fold == f], p[fold == f]),
               metrics.r2_score(y[fold == f], p[fold == f])) for f in range(1, 6)]
    near([report['metrics'][k] for k in ('rmse', 'mae', 'r2')], np.mean(errors, 0), 1e-9)
    assert report['metric'] == 'rmse' and report['metrics']['r2'] > 0.2
    near(json.loads((tmp_path / 'all.json').read_text())['metrics']['rmse'], metrics.mean_squared_error(y, p) ** 0.5)
    trials = read_csv(tmp_path / 'trials.csv')
    assert len(trials) == 4 and [t['max_depth'] for t in trials] == ['1', '2', '3', '4']
    assert json.loads((tmp_path / 'importance.json').read_text())['metric'] == 'rmse'


# --- importance ---

# --- how rows are dealt, and what they weigh ---

def dealt(folder, name, module, *params, groups=None, times=None, weights=None):
    """As validated(), with columns g, t and w."""
    x, y = data_of(name)
    x = (x - x.mean(0)) / x.std(0)
    n = len(y)
    extra = [groups if groups is not None else np.zeros(n, int), times if times is not None else np.arange(n), weights if weights is not None else np.ones(n)]
    write_csv(folder / 'd.csv', [*(f'x{j}' for j in range(x.shape[1])), 'g', 't', 'w', 'label'],
              [[*map(repr, map(float, row)), *more, k] for row, k, *more in zip(x, y, *extra)])
    words = ''.join(f" --param '{p}'" for p in ('learner=logistic_regression', 'label_col=label', *params))
    ok('chain', 'read_csv --param path=./d.csv --out table=t', f'{module} --in train=t{words} --out table=./out.csv --out report=./report.json', cwd=folder)
    return x, y, json.loads((folder / 'report.json').read_text()), read_csv(folder / 'out.csv')


def scores_of(x, y, splits, l2, w=None):
    from sklearn.linear_model import LogisticRegression
    w, out = np.ones(len(y)) if w is None else w, []
    for a, b in splits:
        m = LogisticRegression(C=1 / (l2 * w[a].sum()), tol=1e-7, max_iter=5000, solver='newton-cg').fit(x[a], y[a], w[a])
        p, guess = m.predict_proba(x[b]), m.predict(x[b])
        out.append({'accuracy': m.score(x[b], y[b], w[b]), 'logloss': metrics.log_loss(y[b], p, sample_weight=w[b], labels=sorted(set(y))),
                    'f1': metrics.f1_score(y[b], guess, average='macro', sample_weight=w[b]),
                    'mcc': metrics.matthews_corrcoef(y[b], guess, sample_weight=w[b])})
        if len(set(y)) == 2:
            out[-1]['auc'] = metrics.roc_auc_score(y[b], p[:, 1], sample_weight=w[b])
    return out


@pytest.mark.parametrize('name', ['iris', 'cancer'])
def test_no_group_is_in_two_folds_as_scikit_learn_deals_them(tmp_path, name):
    selection = pytest.importorskip('sklearn.model_selection')
    rng = np.random.RandomState(6)
    n = len(data_of(name)[1])
    sizes = np.cumsum(np.arange(1, 60))  # every size is there once at most, so that nothing depends on ties
    groups = rng.permutation(np.searchsorted(sizes, np.arange(n), side='right'))
    names = np.array([f'patient {g}' for g in groups])
    x, y, report, rows = dealt(tmp_path, name, 'cross_validate', f'learner_params=feature_cols=@numeric,-t,-w;l2=0.01;{FIT}', 'folds=4', 'group_col=g', groups=names)
    fold = np.array([int(r['fold']) for r in rows])
    assert all(len(set(fold[groups == g])) == 1 for g in set(groups))
    sizes = np.bincount(groups)
    if len(set(sizes[sizes > 0])) == (sizes > 0).sum():
        theirs = selection.GroupKFold(4).split(x, y, groups)
        assert {tuple(b) for _, b in theirs} == {tuple(np.flatnonzero(fold == k)) for k in range(1, 5)}
    counts = np.bincount(fold)[1:]
    assert counts.max() - counts.min() <= sizes.max()
    want = scores_of(x, y, [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(1, 5)], 0.01)
    for key in want[0]:
        near(report['metrics'][key], np.mean([s[key] for s in want]), 1e-5)


@pytest.mark.parametrize('name', ['iris', 'cancer'])
@pytest.mark.parametrize('folds', [3, 7])
def test_folds_in_time_are_scikit_learns(tmp_path, name, folds):
    selection = pytest.importorskip('sklearn.model_selection')
    n = len(data_of(name)[1])
    times = np.random.RandomState(4).permutation(n) * 3
    x, y, report, rows = dealt(tmp_path, name, 'cross_validate', f'learner_params=feature_cols=@numeric,-g,-w;l2=0.01;{FIT}', f'folds={folds}', 'time_col=t', times=times)
    order = np.argsort(times)
    splits = [(order[a], order[b]) for a, b in selection.TimeSeriesSplit(folds).split(order)]
    got = {int(r['t']): int(r['fold']) for r in rows}
    assert got == {int(times[i]): k + 1 for k, (_, b) in enumerate(splits) for i in b}  # the first part is not predicted
    want = scores_of(x, y, splits, 0.01)
    for key in want[0]:
        near(report['metrics'][key], np.mean([s[key] for s in want]), 1e-5)
    assert [r[1:3] for r in table(report, 'Folds')] == [[len(a), len(b)] for a, b in splits]
    trials = dealt(tmp_path, name, 'tune', f'learner_params=feature_cols=@numeric,-g,-w;{FIT}', f'folds={folds}', 'time_col=t', 'space=l2=0.1,0.01', 'mode=grid',
                   'metric=logloss', times=times)[3]
    near(float(trials[1]['score_logloss']), np.mean([s['logloss'] for s in want]), 1e-5)


@pytest.mark.parametrize('name', ['iris', 'cancer'])
def test_weights_count_for_the_learner_and_in_the_scores(tmp_path, name):
    n = len(data_of(name)[1])
    w = np.random.RandomState(9).randint(0, 5, n)
    x, y, report, rows = dealt(tmp_path, name, 'cross_validate', f'learner_params=feature_cols=@numeric,-g,-t;l2=0.01;{FIT}', 'folds=3', 'weight_col=w', weights=w)
    fold = np.array([int(r['fold']) for r in rows])
    want = scores_of(x, y, [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in (1, 2, 3)], 0.01, w)
    for key in want[0]:
        near(report['metrics'][key], np.mean([s[key] for s in want]), 1e-5)


def test_weights_of_numbers_count_in_the_scores(tmp_path):
    rng = np.random.RandomState(1)
    x, w = rng.standard_normal((90, 2)), rng.randint(0, 4, 90)
    y = x @ [1, 2] + rng.standard_normal(90)
    write_csv(tmp_path / 'd.csv', ['a', 'b', 'w', 'label'], [[repr(float(a)), repr(float(b)), k, repr(float(v))] for (a, b), k, v in zip(x, w, y)])
    ok('chain', 'read_csv --param path=./d.csv --out table=t', 'cross_validate --in train=t --param learner=linear_regression --param label_col=label '
       '--param weight_col=w --param folds=3 --out table=./out.csv --out report=./report.json', cwd=tmp_path)
    rows, got = read_csv(tmp_path / 'out.csv'), json.loads((tmp_path / 'report.json').read_text())['metrics']
    fold, p = (np.array([float(r[k]) for r in rows]) for k in ('fold', 'prediction'))
    for key, f in (('rmse', lambda *a, **k: metrics.mean_squared_error(*a, **k) ** 0.5), ('mae', metrics.mean_absolute_error), ('r2', metrics.r2_score)):
        near(got[key], np.mean([f(y[fold == k], p[fold == k], sample_weight=w[fold == k]) for k in (1, 2, 3)]), 1e-9)


def test_rows_that_cannot_be_dealt_are_refused(tmp_path):
    cases = ((3, "group_col: column 'g', row 2: the value is missing", 'group_col=g', [['a', 1, 1], ['', 2, 1], ['b', 3, 1]]),
             (3, "group_col: column 'g': 2 groups cannot make 3 folds", 'group_col=g', [['a', 1, 1], ['b', 2, 1], ['b', 3, 1]]),
             (3, "time_col: column 't', row 3: the time is missing", 'time_col=t', [['a', 1, 1], ['b', 2, 1], ['b', '', 1]]),
             (3, 'a first part to learn from', 'time_col=t', [['a', 1, 1], ['b', 2, 1], ['b', 3, 1]]),
             (3, 'weight', 'weight_col=w', [['a', 1, 1], ['b', 2, -1], ['b', 3, 1]]))
    for code, sentence, param, rows in cases:
        write_csv(tmp_path / 'd.csv', ['g', 't', 'w', 'x', 'label'], [[*r, i, 'ab'[i % 2]] for i, r in enumerate(rows)])
        refused(code, sentence, 'chain', 'read_csv --param path=./d.csv --param types=t:real,w:real --out table=t',
                f'cross_validate --in train=t --param learner=logistic_regression --param label_col=label --param folds=3 --param {param} --out report=r', cwd=tmp_path)
    for params, sentence in (('--param group_col=g --param time_col=t', 'leave one of group_col and time_col empty'),
                             ('--param time_col=g', 'holds text'), ('--param group_col=gg', "no column 'gg'")):
        refused(3 if 'text' in sentence else 2, sentence, 'chain', 'read_csv --param path=./d.csv --out table=t',
                f'cross_validate --in train=t --param learner=logistic_regression --param label_col=label {params} --param folds=3 --out report=r', cwd=tmp_path)
    ok('read_csv', '--param', 'path=./d.csv', '--out', 'table=./d.arrow', cwd=tmp_path)
    for params, sentence in (('group_col=g', 'leave one of'), ('weight_col=w', 'knn takes no weights')):
        done = ml('--schema-only', 'tune', '--in', 'train=./d.arrow', '--param', 'learner=knn' if 'weight' in params else 'learner=decision_tree', '--param', 'label_col=label',
                  '--param', 'space=k=1,2' if 'weight' in params else 'space=max_depth=1,2', '--param', params, '--param', 'time_col=' + ('' if 'weight' in params else 't'), cwd=tmp_path)
        assert done.returncode == 2 and sentence in done.stdout


@pytest.mark.parametrize('name', ['iris', 'wine'])
def test_shuffled_columns_cost_what_they_cost_scikit_learn(tmp_path, name):
    from sklearn.inspection import permutation_importance
    from sklearn.linear_model import LogisticRegression
    x, y = data_of(name)
    x = (x - x.mean(0)) / x.std(0)
    write_data(tmp_path / 'd.csv', x, y)
    theirs = LogisticRegression(C=1 / (0.1 * len(x)), tol=1e-7, solver='newton-cg').fit(x, y)
    for metric, scoring in (('accuracy', 'accuracy'), ('logloss', 'neg_log_loss')):
        ok('chain', 'read_csv --param path=./d.csv --out table=t',
           'logistic_regression --in train=t --param label_col=label --param l2=0.1 --param standardize=false --out model=m',
           f'permutation_importance --in model=m --in table=t --param repeats=200 --param metric={metric}'
           ' --out table=./out.csv --out report=./r.json', cwd=tmp_path)
        ours = {r['feature']: r for r in read_csv(tmp_path / 'out.csv')}
        judged = permutation_importance(theirs, x, y, scoring=scoring, n_repeats=200, random_state=0)
        for j in range(x.shape[1]):
            mine = ours[f'x{j}']
            error = np.hypot(float(mine['deviation']), judged.importances_std[j]) / np.sqrt(200)
            assert abs(float(mine['importance']) - judged.importances_mean[j]) <= 5 * error + 1e-9
            assert 0.7 * judged.importances_std[j] - 1e-9 <= float(mine['deviation']) <= 1.4 * judged.importances_std[j] + 1e-9
        order = [float(r['importance']) for r in read_csv(tmp_path / 'out.csv')]
        assert order == sorted(order, reverse=True)
    report = json.loads((tmp_path / 'r.json').read_text())
    assert chart(report, 'importance')['labels'][0] == table(report, 'Features')[0][0]
    near(report['metrics']['logloss'], metrics.log_loss(y, theirs.predict_proba(x)), 1e-4)


def test_importance_goes_through_the_models_transforms_and_refuses_bad_rows(tmp_path):
    write_csv(tmp_path / 'd.csv', ['a', 'b', 'y'], [[i, i * 7 % 11, 'uv'[i % 40 > 20]] for i in range(200)])
    (tmp_path / 'one.csv').write_text('a,b,y\n1,2,u\n2,3,u\n')
    (tmp_path / 'hole.csv').write_text('a,b,y\n1,2,u\n2,3,\n')
    (tmp_path / 'none.csv').write_text('a,b,y\n')
    train = ['read_csv --param path=./d.csv --out table=t', 'standard_scaler --in table=t --param cols=a --out table=s',
             'logistic_regression --in train=s --param label_col=y --out model=./m.smdl']
    ok('chain', *train, cwd=tmp_path)
    seen = []
    for n in ('1', '3'):  # the raw table is scaled as the model needs it
        ok('chain', 'read_csv --param path=./d.csv --out table=t',
           'permutation_importance --in model=./m.smdl --in table=t --out table=./out.csv', cwd=tmp_path,
           env={'STRATA_THREADS': n})
        seen.append((tmp_path / 'out.csv').read_bytes())
    assert seen[0] == seen[1]
    for code, sentence, name in ((3, 'auc is not defined on these rows', 'one'), (3, 'row 2: the label is missing', 'hole'),
                                 (3, 'the table has no rows', 'none')):
        refused(code, sentence, 'chain', f'read_csv --param path=./{name}.csv --out table=t',
                'permutation_importance --in model=./m.smdl --in table=t', cwd=tmp_path)
    refused(2, 'metric r2 is not for classification', 'chain', 'read_csv --param path=./d.csv --out table=t',
            'permutation_importance --in model=./m.smdl --in table=t --param metric=r2', cwd=tmp_path)


# --- what a table holds ---

def looked_at(folder, module, header, rows, *params, **options):
    write_csv(folder / 'd.csv', header, rows)
    words = ''.join(f" --param '{p}'" for p in params)
    ok('chain', 'read_csv --param path=./d.csv --out table=t', f'{module} --in table=t{words} --out table=./out.csv'
       ' --out report=./r.json', cwd=folder, **options)
    return read_csv(folder / 'out.csv'), json.loads((folder / 'r.json').read_text())


@pytest.mark.parametrize('name', ['wine', 'diabetes'])
def test_a_summary_has_scipys_figures(tmp_path, name):
    stats = pytest.importorskip('scipy.stats')
    x = (datasets.load_wine() if name == 'wine' else datasets.load_diabetes()).data
    rows = [['' if i % 9 == 4 and j == 1 else repr(float(v)) for j, v in enumerate(r)] for i, r in enumerate(x)]
    out, report = looked_at(tmp_path, 'summarize', [f'x{j}' for j in range(x.shape[1])], rows)
    assert report['kind'] == 'summary' and len(table(report, 'Columns')) == len(out) == x.shape[1]
    for j, r in enumerate(out):
        v = np.delete(x[:, j], [i for i in range(len(x)) if i % 9 == 4]) if j == 1 else x[:, j]
        assert (int(r['count']), int(r['missing']), int(r['distinct'])) == (len(v), len(x) - len(v), len(set(v)))
        near([float(r[k]) for k in ('min', 'p5', 'p25', 'p50', 'p75', 'p95', 'max')],
             np.quantile(v, [0, .05, .25, .5, .75, .95, 1]), 1e-9)
        near(float(r['mean']), v.mean(), 1e-9)
        near(float(r['std']), v.std(ddof=1), 1e-9)
        near(float(r['skewness']), stats.skew(v, bias=False), 1e-6)
        near(float(r['kurtosis']), stats.kurtosis(v, bias=False), 1e-6)
    assert sum(report['charts'][0]['y']) == len(x)


def test_a_summary_of_text_dates_and_nothing(tmp_path):
    out, report = looked_at(tmp_path, 'summarize', ['city', 'day', 'c', 'n', 'v'],
                            [['b', '2024-02-01', 5, '', 'inf'], ['a', '2024-02-29', 5, '', 1], ['b', '', 5, '', 2],
                             ['', '2024-02-03', 5, '', 3]])
    city, day, c, n, v = out
    assert (city['type'], city['top'], city['top_count'], city['missing'], city['distinct']) == ('text', 'b', '2', '1', '2')
    assert day['type'] == 'date' and day['missing'] == '1'
    assert looked_at(tmp_path, 'summarize', ['city'], [['b'], ['a'], ['c']])[0][0]['top'] == 'a'  # of equals
    rows = {r[0]: r for r in table(report, 'Columns')}
    assert '2024-02-01' in rows['day'] and '2024-02-29' in rows['day']
    assert (c['std'], c['skewness'], c['p50']) == ('0', '', '5')
    assert n['count'] == '0' and n['mean'] == '' and (v['infinite'], v['mean']) == ('1', '2')
    empty, _ = looked_at(tmp_path, 'summarize', ['a'], [])
    assert empty[0]['count'] == '0'
    refuse(tmp_path, 2, "cols: the table has no column 'b'", 'summarize', 'a\n1\n', 'cols=b')


@pytest.mark.parametrize('name', ['wine', 'diabetes'])
@pytest.mark.parametrize('method', ['pearson', 'spearman'])
def test_correlations_are_scipys(tmp_path, name, method):
    stats = pytest.importorskip('scipy.stats')
    x = (datasets.load_wine() if name == 'wine' else datasets.load_diabetes()).data.copy()
    x[::7, 2] = np.nan
    x[1::5, 3] = np.nan
    names = [f'x{j}' for j in range(x.shape[1])]
    rows = [['' if np.isnan(v) else repr(float(v)) for v in r] for r in x]
    seen = []
    for n in ('1', '3'):
        out, report = looked_at(tmp_path, 'correlation', names, rows, f'method={method}', env={'STRATA_THREADS': n})
        seen.append((tmp_path / 'r.json').read_bytes())
    assert seen[0] == seen[1]
    ours = np.array([[float(r[k]) for k in names] for r in out])
    for j in range(len(names)):
        for k in range(len(names)):
            there = ~np.isnan(x[:, j]) & ~np.isnan(x[:, k])
            theirs = (stats.pearsonr if method == 'pearson' else stats.spearmanr)(x[there, j], x[there, k])[0]
            near(ours[j, k], 1 if j == k else theirs, 1e-9)
    a, b, r = table(report, 'Strongest pairs')[0]
    off = ours - np.eye(len(names)) * 2
    near(abs(r), np.max(np.abs(ours[~np.eye(len(names), dtype=bool)])), 1e-12)
    near(off[names.index(a), names.index(b)], r, 1e-12)


def test_correlations_at_the_edges(tmp_path):
    out, report = looked_at(tmp_path, 'correlation', ['a', 'flat', 'none|of', 'b'],
                            [[1, 3, '', 2], [2, 3, '', 4], [3, 3, '', 7]])
    assert [r['flat'] for r in out] == ['', '', '', ''] and out[0]['none|of'] == '' and out[0]['a'] == '1'
    assert len(table(report, 'Strongest pairs')) == 1
    refuse(tmp_path, 3, "column 'c' holds text", 'correlation', 'a,c\n1,x\n', 'cols=@all')
    refuse(tmp_path, 3, 'the table has no rows', 'correlation', 'a,b\n')
    refuse(tmp_path, 2, '501 columns', 'correlation', ','.join(f'x{i}' for i in range(501)) + '\n' + '1,' * 500 + '1\n')


# --- clusters ---

@pytest.mark.parametrize('name', ['iris', 'wine'])
def test_clusters_are_judged_as_scikit_learn_does(tmp_path, name):
    from sklearn.cluster import KMeans
    x, y = data_of(name)
    got = KMeans(4, n_init=1, random_state=0).fit_predict(x)
    rows = [[*[f'x{j}' for j in range(x.shape[1])], 'c', 'y'],
            *[[*map(lambda v: repr(float(v)), a), f'c{c}', k] for a, c, k in zip(x, got, y)]]
    m = judge(tmp_path, 'evaluate_clustering', rows, 'cluster_col=c', 'label_col=y')['metrics']
    near(m['silhouette'], metrics.silhouette_score(x, got), 1e-9)
    near(m['davies_bouldin'], metrics.davies_bouldin_score(x, got), 1e-9)
    near(m['calinski_harabasz'], metrics.calinski_harabasz_score(x, got), 1e-9)
    near(m['ari'], metrics.adjusted_rand_score(y, got), 1e-9)
    near(m['nmi'], metrics.normalized_mutual_info_score(y, got), 1e-9)
    near(m['purity'], metrics.cluster.contingency_matrix(got, y).max(1).sum() / len(y))
    plot = chart(judge(tmp_path, 'evaluate_clustering', rows, 'cluster_col=c', 'label_col=y'), 'scatter')
    from sklearn.decomposition import PCA
    plane = PCA(2).fit_transform((x - x.mean(0)) / x.std(0))
    for c, series in enumerate(sorted(plot['series'], key=lambda s: s['name'])):
        for axis, ours in enumerate((series['x'], series['y'])):
            theirs = plane[got == c, axis]
            near(np.abs(ours), np.abs(theirs), 1e-9)
            assert np.all(np.sign(ours) == np.sign(theirs)) or np.all(np.sign(ours) == -np.sign(theirs))
    part = judge(tmp_path, 'evaluate_clustering', rows, 'cluster_col=c', 'feature_cols=@numeric,-y', 'sample=100')
    assert part['metrics']['silhouette_rows'] == 100 and 'ari' not in part['metrics']
    assert abs(part['metrics']['silhouette'] - m['silhouette']) < 0.05
    near(part['metrics']['davies_bouldin'], m['davies_bouldin'])
    assert [r[1] for r in table(part, 'Clusters')] == list(np.bincount(got))


def test_clusters_at_the_edges(tmp_path):
    one = judge(tmp_path, 'evaluate_clustering', [['a', 'c'], [1, 0], [2, 0]], 'cluster_col=c')['metrics']
    assert one['silhouette'] is None and one['davies_bouldin'] is None and one['inertia'] == 0.5
    alone = judge(tmp_path, 'evaluate_clustering', [['a', 'c'], [1, 0], [1, 1], [1, 1]], 'cluster_col=c')['metrics']
    assert alone['silhouette'] == 0 and alone['calinski_harabasz'] is None
    same = judge(tmp_path, 'evaluate_clustering', [['a', 'c', 'y'], [1, 0, 'u'], [2, 0, 'u']], 'cluster_col=c',
                 'label_col=y')['metrics']
    assert same['ari'] == same['nmi'] == same['purity'] == 1
    refuse(tmp_path, 3, "'c', row 2: the value is missing", 'evaluate_clustering', 'a,c\n1,0\n2,\n', 'cluster_col=c')
    refuse(tmp_path, 3, "column 'a'", 'evaluate_clustering', 'a,c\n1,0\n,1\n', 'cluster_col=c')
    refuse(tmp_path, 2, "cluster_col: the table has no column 'prediction'", 'evaluate_clustering', 'a,c\n1,0\n')
    refuse(tmp_path, 3, 'the table has no rows', 'evaluate_clustering', 'a,prediction\n')


# --- what is said before a run is what the run says ---

def known(folder, module, port, *params):
    words = [w for p in params for w in ('--param', p)]
    out = json.loads(ml('--schema-only', module, '--in', f'{port}=t.arrow', *words, cwd=folder).stdout)
    return [(m['param'], m['message']) for m in out['mistakes']], out['outputs']


def test_checks_refuse_what_runs_refuse(tmp_path):
    (tmp_path / 't.csv').write_text('y,p,fold,prob_a\na,1,2,x\nb,2,3,x\na,3,4,x\nb,1,2,x\n')
    ok('read_csv', '--param', 'path=t.csv', '--out', 'table=t.arrow', cwd=tmp_path)
    assert known(tmp_path, 'evaluate_binary', 'table', 'label_col=y', 'positive=b')[0] == \
        [('prob_col', "the table has no column 'prob_b': did you mean 'prob_a'?")]
    assert known(tmp_path, 'evaluate_binary', 'table', 'label_col=y', 'positive=a')[0] == \
        [('prob_col', "column 'prob_a' holds text, and numbers are needed here: name another, or encode it first (string_index)")]
    assert known(tmp_path, 'evaluate_binary', 'table', 'label_col=y', 'prob_col=p')[0] == []
    learner = ('learner=decision_tree', 'label_col=y', 'folds=2')
    for given, mistake in ((('pred_col=p', 'fold_col='), ('pred_col', "the table has a column 'p' already")),
                           (('prob_prefix=',), ('fold_col', "the table has a column 'fold' already"))):
        assert known(tmp_path, 'cross_validate', 'train', *learner, *given)[0] == [mistake]
        words = [w for p in (*learner, *given) for w in ('--param', p)]
        refused(2, ': '.join(mistake), 'cross_validate', '--in', 'train=t.arrow', *words, '--out', 'table=x.arrow', cwd=tmp_path)
    mistakes, outputs = known(tmp_path, 'cross_validate', 'train', *learner, 'fold_col=f')
    assert mistakes == [] and {'name': 'prediction', 'type': 'text'} in outputs['table']['columns']
    (tmp_path / 't.csv').write_text('y,p\na,1\nb,2\n')
    ok('read_csv', '--param', 'path=t.csv', '--out', 'table=t.arrow', cwd=tmp_path)
    assert known(tmp_path, 'evaluate_binary', 'table', 'label_col=y')[0][0][0] == 'prob_col'


def test_clusters_are_judged_as_the_modules_name_them(tmp_path):
    rows = [['x'], [0], [0.1], [9], [9.1]]
    write_csv(tmp_path / 't.csv', rows[0], rows[1:])
    ok('read_csv', '--param', 'path=t.csv', '--out', 'table=data.arrow', cwd=tmp_path)
    ok('kmeans', '--in', 'train=data.arrow', '--out', 'table=t.arrow', '--out', 'model=m.model', cwd=tmp_path)
    assert known(tmp_path, 'evaluate_clustering', 'table')[0] == []
    ok('evaluate_clustering', '--in', 'table=t.arrow', '--out', 'report=a.json', cwd=tmp_path)
    ok('predict', '--in', 'model=m.model', '--in', 'table=data.arrow', '--param', 'keep_cols=x', '--out', 'table=p.arrow', cwd=tmp_path)
    ok('evaluate_clustering', '--in', 'table=p.arrow', '--param', 'feature_cols=x', '--out', 'report=b.json', cwd=tmp_path)
    one, two = (json.loads((tmp_path / name).read_text())['metrics'] for name in ('a.json', 'b.json'))
    assert one == two and one['silhouette'] > 0.98
    ok('read_csv', '--param', 'path=t.csv', '--out', 'table=t.arrow', cwd=tmp_path)
    assert known(tmp_path, 'evaluate_clustering', 'table')[0] == [('cluster_col', "the table has no column 'prediction'")]
