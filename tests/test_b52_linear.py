"""strata-ml: linear models, support vectors, Bayes and neighbours against scikit-learn."""
import json

import pytest

from test_b50_algorithms import ok, read_csv, refused, write_csv, write_data

datasets = pytest.importorskip('sklearn.datasets')
numpy = pytest.importorskip('numpy')
READ = 'read_csv --param path=./d.csv --out table=t'
PREDICT = 'predict --in model=m --in table=t --out table=./p.csv'


def params(given):
    return ' '.join(f'--param {k}={v}' for k, v in given.items())


def table(folder, x, y, **more):
    """Features, `label` and further columns, written exactly."""
    names = [f'x{j}' for j in range(x.shape[1])]
    columns = list(zip(*more.values())) or [()] * len(x)
    write_csv(folder / 'd.csv', [*names, *more, 'label'],
              [[repr(float(v)) for v in row] + [repr(float(v)) for v in extra] + [k]
               for row, extra, k in zip(x, columns, y)])


def learn(folder, module, **given):
    """Trains on d.csv and predicts it; the rows of the prediction."""
    ok('chain', READ, f'{module} --in train=t --param label_col=label {params(given)} '
       '--out model=./m.smdl --out model=m', PREDICT, cwd=folder)
    return read_csv(folder / 'p.csv')


def numbers(rows):
    return numpy.array([float(r['prediction']) for r in rows])


def probabilities(rows):
    return numpy.array([[float(v) for k, v in r.items() if k.startswith('prob_')] for r in rows])


def threads_do_not_matter(folder, module, counts=(1, 3), **given):
    step = (f'{module} --in train=t --param label_col=label {params(given)} --out model=./m.smdl '
            '--out model=m')
    made = []
    for n in counts:
        ok('chain', READ, step, PREDICT, cwd=folder, env={'STRATA_THREADS': str(n)})
        made.append([(folder / name).read_bytes() for name in ('m.smdl', 'p.csv')])
    assert all(m == made[0] for m in made)


def wrong(folder, module, code, sentence, text, **given):
    """One sentence about the table `text`."""
    (folder / 'd.csv').write_text(text)
    refused(code, sentence, 'chain', READ, f'{module} --in train=t --param label_col=label '
            f'{params(given)} --out model=./none.smdl', cwd=folder)
    assert not (folder / 'none.smdl').exists()


def preview(folder, module, **given):
    ok('--outputs', 'yes', 'chain', READ, f'{module} --in train=t --param label_col=label '
       f'{params(given)} --out model=./m.smdl', cwd=folder)
    return json.loads((folder / 'm.preview.json').read_text())


def regression_data(name):
    if name == 'diabetes':
        return datasets.load_diabetes(return_X_y=True)
    x, _ = datasets.load_breast_cancer(return_X_y=True)  # columns that nearly depend on each other
    return x[:, 1:], x[:, 0]


def refuses_bad_tables(folder, module, **given):
    wrong(folder, module, 3, 'no rows', 'x,label\n', **given)
    wrong(folder, module, 3, "column 'x', row 2", 'x,label\n1,2\ninf,3\n3,4\n', **given)
    wrong(folder, module, 3, "'label', row 2: the label is missing", 'x,label\n1,2\n2,\n3,4\n', **given)
    wrong(folder, module, 2, "no column 'label'", 'x,labels\n1,2\n', **given)
    wrong(folder, module, 2, 'no column is left', 'text,label\nu,1\nv,2\n', **given)


# --- linear regression -------------------------------------------------------------------------

