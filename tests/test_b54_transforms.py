"""strata-ml: transforms against pandas and scikit-learn, their bad input, and that serving repeats them."""
import csv
import json
import shlex

import pytest

from test_b50_algorithms import ROOT, ml, ok, refused, write_csv

pd = pytest.importorskip('pandas')
np = pytest.importorskip('numpy')

PENGUINS = ROOT / 'examples/data/penguins.csv'
CHURN = ROOT / 'examples/data/churn.csv'


def chain(tmp_path, *steps, path=PENGUINS, **options):
    """read_csv as `t`, the steps, and the table `out` back as pandas sees it."""
    ok('chain', f'read_csv --param path={path} --out table=t', *steps, cwd=tmp_path, **options)
    return load(tmp_path / 'out.csv') if (tmp_path / 'out.csv').exists() else None


def load(path):
    return pd.read_csv(path, keep_default_na=False, na_values=['', 'NA'])


def refuse(tmp_path, code, sentence, *steps, path=PENGUINS):
    return refused(code, sentence, 'chain', f'read_csv --param path={path} --out table=t', *steps, cwd=tmp_path)


def same(mine, theirs, rtol=1e-12):
    """Equal columns, order, text and missing values; numbers within rtol."""
    assert list(mine.columns) == list(theirs.columns)
    assert len(mine) == len(theirs)
    for name in mine.columns:
        a, b = mine[name], theirs[name].reset_index(drop=True)
        if a.dtype == object or b.dtype == object:
            a, b = a.where(a.notna(), None), b.where(b.notna(), None)
            assert list(map(str, a)) == list(map(str, b)), name
        else:
            np.testing.assert_allclose(a.astype(float), b.astype(float), rtol=rtol, atol=1e-12, err_msg=name)


def table(tmp_path, text, name='in.csv'):
    (tmp_path / name).write_text(text)
    return tmp_path / name


BOTH = pytest.mark.parametrize('path', [PENGUINS, CHURN], ids=['penguins', 'churn'])


# --- columns ---

@BOTH
def test_select_columns_keeps_some(tmp_path, path):
    theirs = load(path)
    keep = list(theirs.columns[2:5])
    same(chain(tmp_path, f'select_columns --in table=t --param columns={keep[2]},{keep[0]},{keep[1]} --out table=./out.csv',
               path=path), theirs[keep])
    refuse(tmp_path, 2, "columns: the table has no column 'none'",
           'select_columns --in table=t --param columns=none --out table=./out.csv', path=path)


# --- impute ---

@BOTH
@pytest.mark.parametrize('how', ['mean', 'median', 'mode'])
def test_impute_fills_as_scikit_learn(tmp_path, path, how):
    impute = pytest.importorskip('sklearn.impute')
    theirs = load(path)
    names = list(theirs.select_dtypes('number').columns)
    mine = chain(tmp_path, f'impute --in table=t --param strategy={how} --out table=./out.csv', path=path)
    strategy = {'mode': 'most_frequent'}.get(how, how)
    theirs[names] = impute.SimpleImputer(strategy=strategy).fit_transform(theirs[names])
    same(mine, theirs)


@BOTH
def test_impute_of_text_with_a_mark_and_without_rows(tmp_path, path):
    theirs = load(path)
    texts = list(theirs.select_dtypes('object').columns)
    whole = theirs.dropna()
    same(chain(tmp_path, 'impute --in table=t --param cols=@all --param strategy=drop_row --out table=./out.csv', path=path), whole)
    filled = theirs.copy()
    filled[texts] = filled[texts].fillna('none')
    for name in texts:
        filled[f'{name}_missing'] = theirs[name].isna().astype(int)
    same(chain(tmp_path, 'impute --in table=t --param cols=@text --param strategy=value --param value=none --param indicator=true '
               '--out table=./out.csv', path=path), filled)


def test_impute_says_what_cannot_be_filled(tmp_path):
    path = table(tmp_path, 'a,b,c,d\n1,x,1,\n2,,inf,\n')
    refuse(tmp_path, 3, "column 'b' holds text, which has no mean: use strategy=mode or value",
           'impute --in table=t --param cols=b --out table=./out.csv', path=path)
    refuse(tmp_path, 3, "column 'c', row 2: the value is infinite", 'impute --in table=t --out table=./out.csv', path=path)
    refuse(tmp_path, 2, "value: 'x' is not a number, and column 'a' holds numbers",
           'impute --in table=t --param cols=a --param strategy=value --param value=x --out table=./out.csv', path=path)
    refuse(tmp_path, 3, "all its values are missing",
           'impute --in table=t --param cols=d --param strategy=mode --out table=./out.csv', path=path)


# --- scalers ---

@BOTH
def test_scalers_scale_as_scikit_learn(tmp_path, path):
    scalers = pytest.importorskip('sklearn.preprocessing')
    theirs = load(path)
    names = list(theirs.select_dtypes('number').columns)
    for words, peer in (('min_max_scaler', scalers.MinMaxScaler()),
                        ('min_max_scaler --param min=-2 --param max=3', scalers.MinMaxScaler((-2, 3))),
                        ('robust_scaler', scalers.RobustScaler()),
                        ('robust_scaler --param q_low=0.1 --param q_high=0.8 --param with_centering=false',
                         scalers.RobustScaler(quantile_range=(10, 80), with_centering=False))):
        want = theirs.copy()
        want[names] = peer.fit_transform(theirs[names])
        same(chain(tmp_path, f'{words} --in table=t --out table=./out.csv', path=path), want, rtol=1e-9)
    refuse(tmp_path, 2, 'max: 0 is not larger than min', 'min_max_scaler --in table=t --param max=0 --out table=./out.csv')


# --- encoders ---

@BOTH
def test_one_hot_and_string_index_encode_as_pandas(tmp_path, path):
    theirs = load(path)
    texts = list(theirs.select_dtypes('object').columns)
    mine = chain(tmp_path, 'one_hot --in table=t --param cols=@text --out table=./out.csv', path=path)
    want = pd.get_dummies(theirs, columns=texts)
    same(mine[want.columns], want)
    mine = chain(tmp_path, 'one_hot --in table=t --param cols=@text --param drop_first=true --out table=./out.csv', path=path)
    want = pd.get_dummies(theirs, columns=texts, drop_first=True)
    same(mine[want.columns], want)
    mine = chain(tmp_path, 'string_index --in table=t --param order=alpha --out table=./out.csv', path=path)
    for name in texts:
        codes = theirs[name].astype('category').cat.codes
        assert list(mine[name].fillna(-1)) == list(codes), name
    mine = chain(tmp_path, 'string_index --in table=t --out table=./out.csv', path=path)
    for name in texts:
        counts = theirs[name].value_counts()
        order = sorted(counts.index, key=lambda k: (-counts[k], k))
        assert list(mine[name].dropna()) == [order.index(v) for v in theirs[name].dropna()], name


