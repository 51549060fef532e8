"""strata-ml: what judging modules compute, against scikit-learn, scipy and formulas written out, and what they refuse."""
import json

import pytest

from test_b50_algorithms import data_of, ok, read_csv, refused, write_csv, write_data

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