@pytest.mark.parametrize('name', ['diabetes', 'cancer'])
def test_least_squares_ridge_lasso_and_elastic_net_are_scikit_learns(tmp_path, name):
    models = pytest.importorskip('sklearn.linear_model')
    x, y = regression_data(name)
    n, raw = len(x), {'standardize': 'false', 'epsilon': 1e-12, 'max_iter': 1000000}
    tight = {'tol': 1e-13, 'max_iter': 1000000}
    w = numpy.random.RandomState(1).randint(0, 4, n)
    scale = x.std(0)
    table(tmp_path, x, y, w=w)
    for given, theirs, weights, factor in [
            ({}, models.LinearRegression(), None, 1),
            ({'intercept': 'false'}, models.LinearRegression(fit_intercept=False), None, 1),
            ({'weight_col': 'w'}, models.LinearRegression(), w, 1),
            ({'l2': 2 / n, **raw}, models.Ridge(2, solver='cholesky'), None, 1),
            ({'l2': 2 / w.sum(), 'weight_col': 'w'}, models.Ridge(2, solver='cholesky'), w,
             numpy.sqrt(numpy.average((x - numpy.average(x, 0, w))**2, 0, w))),
            ({'l1': 0.02, 'epsilon': 1e-12}, models.Lasso(0.02, **tight), None, scale),
            ({'l1': 0.02, 'l2': 0.03, 'epsilon': 1e-12, 'weight_col': 'w', 'standardize': 'false'},
             models.ElasticNet(0.05, l1_ratio=0.4, **tight), w, 1)]:
        if name == 'cancer' and given.get('standardize') == 'false' and 'l1' in given:
            continue  # scikit-learn's descent does not end on columns of such different size
        given.setdefault('feature_cols', '@numeric,-w')
        want = theirs.fit(x / factor, y, weights).predict(x / factor)
        got = numbers(learn(tmp_path, 'linear_regression', **given))
        assert abs(got - want).max() < 1e-6 * y.std(), (given, abs(got - want).max())


def test_linear_regression_bears_hard_tables(tmp_path):
    rng = numpy.random.RandomState(2)
    x = rng.normal(size=(12, 30))  # more columns than rows: all fit, and the weights are small
    y = rng.normal(size=12)
    table(tmp_path, x, y)
    assert abs(numbers(learn(tmp_path, 'linear_regression')) - y).max() < 1e-9
    x = numpy.c_[y, y, numpy.full(12, 7.5)]  # the same column twice, and a constant one
    table(tmp_path, x, 3 * y + 1)
    assert abs(numbers(learn(tmp_path, 'linear_regression')) - 3 * y - 1).max() < 1e-9
    seen = preview(tmp_path, 'linear_regression')
    assert seen['task'] == 'regression' and abs(seen['figures']['r2'] - 1) < 1e-12
    shares = dict(seen['importance'])
    assert abs(shares['x0'] - 0.5) < 1e-9 and shares['x2'] == 0
    for text, expect in (('x,label\n4,5\n', 5), ('x,label\n1,5\n2,5\n', 5), ('x,label\n3,1\n3,9\n', 5)):
        (tmp_path / 'd.csv').write_text(text)  # one row; one label; one value
        assert numbers(learn(tmp_path, 'linear_regression', l1=0.1)) == pytest.approx(expect)
        assert numbers(learn(tmp_path, 'linear_regression')) == pytest.approx(expect)
    refuses_bad_tables(tmp_path, 'linear_regression')
    wrong(tmp_path, 'linear_regression', 3, 'holds text', 'x,label\n1,a\n2,b\n')
    wrong(tmp_path, 'linear_regression', 3, 'too large', 'x,label\n1e300,1\n-1e300,2\n')
    wrong(tmp_path, 'linear_regression', 3, "'x', row 2: the value is missing", 'x,label\n1,1\n,2\n')
    (tmp_path / 'd.csv').write_text('x,label\n1,1\n,2\n3,3\n')
    assert numbers(learn(tmp_path, 'linear_regression', missing='mean')) == pytest.approx([1, 2, 3])
    wrong(tmp_path, 'linear_regression', 3, 'has no mean', 'x,label\n,1\n,2\n', missing='mean',
          feature_cols='x')