def test_rare_and_unknown_categories(tmp_path):
    fit = table(tmp_path, 'c,x\na,1\na,2\nb,3\nb,4\nc,5\n,6\n')
    later = table(tmp_path, 'c,x\na,1\nz,2\n,3\n', 'later.csv')
    ok('chain', f'read_csv --param path={fit} --out table=t', f'read_csv --param path={later} --out table=u',
       'one_hot --in table=t --param min_count=2 --out table=./fit.csv --out transform=./x.sxfm --out transform=x',
       'apply_transform --in transform=x --in table=u --out table=./out.csv', cwd=tmp_path)
    assert (tmp_path / 'fit.csv').read_text() == 'c_a,c_b,x\n1,0,1\n1,0,2\n0,1,3\n0,1,4\n0,0,5\n0,0,6\n'
    assert (tmp_path / 'out.csv').read_text() == 'c_a,c_b,x\n1,0,1\n0,0,2\n0,0,3\n'
    ok('chain', f'read_csv --param path={fit} --out table=t', f'read_csv --param path={later} --out table=u',
       'string_index --in table=t --out table=i --out transform=x',
       'apply_transform --in transform=x --in table=u --out table=./out.csv', cwd=tmp_path)
    assert (tmp_path / 'out.csv').read_text() == 'c,x\n0,1\n3,2\n,3\n'
    refused(3, "column 'c', row 2: 'z' was not there when string_index was fitted", 'chain',
            f'read_csv --param path={fit} --out table=t', f'read_csv --param path={later} --out table=u',
            'string_index --in table=t --param unknown=error --out table=i --out transform=x',
            'apply_transform --in transform=x --in table=u --out table=./out.csv', cwd=tmp_path)
    refused(3, "column 'c' holds numbers, and the transform was fitted on text", 'chain',
            f'read_csv --param path={table(tmp_path, "c,x" + chr(10) + "1,2" + chr(10), "n.csv")} --out table=u',
            'apply_transform --in transform=./x.sxfm --in table=u --out table=./out.csv', cwd=tmp_path)


@BOTH
def test_bins_are_those_of_pandas(tmp_path, path):
    theirs = load(path)
    names = list(theirs.select_dtypes('number').columns)[1:]
    mine = chain(tmp_path, f'bin --in table=t --param cols={",".join(names)} --param n=5 --out table=./out.csv', path=path)
    width = chain(tmp_path, f'bin --in table=t --param cols={",".join(names)} --param n=4 --param method=width --out table=./out.csv',
                  path=path)
    for name in names:
        edges = np.unique(np.nanquantile(theirs[name], [0.2, 0.4, 0.6, 0.8]))
        cut = pd.cut(theirs[name], [-np.inf, *edges, np.inf], labels=False)
        assert list(mine[name].dropna()) == list(cut.dropna()), name
        cut = pd.cut(theirs[name], 4, labels=False)
        assert list(width[name].dropna()) == list(cut.dropna()), name
    refuse(tmp_path, 2, "edges: '3' is not a number above those before it",
           'bin --in table=t --param method=custom --param edges=5,3 --out table=./out.csv')


# --- fitted transforms go along ---

def test_a_model_repeats_all_transforms_on_raw_rows(tmp_path):
    steps = ['split --in table=t --out train=a --out test=./b.stbl --out test=b',
             'impute --in table=a --param cols=@numeric,-year --param strategy=median --param indicator=true --out table=a1 --out transform=x1',
             'impute --in table=a1 --param cols=sex --param strategy=mode --out table=a2 --out transform=x2',
             'bin --in table=a2 --param cols=year --param n=3 --out table=a3 --out transform=x3',
             'one_hot --in table=a3 --param cols=island,sex --out table=a4 --out transform=x4',
             'min_max_scaler --in table=a4 --out table=a5 --out transform=x5',
             'logistic_regression --in train=a5 --param label_col=species --out model=./m.smdl',
             *(f'apply_transform --in transform=x{i + 1} --in table={"b" if i == 0 else f"b{i}"} --out table=b{i + 1}' for i in range(5)),
             'predict --in model=./m.smdl --in table=b5 --param keep_cols= --out table=./here.csv']
    chain(tmp_path, *steps)
    ok('predict', '--in', 'model=m.smdl', '--in', 'table=b.stbl', '--param', 'keep_cols=', '--out', 'table=later.csv', cwd=tmp_path)
    here = (tmp_path / 'here.csv').read_text()
    assert here == (tmp_path / 'later.csv').read_text() and here.count('\n') > 60
    species = load(tmp_path / 'later.csv')['prediction']
    assert set(species) <= {'Adelie', 'Chinstrap', 'Gentoo'}


# --- expressions ---

DATES = '''d,t,a,b,s,flag
2024-02-29,2024-02-29T23:30:00Z,1,2.5,Taipei,true
2023-12-31,2023-12-31T00:00:01Z,-7,0,台北 City,false
,1999-01-04T12:00:00Z,3,,,
1999-01-04,,,-2.5,"it's, ""so""",true
'''


def compute(tmp_path, expr, path=None):
    """The values of one expression over DATES, as text."""
    path = path or table(tmp_path, DATES, 'dates.csv')
    ok('chain', f'read_csv --param path={path} --out table=t',
       "compute_columns --in table=t --param 'exprs=r = " + expr.replace("'", '"') + "' --out table=c",
       'select_columns --in table=c --param columns=r --out table=./r.csv', cwd=tmp_path)
    return load_column(tmp_path / 'r.csv')


def load_column(path):
    with open(path, newline='') as f:
        return [row[0] if row else '' for row in list(csv.reader(f))[1:]]