def test_linear_regression_is_the_same_for_any_number_of_threads(tmp_path):
    x, y = regression_data('diabetes')
    table(tmp_path, numpy.r_[x, x, x], numpy.r_[y, y, y])
    threads_do_not_matter(tmp_path, 'linear_regression', l2=0.1)
    threads_do_not_matter(tmp_path, 'linear_regression', l1=0.1)


# --- naive Bayes -------------------------------------------------------------------------------

def class_data(name):
    loaded = {'iris': datasets.load_iris, 'wine': datasets.load_wine, 'digits': datasets.load_digits,
              'cancer': datasets.load_breast_cancer}[name]()
    return loaded.data, loaded.target


@pytest.mark.parametrize('name', ['digits', 'wine'])
def test_naive_bayes_is_scikit_learns(tmp_path, name):
    bayes = pytest.importorskip('sklearn.naive_bayes')
    x, y = class_data(name)
    w = numpy.random.RandomState(3).randint(1, 4, len(x))
    table(tmp_path, x, y, w=w)
    middle = float(numpy.median(x))
    for given, theirs in (
            ({'kind': 'gaussian'}, bayes.GaussianNB()),
            ({'var_smoothing': 1e-3, 'prior': 'equal'},
             bayes.GaussianNB(var_smoothing=1e-3, priors=[1 / len(set(y))] * len(set(y)))),
            ({'kind': 'multinomial', 'smoothing': 0.5}, bayes.MultinomialNB(alpha=0.5)),
            ({'kind': 'bernoulli', 'binarize': middle}, bayes.BernoulliNB(binarize=middle))):
        for weights in (None, w) if 'var_smoothing' not in given else (None,):
            got = probabilities(learn(tmp_path, 'naive_bayes', feature_cols='@numeric,-w', **given,
                                      **({} if weights is None else {'weight_col': 'w'})))
            times = 1 if weights is None else w  # a weight of 2 is the row twice
            theirs.fit(numpy.repeat(x, times, 0), numpy.repeat(y, times))
            assert abs(got - theirs.predict_proba(x)).max() < 1e-6, given


def test_naive_bayes_takes_texts_and_leaves_out_what_is_missing(tmp_path):
    bayes = pytest.importorskip('sklearn.naive_bayes')
    rng = numpy.random.RandomState(4)
    y = rng.randint(0, 3, 400)
    codes = numpy.c_[(y + rng.randint(0, 3, 400)) % 4, rng.randint(0, 2, 400)]
    size = y + rng.normal(size=400)
    rows = [['pqrs'[a], 'uv'[b], repr(float(s)), k] for (a, b), s, k in zip(codes, size, y)]
    write_csv(tmp_path / 'd.csv', ['a', 'b', 'size', 'label'], rows)
    texts = bayes.CategoricalNB(alpha=0.5).fit(codes, y)
    got = probabilities(learn(tmp_path, 'naive_bayes', feature_cols='a,b', smoothing=0.5))
    assert abs(got - texts.predict_proba(codes)).max() < 1e-12
    normal = bayes.GaussianNB().fit(size[:, None], y)
    both = (texts.predict_log_proba(codes) + normal.predict_log_proba(size[:, None])
            - numpy.log(normal.class_prior_))
    both = numpy.exp(both) / numpy.exp(both).sum(1, keepdims=True)
    got = probabilities(learn(tmp_path, 'naive_bayes', feature_cols='@all', smoothing=0.5))
    assert abs(got - both).max() < 1e-9
    for r in rows[::3]:
        r[2] = ''
    for r in rows[1::3]:
        r[0] = ''
    write_csv(tmp_path / 'd.csv', ['a', 'b', 'size', 'label'], rows)
    there = numpy.array([r[2] != '' for r in rows])
    normal.fit(size[there][:, None], y[there])  # the others say nothing
    shares = numpy.log(numpy.bincount(y) / 400)
    alone = normal.predict_log_proba(size[:, None]) - numpy.log(normal.class_prior_) + shares
    alone = numpy.where(there[:, None], alone, shares)
    alone = numpy.exp(alone) / numpy.exp(alone).sum(1, keepdims=True)
    got = probabilities(learn(tmp_path, 'naive_bayes', feature_cols='size'))
    assert abs(got - alone).max() < 1e-9
    threads_do_not_matter(tmp_path, 'naive_bayes', feature_cols='@all')