@pytest.mark.parametrize('expr,want', [
    ('a + 1', ['2', '-6', '4', '']),
    ('a * b + 0', ['2.5', '0', '', '']),
    ('a / 2', ['0.5', '-3.5', '1.5', '']),
    ('1 / (a - 1)', ['', '-0.125', '0.5', '']),
    ('a % 3', ['1', '2', '0', '']),
    ('-2 ^ 2', ['-4'] * 4),
    ('2 ^ 3 ^ 2', ['512'] * 4),
    ('7 - 2 - 1 * 2', ['3'] * 4),
    ('round(b) + round(1.25, 1)', ['4.3', '1.3', '', '-1.7']),
    ('floor(b)', ['2', '0', '', '-3']),
    ('abs(b) >= 2.5 and a < 3', ['true', 'false', 'false', '']),
    ('a = 1 or b is missing', ['true', 'false', 'true', '']),
    ('not (a > 0)', ['false', 'true', 'false', '']),
    ('a in (1, 3, 5)', ['true', 'false', 'true', '']),
    ('a not in (1, 3)', ['false', 'true', 'false', '']),
    ('a between -7 and 1', ['true', 'true', 'false', '']),
    ("s in ('Taipei', 'x')", ['true', 'false', '', 'false']),
    ("if(flag, 'yes', 'no')", ['yes', 'no', 'no', 'yes']),
    ('if(a > 0, a, missing)', ['1', '', '3', '']),
    ('coalesce(b, a, 9)', ['2.5', '0', '3', '-2.5']),
    ('min(a, b)', ['1', '-7', '3', '-2.5']),
    ('max(a, b, 0)', ['2.5', '0', '3', '0']),
    ('length(s)', ['6', '7', '', '10']),
    ('upper(s)', ['TAIPEI', '台北 CITY', '', 'IT\'S, "SO"']),
    ("lower('ÄÖÜ ΑΒΓ ДЖ') = 'äöü αβγ дж'", ['true'] * 4),
    ("substr(s, 2, 3)", ['aip', '北 C', '', "t's"]),
    ("contains(s, 'i')", ['true', 'true', '', 'true']),
    ("starts_with(s, '台')", ['false', 'true', '', 'false']),
    ("replace(s, 'i', '__')", ['Ta__pe__', '台北 C__ty', '', '__t\'s, "so"']),
    ("trim('  x ') + '-' + text(a)", ['x-1', 'x--7', 'x-3', '']),
    ("number(substr('12x', 1, 2)) + 1", ['13'] * 4),
    ("number('x')", [''] * 4),
    ('year(d) * 100 + month(d)', ['202402', '202312', '', '199901']),
    ('weekday(d)', ['4', '7', '', '1']),
    ('day(t)', ['29', '31', '4', '']),
    ('hour(t) * 60 + minute(t)', ['1410', '0', '720', '']),
    ('second(t)', ['0', '1', '0', '']),
    ("date_diff('hour', d, t)", ['23.5', '0.0002777777777777778', '', '']),
    ("date_diff('month', d, t)", ['0', '0', '', '']),
    ("d >= '2023-12-31'", ['true', 'true', '', 'false']),
    ('d + 1', ['2024-03-01', '2024-01-01', '', '1999-01-05']),
    ("d - parse_date('1999-01-04')", ['9187', '9127', '', '0']),
    ('date(t)', ['2024-02-29', '2023-12-31', '1999-01-04', '']),
    ('`a`', ['1', '-7', '3', '']),
    ('missing', [''] * 4),
    ("text(d)", ['2024-02-29', '2023-12-31', '', '1999-01-04']),
])
def test_expressions_give(tmp_path, expr, want):
    assert compute(tmp_path, expr) == want


@pytest.mark.parametrize('expr,sentence', [
    ('a + ', 'it ends where a value is expected'),
    ('a + + b', "a value is expected, and not '+'"),
    ('(a', "it ends where ')' is expected"),
    ('a b', "an operator or the end is expected, and not 'b'"),
    ('agge', "character 1: the table has no column 'agge'"),
    ('roud(a)', "there is no function 'roud': did you mean 'round'?"),
    ('s + 1', "+ needs a number, and column 's' is text"),
    ('s > 1', '>: text and int do not go together'),
    ('a and flag', "and needs true or false, and column 'a' is int"),
    ('d > a', 'date and int do not go together'),
    ("d > 'soon'", "'soon' is no date: write '2024-02-29'"),
    ('substr(s)', 'substr takes at least 2 values, and gets 1'),
    ("date_diff('eon', d, d)", 'a unit is one of'),
    ('a # 3', "'#' means nothing here"),
    ("'abc", 'is never closed'),
    ('(' * 70 + '1' + ')' * 70, 'nested more than 64 deep'),
    ('1' + '+1' * 5000, 'the expression is too long'),
    ('floor(1e300)', '1e+300 is no int'),
])
def test_expressions_that_make_no_sense_are_explained(tmp_path, expr, sentence):
    path = table(tmp_path, DATES, 'dates.csv')
    code = 3 if sentence.startswith('1e') else 2
    ok('read_csv', '--param', f'path={path}', '--out', 'table=t.arrow', cwd=tmp_path)
    refused(code, sentence, 'compute_columns', '--in', 'table=t.arrow', '--param', f'exprs=r = {expr}', '--out', 'table=r.csv',
            cwd=tmp_path)


@BOTH
def test_filters_keep_the_rows_pandas_keeps(tmp_path, path):
    theirs = load(path)
    pairs = {PENGUINS: [('body_mass_g > 4000 and sex = "female"', (theirs.get('body_mass_g', 0) > 4000) & (theirs.get('sex') == 'female')),
                        ('island in ("Dream", "Biscoe") or bill_length_mm is missing',
                         theirs.get('island', theirs.iloc[:, 0]).isin(['Dream', 'Biscoe'])
                         | theirs.get('bill_length_mm', theirs.iloc[:, 0]).isna())],
             CHURN: [('monthly_charges * tenure > 2000', theirs.get('monthly_charges', 0) * theirs.get('tenure', 0) > 2000),
                     ('not contains(payment_method, "auto") and churn = "Yes"',
                      ~theirs.get('payment_method', theirs.iloc[:, 1]).astype(str).str.contains('auto') & (theirs.get('churn') == 'Yes'))]}
    for expr, rows in pairs[path]:
        same(chain(tmp_path, f"filter_rows --in table=t --param 'expr={expr}' --out table=./out.csv", path=path), theirs[rows])
    refuse(tmp_path, 2, 'expr: it gives int, and true or false is needed',
           'filter_rows --in table=t --param expr=rownames --out table=./out.csv', path=path)


def test_computed_columns_are_repeated_by_predict(tmp_path):
    chain(tmp_path,
          'compute_columns --in table=t --param "exprs=ratio = bill_length_mm / bill_depth_mm; big = ratio > 2.5;\nsex = coalesce(sex, `island`)" '
          '--out table=c --out table=./c.csv',
          'impute --in table=c --param cols=ratio --out table=d',
          'logistic_regression --in train=d --param label_col=species --param feature_cols=ratio --out model=./m.smdl')
    made = load(tmp_path / 'c.csv')
    raw = load(PENGUINS)
    assert list(made.columns) == [*raw.columns, 'ratio', 'big']
    np.testing.assert_allclose(made.ratio, raw.bill_length_mm / raw.bill_depth_mm, rtol=1e-15)
    assert list(made.sex) == list(raw.sex.fillna(raw.island))
    ok('chain', f'read_csv --param path={PENGUINS} --out table=t',
       'predict --in model=./m.smdl --in table=t --out table=./p.csv', cwd=tmp_path)
    assert (load(tmp_path / 'p.csv').prediction == raw.species).mean() > 0.8


# --- rows ---

JOIN_A = 'id,day,x\n3,2024-01-01,1\n1,2024-01-02,2\n,2024-01-01,3\n2,2024-01-01,4\n1,2024-01-01,5\n'
JOIN_B = 'key,day,x,city\n1,2024-01-01,10,Taipei\n1,2024-01-02,20,\n9,2024-01-01,30,台北\n3,2024-01-01,40,Taipei\n,2024-01-01,50,x\n1,2024-01-01,60,y\n'


@pytest.mark.parametrize('how', ['inner', 'left', 'right'])
def test_joins_are_those_of_pandas(tmp_path, how):
    a, b = table(tmp_path, JOIN_A, 'a.csv'), table(tmp_path, JOIN_B, 'b.csv')
    ok('chain', f'read_csv --param path={a} --out table=a', f'read_csv --param path={b} --out table=b',
       f"join --in left=a --in right=b --param keys=id=key,day --param type={how} --out table=./out.csv", cwd=tmp_path)
    left, right = load(a), load(b).rename(columns={'key': 'id'})
    left.loc[left.id.isna(), 'id'] = -1  # a missing key meets nobody
    right.loc[right.id.isna(), 'id'] = -2
    want = left.merge(right, on=['id', 'day'], how=how, suffixes=('', '_right'))
    want.loc[want.id < 0, 'id'] = np.nan
    same(load(tmp_path / 'out.csv'), want)


def test_full_semi_and_anti_joins(tmp_path):
    a, b = table(tmp_path, JOIN_A, 'a.csv'), table(tmp_path, JOIN_B, 'b.csv')
    read = [f'read_csv --param path={a} --out table=a', f'read_csv --param path={b} --out table=b']
    for how, want in (('full', 'id,day,x,day_r,x_r,city\n3,2024-01-01,1,2024-01-01,40,Taipei\n1,2024-01-02,2,2024-01-01,10,Taipei\n'
                       '1,2024-01-02,2,2024-01-02,20,\n1,2024-01-02,2,2024-01-01,60,y\n,2024-01-01,3,,,\n2,2024-01-01,4,,,\n'
                       '1,2024-01-01,5,2024-01-01,10,Taipei\n1,2024-01-01,5,2024-01-02,20,\n1,2024-01-01,5,2024-01-01,60,y\n'
                       '9,,,2024-01-01,30,台北\n,,,2024-01-01,50,x\n'),
                      ('semi', 'id,day,x\n3,2024-01-01,1\n1,2024-01-02,2\n1,2024-01-01,5\n'),
                      ('anti', 'id,day,x\n,2024-01-01,3\n2,2024-01-01,4\n')):
        ok('chain', *read, f'join --in left=a --in right=b --param keys=id=key --param suffix=_r --param type={how} --out table=./out.csv',
           cwd=tmp_path)
        assert (tmp_path / 'out.csv').read_text() == want, how
    refused(2, "keys: right: the table has no column 'id'", 'chain', *read, 'join --in left=a --in right=b --param keys=id --out table=./o.csv',
            cwd=tmp_path)
    refused(2, "keys: column 'id' of left holds int, and 'city' of right holds text", 'chain', *read,
            'join --in left=a --in right=b --param keys=id=city --out table=./o.csv', cwd=tmp_path)


def test_a_join_of_far_too_many_rows_is_refused_at_once(tmp_path):
    (tmp_path / 'in.csv').write_text('k\n' + '1\n' * 70000)
    refuse(tmp_path, 3, 'the join would have more than 2147483647 rows',
           'join --in left=t --in right=t --param keys=k --param type=full --out table=./o.csv', path=tmp_path / 'in.csv')


def test_a_large_join_of_texts(tmp_path):
    theirs = load(CHURN)
    means = theirs.groupby('payment_method', as_index=False).agg(mean=('tenure', 'mean'))
    means.sample(frac=1, random_state=1).to_csv(tmp_path / 'm.csv', index=False)
    ok('chain', f'read_csv --param path={CHURN} --out table=a', 'read_csv --param path=./m.csv --out table=b',
       'join --in left=a --in right=b --param keys=payment_method --param type=left --out table=./out.csv', cwd=tmp_path)
    same(load(tmp_path / 'out.csv'), theirs.merge(means, on='payment_method', how='left'), rtol=1e-9)


@BOTH
def test_sort_and_distinct_order_as_pandas(tmp_path, path):
    theirs = load(path)
    by = {PENGUINS: (['sex', 'body_mass_g', 'bill_length_mm'], [False, True, False]),
          CHURN: (['contract', 'total_charges', 'tenure'], [True, False, True])}[path]
    words = ', '.join(f'{c} {"asc" if up else "desc"}' for c, up in zip(*by))
    mine = chain(tmp_path, f"sort --in table=t --param 'by={words}' --out table=./out.csv", path=path)
    want = theirs.copy()
    for c, up in reversed(list(zip(*by))):
        want = want.sort_values(c, ascending=up, kind='stable', na_position='last')
    same(mine, want)
    for keep in ('first', 'last'):
        mine = chain(tmp_path, f'distinct --in table=t --param cols={",".join(by[0][:2])} --param keep={keep} --out table=./out.csv', path=path)
        same(mine, theirs.drop_duplicates(by[0][:2], keep=keep))
    assert len(chain(tmp_path, 'distinct --in table=t --out table=./out.csv', path=path)) == len(theirs)
    refuse(tmp_path, 2, "by: the table has no column 'desc'", "sort --in table=t --param by=desc --out table=./out.csv", path=path)


def test_rows_are_appended_by_name_and_by_place(tmp_path):
    a, b = table(tmp_path, 'n,s,d\n1,x,2024-01-01\n2,y,\n', 'a.csv'), table(tmp_path, 's,n,more\nz,2.5,7\nx,4,8\n', 'b.csv')
    read = [f'read_csv --param path={a} --out table=a', f'read_csv --param path={b} --out table=b']
    ok('chain', *read, 'append_rows --in first=a --in second=b --in third=a --out table=./out.csv', cwd=tmp_path)
    same(load(tmp_path / 'out.csv'), pd.concat([load(a), load(b), load(a)]))
    ok('chain', *read, 'select_columns --in table=b --param columns=n,more --out table=c',
       'append_rows --in first=c --in second=c --param align=position --out table=./out.csv', cwd=tmp_path)
    assert (tmp_path / 'out.csv').read_text() == 'n,more\n2.5,7\n4,8\n2.5,7\n4,8\n'
    refused(3, "second: column 'n' holds int, and 's' of the other table holds text", 'chain', *read,
            'append_rows --in first=a --in second=b --param align=position --out table=./out.csv', cwd=tmp_path)
    ok('chain', *read, 'standard_scaler --in table=a --param cols=n --out table=scaled',
       'append_rows --in first=scaled --in second=scaled --out table=./out.csv', cwd=tmp_path)
    refused(3, 'went through different transforms', 'chain', *read, 'standard_scaler --in table=a --param cols=n --out table=scaled',
            'append_rows --in first=scaled --in second=a --out table=./out.csv', cwd=tmp_path)