def test_naive_bayes_bears_hard_tables(tmp_path):
    refuses_bad_tables(tmp_path, 'naive_bayes')
    wrong(tmp_path, 'naive_bayes', 3, '1 class', 'x,label\n1,a\n2,a\n')
    wrong(tmp_path, 'naive_bayes', 3, "'x' holds a value below 0", 'x,label\n1,a\n-2,b\n',
          kind='multinomial')
    wrong(tmp_path, 'naive_bayes', 3, "'t' holds text", 't,label\nu,a\nv,b\n', kind='bernoulli',
          feature_cols='t')
    wrong(tmp_path, 'naive_bayes', 3, 'too large', 'x,label\n1e200,a\n-1e200,a\n1,b\n')
    for text in ('x,label\n3,a\n3,b\n', 'x,label\n,a\n,b\n'):  # constant; nothing there
        (tmp_path / 'd.csv').write_text(text)
        got = probabilities(learn(tmp_path, 'naive_bayes', feature_cols='x'))
        assert abs(got - 0.5).max() < 1e-12


# --- nearest neighbours ------------------------------------------------------------------------

@pytest.mark.parametrize('name', ['digits', 'wine'])
def test_neighbours_are_scikit_learns(tmp_path, name):
    near = pytest.importorskip('sklearn.neighbors')
    x, y = class_data(name)
    x = x + numpy.random.RandomState(5).normal(size=x.shape) * 1e-3 * x.std(0)  # no equal distances
    table(tmp_path, x, y)
    tree = {'algorithm': 'kd_tree'}  # whose distances are exact
    for given, more in (({'k': 7}, tree),
                        ({'k': 40, 'weights': 'distance'}, {'weights': 'distance', **tree}),
                        ({'k': 5, 'distance': 'cosine'}, {'metric': 'cosine'}),
                        ({'k': 6, 'standardize': 'true'}, tree)):
        z = (x - x.mean(0)) / numpy.where(x.std(0) > 0, x.std(0), 1) if 'standardize' in given else x
        theirs = near.KNeighborsClassifier(given['k'], **more).fit(z, y)
        got = probabilities(learn(tmp_path, 'knn', **given))
        assert abs(got - theirs.predict_proba(z)).max() < 1e-9, given
        theirs = near.KNeighborsRegressor(given['k'], **more).fit(z, y)
        got = numbers(learn(tmp_path, 'knn', task='regression', **given))
        assert abs(got - theirs.predict(z)).max() < 1e-9, given


@pytest.mark.parametrize('distance', ['euclid', 'cosine'])
def test_neighbours_are_exact_and_the_first_of_equals_wins(tmp_path, distance):
    rng = numpy.random.RandomState(6)
    x = rng.randint(0, 3, (1500, 4)).astype(float)  # most distances are equal
    x[:700] += 1e6  # far from zero, where single precision sees nothing
    x[1400:1410] = 0
    y = rng.normal(size=len(x))
    table(tmp_path, x, y)
    got = numbers(learn(tmp_path, 'knn', task='regression', k=30, distance=distance))
    if distance == 'cosine':
        length = numpy.sqrt((x**2).sum(1, keepdims=True))
        x = x / numpy.where(length > 0, length, 1)
    for i in range(0, len(x), 7):
        far = ((x - x[i])**2).sum(1) if distance == 'euclid' else 1 - x @ x[i]
        order = numpy.lexsort((numpy.arange(len(x)), far))[:30]
        if distance == 'euclid':
            assert abs(got[i] - y[order].mean()) < 1e-9, i
        else:  # cosines of equal angles differ in their last digit
            last = far[order[-1]]
            sure, may = far < last - 1e-12, far < last + 1e-12
            pool = numpy.sort(y[may & ~sure])
            rest = 30 - sure.sum()
            low, high = pool[:rest].sum(), pool[len(pool) - rest:].sum()
            assert low - 1e-6 <= got[i] * 30 - y[sure].sum() <= high + 1e-6


def test_neighbours_bear_hard_tables(tmp_path):
    x, y = class_data('iris')
    table(tmp_path, x, y)
    threads_do_not_matter(tmp_path, 'knn', weights='distance')
    refuses_bad_tables(tmp_path, 'knn', task='regression')
    wrong(tmp_path, 'knn', 3, '1 class', 'x,label\n1,a\n2,a\n')
    wrong(tmp_path, 'knn', 3, 'too large', 'x,label\n1e200,a\n-1e200,b\n')
    (tmp_path / 'd.csv').write_text('x,y,label\n1e140,0,a\n-1e140,1e-140,b\n1e140,1,a\n')
    assert [r['prediction'] for r in learn(tmp_path, 'knn', k=1)] == ['a', 'b', 'a']
    (tmp_path / 'd.csv').write_text('x,label\n3,a\n3,a\n3,b\n')  # constant; fewer rows than k
    got = probabilities(learn(tmp_path, 'knn', standardize='true', weights='distance'))
    assert abs(got - [2 / 3, 1 / 3]).max() < 1e-12


# --- support vectors ---------------------------------------------------------------------------

@pytest.mark.parametrize('name', ['wine', 'cancer'])
def test_linear_support_vectors_are_scikit_learns(tmp_path, name):
    svm = pytest.importorskip('sklearn.svm')
    x, y = class_data(name)
    x = (x - x.mean(0)) / x.std(0)
    w = numpy.random.RandomState(7).randint(0, 4, len(x))
    # of each row in every problem; liblinear's own class_weight weighs the positive rows only
    balanced = (len(y) / len(set(y)) / numpy.bincount(y))[y]
    table(tmp_path, x, y, w=w)
    for given, weights, more in (({'C': 0.1}, None, {}),
                                 ({'C': 1, 'loss': 'hinge'}, None, {'loss': 'hinge'}),
                                 ({'C': 0.5, 'weight_col': 'w'}, w, {}),
                                 ({'C': 0.2, 'class_weight': 'balanced'}, balanced, {}),
                                 ({'C': 0.2, 'intercept': 'false'}, None, {'fit_intercept': False})):
        theirs = svm.LinearSVC(C=given['C'], tol=1e-9, max_iter=1000000, **more).fit(x, y, weights)
        got = probabilities(learn(tmp_path, 'svm_linear', feature_cols='@numeric,-w', epsilon=1e-9,
                                  max_iter=1000000, **given))
        score = theirs.decision_function(x)
        want = (1 / (1 + numpy.exp(-score)) if score.ndim == 1 else
                numpy.exp(score) / numpy.exp(score).sum(1, keepdims=True))
        assert abs((got[:, 1] if score.ndim == 1 else got) - want).max() < 1e-5, given


def test_linear_support_vectors_come_to_an_end_with_labels_that_are_wrong(tmp_path):
    svm = pytest.importorskip('sklearn.svm')
    rng = numpy.random.RandomState(9)
    x, w = rng.normal(size=(3000, 6)), rng.randint(0, 4, 3000)
    y = numpy.digitize(x @ rng.normal(size=6), [-1, 1])
    y = numpy.where(rng.rand(3000) < .1, rng.randint(3, size=3000), y)
    for labels, given, more in ((y > 0, {}, {}), (y, {}, {}), (y, {'intercept': 'false'}, {'fit_intercept': False})):
        table(tmp_path, x, labels.astype(int), w=w)
        theirs = svm.LinearSVC(dual=False, tol=1e-9, max_iter=100, **more).fit(x, labels, w)
        done = ok('chain', READ, f'svm_linear --in train=t --param label_col=label --param weight_col=w {params(given)} --out model=m',
                  PREDICT, cwd=tmp_path)
        assert ' rounds' in done.stdout and 'not converged' not in done.stdout
        got, score = probabilities(read_csv(tmp_path / 'p.csv')), theirs.decision_function(x)
        want = 1 / (1 + numpy.exp(-score)) if score.ndim == 1 else numpy.exp(score) / numpy.exp(score).sum(1, keepdims=True)
        assert abs((got[:, 1] if score.ndim == 1 else got) - want).max() < 1e-5