@BOTH
def test_groups_are_those_of_pandas(tmp_path, path):
    theirs = load(path)
    keys, number, text = {PENGUINS: (['species', 'sex'], 'body_mass_g', 'island'),
                          CHURN: (['contract', 'churn'], 'total_charges', 'payment_method')}[path]
    mine = chain(tmp_path, f"group_by --in table=t --param keys={','.join(keys)} --param 'aggs=count(), n = count({number}), sum({number}), "
                 f"mean({number}), min({number}), max({number}), std({number}), median({number}), first({number}), last({number}), "
                 f"distinct({number}), min({text}), `the last` = max({text}), distinct({text})' --out table=./out.csv", path=path)
    keys = [c for c in theirs.columns if c in keys]  # in the order of the table
    g = theirs.groupby(keys, dropna=False, sort=True)
    want = g.agg(count=(theirs.columns[0], 'size'), n=(number, 'count'),
                 **{f'{f}_{number}': (number, f) for f in ('sum', 'mean', 'min', 'max', 'std', 'median', 'first', 'last')},
                 **{f'distinct_{number}': (number, 'nunique'), f'min_{text}': (text, 'min'), 'the last': (text, 'max'),
                    f'distinct_{text}': (text, 'nunique')}).reset_index()
    same(mine, want)
    for aggs, sentence in (('sum(nothing)', "aggs: the table has no column 'nothing'"), ('suum(x)', "did you mean 'sum'?"),
                           (f'mean({text})', f"mean needs numbers, and column '{text}' holds text"), ('count(', 'a name is expected'),
                           ('sum()', 'sum needs a column'), ('', 'name at least one figure'), ('count(), count()', 'already')):
        refuse(tmp_path, 2, sentence, f"group_by --in table=t --param keys={keys[0]} --param 'aggs={aggs}' --out table=./o.csv", path=path)


def test_samples_keep_proportions_and_follow_the_seed(tmp_path):
    theirs = load(CHURN)

    def draw(params, **options):
        return chain(tmp_path, f'sample --in table=t {" ".join(f"--param {p}" for p in params.split())} --out table=./out.csv', path=CHURN, **options)

    one = draw('n=200 seed=1 stratify_col=contract')
    assert len(one) == 200 and one.rownames.is_unique and list(one.rownames) == sorted(one.rownames)
    for name, n in theirs.contract.value_counts().items():
        assert abs((one.contract == name).sum() - 200 * n / len(theirs)) <= 1
    assert one.equals(draw('n=200 seed=1 stratify_col=contract', threads=3))
    assert not one.equals(draw('n=200 seed=2 stratify_col=contract'))
    assert len(draw('fraction=0.25')) == (len(theirs) + 2) // 4  # halves up
    many = draw('fraction=3 replacement=true')
    assert len(many) == 3 * len(theirs) and not many.rownames.is_unique
    assert 0.93 < many.rownames.nunique() / len(theirs) < 0.97  # 1 - e^-3
    assert len(draw(f'n={2 * len(theirs) + 2} replacement=true stratify_col=contract')) == 2 * len(theirs) + 2
    assert set(draw(f'n={len(theirs)}').rownames) == set(theirs.rownames)
    refuse(tmp_path, 3, 'n: more rows are wanted than the 1018 there are', 'sample --in table=t --param n=5000 --out table=./o.csv', path=CHURN)


def test_split_by_time_leaves_the_latest_to_test(tmp_path):
    days = [3, 1, 2, 2, 5, 4, 2, 1]
    path = table(tmp_path, 'day,x\n' + ''.join(f'2024-01-0{d},{i}\n' for i, d in enumerate(days)))
    ok('chain', f'read_csv --param path={path} --out table=t',
       'split --in table=t --param mode=time --param time_col=day --param fraction=0.5 --out train=./a.csv --out test=./b.csv', cwd=tmp_path)
    # the fourth of eight rows is one of the 2nd: all of that day go to test
    assert list(load(tmp_path / 'a.csv').x) == [1, 7]
    assert list(load(tmp_path / 'b.csv').x) == [0, 2, 3, 4, 5, 6]
    refuse(tmp_path, 3, "column 'day', row 2: the time is missing",
           'split --in table=t --param mode=time --param time_col=day --out train=./a.csv',
           path=table(tmp_path, 'day,x\n2024-01-01,1\n,2\n'))
    refuse(tmp_path, 2, 'stratify_col: mode=time keeps no proportions',
           'split --in table=t --param mode=time --param time_col=year --param stratify_col=sex --out train=./a.csv')


def test_tables_without_rows_go_through(tmp_path):
    chain(tmp_path, "filter_rows --in table=t --param 'expr=year < 0' --out table=none",
          'sort --in table=none --param by=year --out table=a', 'distinct --in table=a --out table=b', 'sample --in table=b --out table=c',
          'group_by --in table=c --param keys=species --param aggs=mean(year),median(year),min(sex),count() --out table=./g.csv',
          'join --in left=c --in right=t --param keys=rownames --param type=left --out table=d', 'append_rows --in first=d --in second=d --out table=./out.csv',
          'one_hot --in table=c --out table=e', 'string_index --in table=c --out table=f', 'bin --in table=c --out table=g',
          'min_max_scaler --in table=c --out table=h', 'robust_scaler --in table=c --out table=i',
          "compute_columns --in table=c --param 'exprs=a = year + 1; b = upper(sex)' --out table=./k.csv")
    assert (tmp_path / 'g.csv').read_text() == 'species,mean_year,median_year,min_sex,count\n'
    assert (tmp_path / 'k.csv').read_text().startswith('rownames,') and (tmp_path / 'k.csv').read_text().count('\n') == 1


# --- names, types, words ---