def test_linear_support_vectors_bear_hard_tables(tmp_path):
    x, y = class_data('iris')
    table(tmp_path, x, y)
    threads_do_not_matter(tmp_path, 'svm_linear')
    plain = learn(tmp_path, 'svm_linear', standardize='true')
    assert numpy.mean([r['prediction'] == r['label'] for r in plain]) > 0.92
    refuses_bad_tables(tmp_path, 'svm_linear')
    wrong(tmp_path, 'svm_linear', 3, '1 class', 'x,label\n1,a\n2,a\n')
    wrong(tmp_path, 'svm_linear', 3, 'too large', 'x,label\n1e200,a\n-1e200,b\n')
    wrong(tmp_path, 'svm_linear', 3, 'sum to 0', 'x,w,label\n1,0,a\n2,0,b\n', weight_col='w')
    (tmp_path / 'd.csv').write_text('x,label\n3,a\n3,a\n3,b\n')
    got = learn(tmp_path, 'svm_linear')
    assert {r['prediction'] for r in got} == {'a'}


@pytest.mark.parametrize('name', ['wine', 'digits', 'cancer'])
def test_support_vectors_with_a_kernel_are_scikit_learns(tmp_path, name):
    svm = pytest.importorskip('sklearn.svm')
    x, y = class_data(name)
    x, y = x[:600], y[:600]
    if name != 'digits':
        x = (x - x.mean(0)) / x.std(0)
    w = numpy.random.RandomState(8).randint(0, 4, len(x))
    table(tmp_path, x, y, w=w)
    for given, more, weights in (
            ({'C': 2}, {}, None), ({'C': 0.7, 'gamma': 'auto', 'weight_col': 'w'}, {'gamma': 'auto'}, w),
            ({'C': 5, 'gamma': 0.002, 'class_weight': 'balanced'},
             {'gamma': 0.002, 'class_weight': 'balanced'}, None)):
        theirs = svm.SVC(C=given['C'], tol=1e-6, **more).fit(x, y, weights)
        rows = learn(tmp_path, 'svm_rbf', feature_cols='@numeric,-w', epsilon=1e-6, **given)
        got = probabilities(rows)
        if name == 'cancer':  # two classes: the score itself
            want = 1 / (1 + numpy.exp(-theirs.decision_function(x)))
            assert abs(got[:, 1] - want).max() < 1e-4
        same = numpy.mean(numbers(rows) == theirs.predict(x))  # ties of votes are broken otherwise
        assert same > 0.997, (given, same)
        assert abs(got.sum(1) - 1).max() < 1e-12


def test_support_vectors_with_a_kernel_bear_hard_tables(tmp_path):
    x, y = class_data('iris')
    table(tmp_path, x * [1, 1, 1, 1000], y)
    threads_do_not_matter(tmp_path, 'svm_rbf', (1, 3, 16), standardize='true')  # 16: more than pairs of classes
    rows = learn(tmp_path, 'svm_rbf', standardize='true')
    assert numpy.mean([r['prediction'] == r['label'] for r in rows]) > 0.96
    refuses_bad_tables(tmp_path, 'svm_rbf')
    wrong(tmp_path, 'svm_rbf', 3, '1 class', 'x,label\n1,a\n2,a\n')
    wrong(tmp_path, 'svm_rbf', 3, 'too large', 'x,label\n1e200,a\n-1e200,b\n')
    wrong(tmp_path, 'svm_rbf', 2, 'write scale, auto or a number', 'x,label\n1,a\n2,b\n', gamma='wide')
    (tmp_path / 'd.csv').write_text('x,label\n3,a\n3,a\n3,b\n')  # constant
    assert {r['prediction'] for r in learn(tmp_path, 'svm_rbf')} == {'a'}
    (tmp_path / 'd.csv').write_text('x,w,label\n1,1,a\n2,0,b\n3,1,c\n')  # a class that weighs nothing
    got = learn(tmp_path, 'svm_rbf', weight_col='w', feature_cols='x', gamma='1')
    assert [r['prediction'] for r in got][::2] == ['a', 'c']


def folds_of(folder, learner, seed):
    """The folds that a learner of probabilities takes: those of cross_validate by the same seed."""
    ok('chain', READ, f'cross_validate --in train=t --param learner={learner} --param label_col=label --param seed={seed} --out table=./f.csv', cwd=folder)
    fold = numpy.array([int(r['fold']) for r in read_csv(folder / 'f.csv')])
    return [(numpy.flatnonzero(fold != k), numpy.flatnonzero(fold == k)) for k in range(1, 6)]


@pytest.mark.parametrize('name', ['wine', 'cancer'])
def test_probabilities_of_support_vectors_are_scikit_learns_calibration(tmp_path, name):
    svm, calibration = pytest.importorskip('sklearn.svm'), pytest.importorskip('sklearn.calibration')
    x, y = class_data(name)
    x = (x - x.mean(0)) / x.std(0) + numpy.random.RandomState(3).normal(size=x.shape)
    table(tmp_path, x, y)
    folds = folds_of(tmp_path, 'svm_linear', 5)
    for c in (0.02, 0.2):
        theirs = calibration.CalibratedClassifierCV(svm.LinearSVC(C=c, tol=1e-9, max_iter=1000000), ensemble=False, cv=folds).fit(x, y)
        rows = learn(tmp_path, 'svm_linear', C=c, epsilon=1e-9, max_iter=1000000, probability='true', seed=5)
        assert abs(probabilities(rows) - theirs.predict_proba(x)).max() < 1e-4
    if name == 'cancer':  # two classes: libsvm shuffles by chance of its own, so the same folds by scikit-learn
        theirs = calibration.CalibratedClassifierCV(svm.SVC(C=2, gamma=0.03, tol=1e-6), ensemble=False, cv=folds).fit(x, y)
        rows = learn(tmp_path, 'svm_rbf', C=2, gamma=0.03, epsilon=1e-6, probability='true', seed=5)
        assert abs(probabilities(rows) - theirs.predict_proba(x)).max() < 1e-3
    theirs = svm.SVC(C=2, gamma=0.03, probability=True, random_state=1).fit(x, y).predict_proba(x)
    got = probabilities(learn(tmp_path, 'svm_rbf', C=2, gamma=0.03, probability='true'))
    assert abs(got - theirs).mean() < 0.02 and abs(got.sum(1) - 1).max() < 1e-12
    assert numpy.mean(got.argmax(1) == theirs.argmax(1)) > 0.98


def test_probabilities_of_support_vectors_bear_hard_tables_and_are_judged(tmp_path):
    x, y = class_data('iris')
    x = x + numpy.random.RandomState(2).normal(size=x.shape)
    table(tmp_path, x, y)
    for module in ('svm_linear', 'svm_rbf'):
        threads_do_not_matter(tmp_path, module, (1, 3), probability='true')
    x, y = class_data('cancer')
    table(tmp_path, (x - x.mean(0)) / x.std(0), y)
    loss = {}
    for probability in ('false', 'true'):
        done = ok('chain', READ, f'cross_validate --in train=t --param learner=svm_rbf --param learner_params=C=1;probability={probability} '
                  '--param label_col=label --out table=p', 'evaluate_binary --in table=p --param label_col=label --param prob_col=prob_1 '
                  '--param positive=1 --out report=./r.json', cwd=tmp_path)
        loss[probability] = [json.loads(s) for s in done.stdout.splitlines() if '"metric"' in s][-1]['metric']['logloss']
    assert loss['true'] < 0.6 * loss['false']
    for text in ('x,label\n3,a\n3,a\n3,b\n', 'x,label\n1,a\n2,a\n3,b\n', 'x,label\n1,a\n2,b\n'):  # constant; a fold without a class; two rows
        (tmp_path / 'd.csv').write_text(text)
        for module in ('svm_linear', 'svm_rbf'):
            got = probabilities(learn(tmp_path, module, probability='true'))
            assert numpy.isfinite(got).all() and abs(got.sum(1) - 1).max() < 1e-12