def test_columns_get_other_names_and_types(tmp_path):
    path = table(tmp_path, 'id,n,when,flag,t\n007,1.0,2024-02-29,true,2024-02-29T23:00:00Z\n010,2.5,,false,\nx,,2023-01-01,,2023-01-01T00:00:00Z\n')
    ok('chain', f'read_csv --param path={path} --out table=t',
       "edit_columns --in table=t --param 'rename=id=code, n = number' --param 'types=id:int, when:time, flag:int, t:date' "
       '--param on_bad=missing --out table=./out.csv', cwd=tmp_path)
    assert (tmp_path / 'out.csv').read_text() == ('code,number,when,flag,t\n7,1,2024-02-29T00:00:00Z,1,2024-02-29\n10,2.5,,0,\n'
                                                  ',,2023-01-01T00:00:00Z,,2023-01-01\n')
    for params, code, sentence in (("types=id:int", 3, "column 'id', row 3: 'x' is no int; on_bad=missing"),
                                   ('types=n:int', 3, "column 'n', row 2: '2.5' is no int"),
                                   ('types=n:date', 2, "types: column 'n' holds real, which cannot become date"),
                                   ('types=n:number', 2, "types: 'number' is no type"),
                                   ('rename=n=t', 2, "the table has a column 't' already"),
                                   ('rename=n', 2, "rename: 'n' is none: write old=new"),
                                   ('drop=nn', 2, "drop: the table has no column 'nn'")):
        refuse(tmp_path, code, sentence, f'edit_columns --in table=t --param {params} --out table=./o.csv', path=path)
    assert list(chain(tmp_path, 'edit_columns --in table=t --param drop=@text --param types=n:text,when:text --out table=./out.csv',
                      path=path).columns) == ['n', 'when', 'flag', 't']
    assert list(load(tmp_path / 'out.csv').n.dropna()) == [1, 2.5]


def words_of(text):
    """kernel/tokens.h, by other means."""
    import re
    cjk = '\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3'
    out = []
    for part in re.findall(f'[{cjk}]+|[a-z0-9_]+', text.lower()):
        if re.match(f'[{cjk}]', part):
            out += [part] if len(part) == 1 else [part[i:i + 2] for i in range(len(part) - 1)]
        elif len(part) > 1:
            out.append(part)
    return out


@pytest.mark.parametrize('source', ['docs/architecture.md', 'docs/manual/zh-TW/jobs.md'])
def test_words_weigh_what_scikit_learn_says(tmp_path, source):
    text = pytest.importorskip('sklearn.feature_extraction.text')
    lines = [line.encode().decode('utf-8', 'ignore') for line in (ROOT / source).read_text().splitlines() if line.strip()][:150]
    lines = [''.join(c if c.isascii() or '\u4e00' <= c <= '\u9fff' else ' ' for c in line) for line in lines]
    with open(tmp_path / 'in.csv', 'w', newline='') as f:
        csv.writer(f, quoting=csv.QUOTE_ALL).writerows([['n', 'text'], *enumerate(lines)])

    def pairs(line):
        words = words_of(line)
        return words + [' '.join(p) for p in zip(words, words[1:])]

    for params, peer in (('max_features=60000', text.TfidfVectorizer(analyzer=words_of)),
                         ('max_features=60000 min_df=2 max_df=0.3 ngram_max=2 norm=l1',
                          text.TfidfVectorizer(analyzer=pairs, min_df=2, max_df=0.3, norm='l1'))):
        mine = chain(tmp_path, f'tfidf --in table=t --param col=text {" ".join(f"--param {p}" for p in params.split())} --out table=./out.csv',
                     path=tmp_path / 'in.csv')
        theirs = peer.fit_transform(lines).toarray()
        names = [f'text_{w}' for w in peer.get_feature_names_out()]
        assert sorted(mine.columns[1:]) == sorted(names) and len(names) > 50
        np.testing.assert_allclose(mine[names].to_numpy(float), theirs, rtol=1e-12, atol=1e-14)


def test_words_of_later_rows_are_those_that_were_learned(tmp_path):
    table(tmp_path, 'n,text\n1,red apple\n2,green apple\n3,\n')
    table(tmp_path, 'n,text\n4,"red blue, RED"\n5,\n6,blue\n', 'later.csv')
    ok('chain', 'read_csv --param path=./in.csv --out table=t', 'read_csv --param path=./later.csv --out table=u',
       'tfidf --in table=t --param col=text --param max_features=2 --param norm=none --out table=./fit.csv --out transform=./x.sxfm --out transform=x',
       'apply_transform --in transform=x --in table=u --out table=./out.csv', cwd=tmp_path)
    assert list(load(tmp_path / 'fit.csv').columns) == ['n', 'text_apple', 'text_green']
    assert load(tmp_path / 'out.csv').text_apple.isna().sum() == 0 and load(tmp_path / 'out.csv').iloc[:, 1:].sum().sum() == 0
    refused(2, "col: the table has no column 'texts': did you mean 'text'?", 'chain', 'read_csv --param path=./in.csv --out table=t',
            'tfidf --in table=t --param col=texts --out table=./o.csv', cwd=tmp_path)
    refused(3, 'has no words left', 'chain', 'read_csv --param path=./in.csv --out table=t',
            'tfidf --in table=t --param col=text --param min_df=3 --out table=./o.csv', cwd=tmp_path)


# --- sql ---

@BOTH
def test_queries_give_what_pandas_gives(tmp_path, path):
    theirs = load(path)
    key, number = {PENGUINS: ('species', 'body_mass_g'), CHURN: ('contract', 'total_charges')}[path]
    mine = chain(tmp_path, f"sql --in t1=t --param 'query=select {key}, count(*) as n, avg({number}) as mean, max({number}) as most from t1 "
                 f"group by {key} order by {key}' --out table=./out.csv", path=path)
    same(mine, theirs.groupby(key).agg(n=(key, 'size'), mean=(number, 'mean'), most=(number, 'max')).reset_index())
    mine = chain(tmp_path, f'group_by --in table=t --param keys={key} --param aggs=mean({number}) --out table=g',
                 f"sql --in t1=t --in t2=g --param 'query=select t1.rownames, t1.{number} - t2.mean_{number} as more from t1 join t2 using ({key}) "
                 "order by t1.rownames' --out table=./out.csv", path=path)
    want = pd.DataFrame({'rownames': theirs.rownames, 'more': theirs[number] - theirs.groupby(key)[number].transform('mean')})
    same(mine, want, rtol=1e-9)