# --- logistic regression -----------------------------------------------------------------------

@pytest.mark.parametrize('name', ['wine', 'cancer'])
def test_logistic_regression_with_l1_is_scikit_learns(tmp_path, name):
    models = pytest.importorskip('sklearn.linear_model')
    x, y = class_data(name)
    x = (x - x.mean(0)) / x.std(0)
    table(tmp_path, x, y)
    for l1, l2 in ((0.02, 0), (0.01, 0.02)):
        theirs = models.LogisticRegression(
            penalty='elasticnet', solver='saga', C=1 / ((l1 + l2) * len(x)), l1_ratio=l1 / (l1 + l2),
            tol=1e-8, max_iter=100000).fit(x, y)
        got = probabilities(learn(tmp_path, 'logistic_regression', l1=l1, l2=l2, epsilon=1e-8,
                                  max_iter=5000))
        assert abs(got - theirs.predict_proba(x)).max() < 1e-4
        with open(tmp_path / 'm.smdl', 'rb') as f:
            data = f.read()
        flat = numpy.frombuffer(data[-8 * (theirs.coef_.size + len(theirs.coef_)):])
        ours = flat[:theirs.coef_.size].reshape(x.shape[1], -1).T
        assert ((ours == 0) == (abs(theirs.coef_) < 1e-9)).all() and (ours == 0).any()
    threads_do_not_matter(tmp_path, 'logistic_regression', l1=0.01)


# --- networks ----------------------------------------------------------------------------------

@pytest.mark.parametrize('name', ['diabetes', 'cancer'])
def test_a_network_learns_a_number_as_well_as_scikit_learns(tmp_path, name):
    network = pytest.importorskip('sklearn.neural_network')
    x, y = regression_data(name)
    x, z = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
    theirs = network.MLPRegressor((16,), max_iter=60, batch_size=32, random_state=0,
                                  learning_rate_init=0.003, n_iter_no_change=100).fit(x, z)
    table(tmp_path, x, y)
    given = {'task': 'regression', 'layers': 16, 'epochs': 60, 'batch': 32, 'learning_rate': 0.003}
    got = numbers(learn(tmp_path, 'mlp', **given))
    left = ((got - y)**2).mean() / y.var()
    assert left < ((theirs.predict(x) - z)**2).mean() + 0.05 and left < 0.5
    if name == 'diabetes':
        threads_do_not_matter(tmp_path, 'mlp', **{**given, 'epochs': 5, 'batch': 200, 'early_stop': 3})


def test_a_network_for_a_number_bears_hard_tables(tmp_path):
    refuses_bad_tables(tmp_path, 'mlp', task='regression', epochs=2)
    wrong(tmp_path, 'mlp', 3, 'holds text', 'x,label\n1,a\n2,b\n', task='regression')
    (tmp_path / 'd.csv').write_text('x,label\n1,7\n2,7\n')
    got = numbers(learn(tmp_path, 'mlp', task='regression', epochs=300, learning_rate=0.01))
    assert abs(got - 7).max() < 0.1
    wrong(tmp_path, 'mlp', 3, 'too large', 'x,label\n1,1e300\n2,-1e300\n', task='regression')