def test_queries_keep_types_and_join_fast(tmp_path):
    path = table(tmp_path, DATES, 'dates.csv')
    ok('chain', f'read_csv --param path={path} --out table=t',
       "sql --in t1=t --param \"query=select d, date(d, '+1 day') as next, t, flag, a, a * 2.5 as x, s, case when a > 0 then a else 'no' end as mixed "
       "from t1 where d >= '2000-01-01' or d is null order by d\" --out table=./o.arrow --out table=./out.csv", cwd=tmp_path)
    assert (tmp_path / 'out.csv').read_text() == (
        'd,next,t,flag,a,x,s,mixed\n,,1999-01-04T12:00:00Z,,3,7.5,,3\n'
        '2023-12-31,2024-01-01,2023-12-31T00:00:01Z,false,-7,-17.5,台北 City,no\n'
        '2024-02-29,2024-03-01,2024-02-29T23:30:00Z,true,1,2.5,Taipei,1\n')
    ok('chain', f'read_csv --param path={path} --out table=t',
       "sql --in t1=t --param \"query=select a, d from t1 where a = 1 union all select 'total', 7\" --out table=./u.csv", cwd=tmp_path)
    assert (tmp_path / 'u.csv').read_text() == 'a,d\n1,2024-02-29\ntotal,7\n'
    n = 20000  # without an index this would be 400 million comparisons of rows
    with open(tmp_path / 'big.csv', 'w') as f:
        f.write('k,s\n' + ''.join(f'{i * 7919 % n},w{i * 31 % n}\n' for i in range(n)))
    done = ok('chain', 'read_csv --param path=./big.csv --out table=t',
              "sql --in t1=t --in t2=t --param 'query=select count(*) as n, sum(a.k) as k from t1 a join t2 b on a.k = b.k join t1 c on c.s = b.s' "
              '--param seconds=60 --out table=./out.csv', cwd=tmp_path)
    assert done and (tmp_path / 'out.csv').read_text() == f'n,k\n{n},{n * (n - 1) // 2}\n'


def test_equal_means_in_a_query_what_it_means_to_sqlite(tmp_path):
    import sqlite3
    columns, rows = 's text, n int, r real', [['a', 1, 0.5], ['A', 2, 1], ['5', 5, 5], ['05', 3, 5.5], ['a ', 4, -1]]
    write_csv(tmp_path / 'in.csv', ['s', 'n', 'r'], rows)
    theirs = sqlite3.connect(':memory:')
    theirs.execute(f'create table t1({columns})')
    theirs.executemany('insert into t1 values (?, ?, ?)', rows)
    where = ["s = 'a'", "s = 'a' collate nocase", "s = 'a' collate rtrim", 's = 5', "s = '5'", "n = '5'", "n = ' 5 '", "n = 'x'", 'n = 5.0', "r = '0.5'",
             "r = '+.5e0'", "n = x'35'", "s = x'35'", "s in ('a', 5)", 's = n', 's = r', 'n is null', "n = cast(5 as text)"]
    query = ' union all '.join(f'select {i} as i, n from t1 where {w}' for i, w in enumerate(where)) \
        + ' union all select 100, a.n from t1 a join t1 b on a.s = b.n union all select 101, a.n from t1 a join t1 b on b.n = a.s' \
        + ' union all select 102, a.n from t1 a join t1 b on a.s = b.s collate nocase'
    mine = chain(tmp_path, f'sql --in t1=t --param "query=select i, n from ({query}) order by i, n" --out table=./out.csv',
                 path=f'{tmp_path}/in.csv --param types=s:text,n:int,r:real')
    assert list(mine.itertuples(index=False, name=None)) == theirs.execute(f'select i, n from ({query}) order by i, n').fetchall()


@pytest.mark.parametrize('query,code,sentence', [
    ('select nope from t1', 2, 'query: no such column: nope'),
    ('select * from t3', 2, 'query: no such table: t3'),
    ('select 1; select 2', 2, 'query: write one SELECT'),
    ('', 2, 'query: write one SELECT'),
    ('drop table t1', 2, 'query: '),
    ("attach '/tmp/x' as x", 2, 'it can only read t1 to t4'),
    ('pragma database_list', 2, 'it can only read t1 to t4'),
    ("select load_extension('x')", 2, 'query: '),
    ('select random()', 2, 'query: '),
    ("select zeroblob(3)", 2, 'gives bytes'),
    ("select 'a' || char(0) as x", 3, 'without NUL'),
    ('select sex, sex from t1', 2, "query: the table has a column 'sex' already"),
    ('with recursive r(x) as (select 1 union all select x + 1 from r) select sum(x) as s from r', 2, 'seconds: the query took longer'),
])
def test_queries_that_cannot_be_are_refused(tmp_path, query, code, sentence):
    refuse(tmp_path, code, sentence, f'sql --in t1=t --param seconds=1 --param "query={query}" --out table=./o.csv')
    assert not (tmp_path / 'o.csv').exists()


def test_a_query_is_the_same_every_day_and_keeps_to_its_memory(tmp_path):
    mine = chain(tmp_path, "sql --in t1=t --param \"query=select date('now') as today, count(*) as n from t1\" --out table=./out.csv")
    assert mine.today.isna().all() and list(mine.n) == [344]
    refused(4, 'not enough memory', '--memory', '32Mi', 'chain', f'read_csv --param path={PENGUINS} --out table=t',
            "sql --in t1=t --param 'query=select a.*, b.island as i from t1 a, t1 b, t1 c order by a.year' --out table=./o.csv", cwd=tmp_path)


# --- before a run, and with more threads ---

STEPS = [
    'select_columns --in table=./t.arrow --param columns=@all,-sex',
    "filter_rows --in table=./t.arrow --param 'expr=year > 2007'",
    "compute_columns --in table=./t.arrow --param 'exprs=a = year / 2; b = year > 2007; c = upper(sex); year = year + 1'",
    "edit_columns --in table=./t.arrow --param rename=sex=gender --param 'types=year:text, rownames:real' --param drop=island",
    'append_rows --in first=./t.arrow --in second=./t.arrow',
    "group_by --in table=./t.arrow --param keys=species,sex --param 'aggs=count(), mean(year), sum(year), min(island), median(body_mass_g)'",
    'join --in left=./t.arrow --in right=./t.arrow --param keys=species,sex --param type=full --param suffix=_2',
    "sort --in table=./t.arrow --param 'by=sex desc, body_mass_g'",
    'distinct --in table=./t.arrow --param cols=species,sex',
    'sample --in table=./t.arrow --param fraction=0.5 --param stratify_col=species',
    'impute --in table=./t.arrow --param cols=@all --param strategy=mode --param indicator=true',
    'min_max_scaler --in table=./t.arrow', 'robust_scaler --in table=./t.arrow', 'bin --in table=./t.arrow', 'string_index --in table=./t.arrow',
    "sql --in t1=./t.arrow --param 'query=select species, year, sex as s from t1 where year > 2007'",
]


@pytest.fixture(scope='module')
def penguins(tmp_path_factory):
    folder = tmp_path_factory.mktemp('penguins')
    ok('read_csv', '--param', f'path={PENGUINS}', '--out', 'table=./t.arrow', cwd=folder)
    return folder


@pytest.mark.parametrize('step', [*STEPS, 'one_hot --in table=./t.arrow', 'tfidf --in table=./t.arrow --param col=island'])
def test_what_a_check_says_is_what_a_run_gives_for_any_threads(tmp_path, penguins, step):
    words = [w.replace('./t.arrow', str(penguins / 't.arrow')) for w in shlex.split(step)]
    told = json.loads(ok('--schema-only', *words, cwd=tmp_path).stdout)['outputs']['table']
    ok(*words, '--out', 'table=./one.arrow', cwd=tmp_path, threads=1)
    ok(*words, '--out', 'table=./three.arrow', cwd=tmp_path, threads=3)
    assert (tmp_path / 'one.arrow').read_bytes() == (tmp_path / 'three.arrow').read_bytes()
    is_there = json.loads(ok('--schema-only', 'sample', '--in', 'table=./one.arrow', cwd=tmp_path).stdout)['outputs']['table']['columns']
    if step in STEPS:
        assert told['columns'] == is_there and not told['open']
    else:  # which categories and words there are, only the run knows
        assert told['open'] and all(c in is_there for c in told['columns'])


@pytest.mark.parametrize('step,param,sentence', [
    ("filter_rows --in table=./t.arrow --param 'expr=yeer > 3'", 'expr', "character 1: the table has no column 'yeer': did you mean 'year'?"),
    ("compute_columns --in table=./t.arrow --param 'exprs=a = sex * 2'", 'exprs', "a: * needs a number, and column 'sex' is text"),
    ('join --in left=./t.arrow --in right=./t.arrow --param keys=island=year', 'keys', "column 'island' of left holds text"),
    ("sql --in t1=./t.arrow --param 'query=select nope from t1'", 'query', 'no such column: nope'),
    ('group_by --in table=./t.arrow --param keys=sex --param aggs=mean(island)', 'aggs', "mean needs numbers"),
    ('bin --in table=./t.arrow --param cols=island', 'cols', "column 'island' holds text, and numbers are needed here: leave it out (@numeric)"),
    ('impute --in table=./t.arrow --param cols=island', 'cols', "column 'island' holds text, and numbers are needed here: leave it out (@numeric)"),
    ('impute --in table=./t.arrow --param cols=year --param strategy=value --param value=x', 'value', "'x' is not a number"),
    ('split --in table=./t.arrow --param mode=time', 'time_col', 'mode=time needs a column of times'),
])
def test_checks_name_the_parameter(tmp_path, penguins, step, param, sentence):
    words = [w.replace('./t.arrow', str(penguins / 't.arrow')) for w in shlex.split(step)]
    done = ml('--schema-only', *words, cwd=tmp_path)
    first = json.loads(done.stdout)['mistakes'][0]
    assert done.returncode == 2 and first['param'] == param and sentence in first['message'], first


def test_a_check_does_not_prepare_what_would_fill_the_server(tmp_path, penguins):
    def told(query):
        done = ok('--schema-only', 'sql', '--in', f't1={penguins}/t.arrow', '--param', f'query={query}', cwd=tmp_path)
        out = json.loads(done.stdout)['outputs']['table']
        return None if out['open'] else [c['name'] for c in out['columns']]

    doubling = ', '.join(f'a{i} as (select 1 as x from a{i - 1} p, a{i - 1} q)' for i in range(1, 16))
    arms = ', '.join(f'(select year from t1 union all select year from t1) s{i}' for i in range(20))
    for query in (f'with a0 as (select 1 as x), {doubling} select year from t1, a29', f'select s0.year from {arms}',
                  'select year from (' + 'select *, * from (' * 13 + 'select * from t1' + ')' * 14):
        assert told(query) is None, query
    assert told("with m as (select species, max(year) as year from t1 group by species), n as (select species from m where year > 2 /* from, from */) "
                "select t1.species, t1.sex from t1 join m using (species) where t1.species in (select species from n) and sex != ',,,,,,,,,,,,,,,,,,,,,,,,'") == [
        'species', 'sex']
    assert told("with m as (select species, year from t1) select species, year from m") == ['species', 'year']


def test_patterns_match_where_pythons_do(tmp_path):
    import re
    texts = ['', 'a', 'ab', 'aab', 'abc', 'b', 'aaaa', 'Taipei 101', '台北 101', 'x@y.org', 'a.b', 'a|b', '(a)', 'a\nb', 'ba', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaac']
    patterns = ['a', '^a', 'a$', '^a*$', '^(a|b)+$', 'a{2}', '^a{2,3}$', '^a{2,}b?$', r'\d+', r'^\w+@\w+\.\w+$', '[a-c]$', '^[^a]', r'\.', r'^\(', '(a*)*b', 'a|b|c',
                '^(a|ab)(c|bcd)?$', '台.', '^$', '(a?){20}a{20}', '()', r'[\d ]', '^.{2}$', r'\s', r'\D\d']
    write_csv(tmp_path / 'in.csv', ['n', 's'], list(enumerate(texts)))
    data = (tmp_path / 'in.csv').read_text().replace('0,\r\n', '0,""\r\n')
    (tmp_path / 'in.csv').write_text(data)
    exprs = '; '.join(f"p{i} = regex_match(s, '{p}')" for i, p in enumerate(patterns))
    ok('read_csv', '--param', 'path=in.csv', '--out', 'table=./t.arrow', cwd=tmp_path)
    ok('compute_columns', '--in', 'table=./t.arrow', '--param', f'exprs={exprs}', '--out', 'table=./out.csv', cwd=tmp_path)
    rows = list(csv.DictReader(open(tmp_path / 'out.csv', newline='')))
    for i, pattern in enumerate(patterns):
        for row, text in zip(rows, texts):
            if row[f'p{i}'] != '':
                # Python's own search takes a minute for this one.
                wanted = 'b' in text if pattern == '(a*)*b' else bool(re.search(pattern, text))
                assert (row[f'p{i}'] == 'true') == wanted, (pattern, text)
    for pattern, sentence in (('a**', 'nothing to repeat'), ('(a', '( is never closed'), ('a)', 'closes nothing'), ('[a', '[ is never closed'),
                              ('a{999}', 'at most 255 times'), ('((a{200}){200}){200}', 'too long'), ('(' * 30 + '.' + '{1})' * 30, 'repeats too much'),
                              ('[z-a]', 'a range goes'), ('\\q', 'means nothing')):
        refused(2, sentence, 'compute_columns', '--in', 'table=./t.arrow', '--param', f"exprs=p = regex_match(s, '{pattern}')", '--out', 'table=./o.csv',
                cwd=tmp_path)
